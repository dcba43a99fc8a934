//! What can go wrong with a remote.

use super::ObjectError;
use crate::config::ConfigError;
use crate::files::FileError;
use crate::git::GitError;
use crate::id::{ArtifactId, PackId};
use crate::store::StoreError;

/// What can go wrong with a remote.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// A name that a remote cannot have.
    #[error("`{name}` cannot be the name of a remote")]
    BadName {
        /// As it was given.
        name: String,
    },
    /// A place that this version cannot use.
    #[error("`{url}` cannot be a remote: {reason}")]
    BadUrl {
        /// As it was given.
        url: String,
        /// Why.
        reason: &'static str,
    },
    /// An option of a remote that does not read.
    #[error("the remote `{name}` has a `{key}` that is none: `{value}`")]
    BadOption {
        /// The remote.
        name: String,
        /// The option.
        key: &'static str,
        /// As it was given.
        value: String,
    },
    /// A URL with a credential in it.
    #[error("a password or key is part of the URL {url}: it would be there for everybody to read")]
    SecretInUrl {
        /// The URL without the secret.
        url: String,
    },
    /// There is nothing of ours at the place.
    #[error("the remote `{name}` is not set up: there is no git-ml store in {place}")]
    NoStore {
        /// The remote.
        name: String,
        /// Where it should be.
        place: String,
    },
    /// The place was made by a newer version.
    #[error("the remote `{name}` has a layout that this git-ml does not know")]
    UnknownLayout {
        /// The remote.
        name: String,
    },
    /// No credentials for a place that wants some.
    #[error("there are no credentials for {place}: {problem}")]
    NoCredentials {
        /// The place.
        place: String,
        /// What was looked for.
        problem: String,
    },
    /// Some artifacts are not at the place they should be sent from.
    #[error("{} of the artifacts asked for are not in {place}, the first is {first}", missing)]
    Missing {
        /// How many.
        missing: usize,
        /// `this repository's store` or `the remote …`.
        place: String,
        /// One of them.
        first: ArtifactId,
    },
    /// A pack has another content than its name says.
    #[error("pack {pack} in {place} is damaged: {problem}")]
    Damaged {
        /// The pack, as it was named.
        pack: PackId,
        /// `this repository's store` or `the remote …`.
        place: String,
        /// What was found.
        problem: String,
    },
    /// A remote's index has another content than its name says, and what it had is missed.
    #[error("an index of {place} is damaged ({object}): {problem}")]
    DamagedIndex {
        /// `the remote …`.
        place: String,
        /// The object.
        object: String,
        /// What was found.
        problem: String,
    },
    /// Packs were removed from the remote as fast as they were sent.
    #[error("the remote `{name}` changed again and again while this pushed to it")]
    Unsteady {
        /// The remote.
        name: String,
    },
    /// A place that does not say when its objects were written.
    #[error("the remote `{name}` does not say when its objects were written, so no grace period can be kept")]
    NoTimes {
        /// The remote.
        name: String,
    },
    /// There is no remote of that name.
    #[error("there is no remote `{name}`")]
    Unknown {
        /// As it was asked for.
        name: String,
    },
    /// The place failed.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// What was read could not be passed on.
    #[error("cannot write the output")]
    Output(#[source] std::io::Error),
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The configuration is not valid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// git failed.
    #[error(transparent)]
    Git(#[from] GitError),
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
}
