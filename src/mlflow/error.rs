//! Errors as MLflow's clients expect them: a code, a message, and the HTTP status that belongs to the code.

use std::error::Error;

use axum::http::StatusCode;
use serde::Serialize;

use super::http::Reply;
use crate::files::{FileError, LockError};
use crate::git::GitError;
use crate::run::RunError;
use crate::store::StoreError;
use crate::track::TrackError;

/// MLflow's error codes, as far as this server uses them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(super) enum Code {
    BadRequest,
    InvalidParameterValue,
    ResourceAlreadyExists,
    ResourceDoesNotExist,
    EndpointNotFound,
    PermissionDenied,
    Unauthenticated,
    /// A body that is larger than this server takes. MLflow has no name for it; clients know it by its status.
    RequestEntityTooLarge,
    InvalidState,
    InternalError,
    NotImplemented,
}

impl Code {
    fn status(self) -> StatusCode {
        match self {
            Self::BadRequest | Self::InvalidParameterValue | Self::ResourceAlreadyExists => StatusCode::BAD_REQUEST,
            Self::ResourceDoesNotExist | Self::EndpointNotFound => StatusCode::NOT_FOUND,
            Self::PermissionDenied => StatusCode::FORBIDDEN,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::RequestEntityTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::InvalidState | Self::InternalError => StatusCode::INTERNAL_SERVER_ERROR,
            Self::NotImplemented => StatusCode::NOT_IMPLEMENTED,
        }
    }
}

/// Why a request did not do what it asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(super) struct ApiError {
    pub(super) code: Code,
    pub(super) message: String,
}

impl ApiError {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// A parameter has a value that it cannot have.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidParameterValue, message)
    }

    /// There is no such thing.
    pub(super) fn missing(message: impl Into<String>) -> Self {
        Self::new(Code::ResourceDoesNotExist, message)
    }

    /// Something of ours went wrong, such as a full disk.
    pub(super) fn internal(error: &dyn Error) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            message += &format!(": {error}");
            cause = error.source();
        }
        Self::new(Code::InternalError, message)
    }

    /// The reply that tells a client.
    pub(super) fn reply(&self) -> Reply {
        #[derive(Serialize)]
        struct Body<'e> {
            error_code: Code,
            message: &'e str,
        }
        let mut reply = Reply::json(&Body { error_code: self.code, message: &self.message });
        reply.status = self.code.status();
        reply
    }
}

impl From<RunError> for ApiError {
    fn from(error: RunError) -> Self {
        match &error {
            RunError::NotFound { wanted } => Self::missing(format!("Run with id={wanted} not found")),
            RunError::BadName { .. } | RunError::BadValue { .. } => Self::invalid(error.to_string()),
            _ => Self::internal(&error),
        }
    }
}

macro_rules! internal {
    ($($error:ty),*) => {
        $(impl From<$error> for ApiError {
            fn from(error: $error) -> Self {
                Self::internal(&error)
            }
        })*
    };
}

internal!(FileError, GitError, LockError, StoreError, TrackError);
