//! What the registry asks for.

use crate::registry::{Model, RegistryEvent};

use super::super::super::effects::{Kind, Lane};
use super::super::super::source::{Problem, Source};

/// Something that the registry asks for.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) enum Request {
    /// The models.
    Models,
    /// What happened to a model.
    History(String),
}

/// What came of it.
#[derive(Debug)]
pub(in crate::tui) enum Answer {
    Models(Result<Option<Vec<Model>>, Problem>),
    History(String, Result<Vec<RegistryEvent>, Problem>),
}

impl Request {
    pub(in crate::tui) fn lane(&self) -> Lane {
        Lane::Lists
    }

    pub(in crate::tui) fn kind(&self) -> Option<Kind> {
        match self {
            Self::Models => None,
            Self::History(_) => Some("history"),
        }
    }

    pub(in crate::tui) fn perform(self, source: &mut dyn Source) -> Answer {
        match self {
            Self::Models => Answer::Models(source.models()),
            Self::History(model) => {
                let events = source.history(&model);
                Answer::History(model, events)
            }
        }
    }
}
