//! What the registry asks for.

use crate::git::CommitInfo;
use crate::id::RunId;
use crate::registry::{EventKind, Model, RegistryEvent, Version};
use crate::run::Run;

use super::super::super::effects::{Kind, Lane};
use super::super::super::source::{Problem, Source};
use super::moves::Considered;

/// Something that the registry asks for.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) enum Request {
    /// The models.
    Models,
    /// What happened to a model.
    History(String),
    /// What a version came from.
    Origin(Box<Version>),
    /// What speaks for a move of an alias, and what against it.
    Consider(Consider),
    /// A run that is to be registered, whole.
    Registered(RunId),
}

/// A move of an alias that is to be looked at.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) struct Consider {
    /// What kind of move it is.
    pub(in crate::tui) kind: EventKind,
    /// The model.
    pub(in crate::tui) model: String,
    /// The alias.
    pub(in crate::tui) alias: String,
    /// Where it is to point to, unless that follows from the kind.
    pub(in crate::tui) version: Option<u64>,
}

/// What a version came from.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::tui) struct Origin {
    /// The run that made it, if it is here.
    pub(in crate::tui) run: Option<Run>,
    /// What its commit says of itself, if it is here.
    pub(in crate::tui) commit: Option<CommitInfo>,
}

/// What came of it.
#[derive(Debug)]
pub(in crate::tui) enum Answer {
    Models(Result<Option<Vec<Model>>, Problem>),
    History(String, Result<Vec<RegistryEvent>, Problem>),
    Origin { model: String, version: u64, origin: Result<Box<Origin>, Problem> },
    Considered(Result<Box<Considered>, Problem>),
    Registered(RunId, Result<Option<Box<Run>>, Problem>),
}

impl Request {
    pub(in crate::tui) fn lane(&self) -> Lane {
        match self {
            Self::Models | Self::History(_) => Lane::Lists,
            Self::Origin(_) | Self::Registered(_) => Lane::Detail,
            // A gate may want all bytes verified.
            Self::Consider(_) => Lane::Files,
        }
    }

    pub(in crate::tui) fn kind(&self) -> Option<Kind> {
        match self {
            Self::Models => None,
            Self::History(_) => Some("history"),
            Self::Origin(_) => Some("origin"),
            Self::Consider(_) => Some("consider"),
            Self::Registered(_) => Some("registered"),
        }
    }

    pub(in crate::tui) fn perform(self, source: &mut dyn Source) -> Answer {
        match self {
            Self::Models => Answer::Models(source.models()),
            Self::History(model) => {
                let events = source.history(&model);
                Answer::History(model, events)
            }
            Self::Origin(version) => {
                let origin = source.origin(&version).map(Box::new);
                Answer::Origin { model: version.model, version: version.version, origin }
            }
            Self::Registered(run_id) => {
                let found = source.records(&[run_id]).map(|found| found.into_iter().next().map(Box::new));
                Answer::Registered(run_id, found)
            }
            Self::Consider(wanted) => Answer::Considered(source.consider(&wanted).map(Box::new)),
        }
    }
}
