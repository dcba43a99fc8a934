//! What the dashboard asks for, on which lane, and how it is done.

use crate::id::RunId;
use crate::run::Run;

use super::files;
use super::lend::Errand;
use super::memory::Memory;
use super::source::{Problem, Source};
use super::views::{artifacts, compare, registry, run, runs, sweeps};

/// Something to do.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Effect {
    /// End.
    Quit,
    /// Leave the terminal to the shell until it brings us back.
    Suspend,
    /// Draw everything anew.
    Redraw,
    /// Put a text into the clipboard.
    Copy(String),
    /// Lend the terminal out.
    Lend(Errand),
    /// Read what is remembered of this repository.
    Recall,
    /// Remember this of it.
    Remember(Memory),
    /// Read runs, whole.
    LoadRecords(Vec<RunId>),
    /// For the table of runs.
    Runs(runs::Request),
    /// For one run, open or in short.
    Run(run::Request),
    /// For the comparison.
    Compare(compare::Request),
    /// For the registry.
    Registry(registry::Request),
    /// For the tracked artifacts.
    Artifacts(artifacts::Request),
    /// For the sweeps.
    Sweeps(sweeps::Request),
    /// For the files of artifacts, wherever they are shown.
    Files(files::Request),
    /// Change something.
    Change(Change),
    /// Nobody waits for effects of this kind any more.
    Cancel(Kind),
}

/// Something to change.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Change {
    /// Write a note on a run; an empty one removes it.
    Note(RunId, String),
    /// Remove a run from the lists.
    Remove(RunId),
    /// Move an alias; past a gate that refuses, for this reason.
    MoveAlias(registry::Move, Option<String>),
    /// Register a target as a model's next version.
    Register { target: String, model: String },
}

/// What came of an effect.
#[derive(Debug)]
pub(super) enum Answer {
    Recalled(Memory),
    /// The runs that were asked for, as far as they are there.
    Records(Vec<RunId>, Result<Vec<Run>, Problem>),
    Runs(runs::Answer),
    Run(run::Answer),
    Compare(compare::Answer),
    Registry(registry::Answer),
    Artifacts(artifacts::Answer),
    Sweeps(sweeps::Answer),
    Files(files::Answer),
    /// A change was made, with a word about it, or not.
    Changed(Result<String, Problem>),
}

/// Effects that do not wait for those of other lanes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// What there is: runs, models, artifacts.
    Lists,
    /// What is looked at.
    Detail,
    /// The small pictures in lists.
    Sparks,
    /// Contents of files, which may take long.
    Files,
    /// Changes, one after the other.
    Changes,
}

impl Lane {
    /// All of them.
    pub(super) const ALL: [Self; 5] = [Self::Lists, Self::Detail, Self::Sparks, Self::Files, Self::Changes];
}

/// Of effects of one kind only the last one counts: those before it are left out, or cancelled while they are at work.
pub(super) type Kind = &'static str;

impl Effect {
    /// The lane; none for what the terminal's loop does itself.
    pub(super) fn lane(&self) -> Option<Lane> {
        Some(match self {
            Self::Quit | Self::Suspend | Self::Redraw | Self::Copy(_) | Self::Lend(_) | Self::Cancel(_) => {
                return None;
            }
            Self::Recall => Lane::Lists,
            Self::LoadRecords(_) => Lane::Detail,
            Self::Runs(request) => request.lane(),
            Self::Run(request) => request.lane(),
            Self::Compare(request) => request.lane(),
            Self::Registry(request) => request.lane(),
            Self::Artifacts(request) => request.lane(),
            Self::Sweeps(request) => request.lane(),
            Self::Files(request) => request.lane(),
            Self::Change(_) | Self::Remember(_) => Lane::Changes,
        })
    }

    /// The kind, where only the last one counts.
    pub(super) fn kind(&self) -> Option<Kind> {
        match self {
            Self::Runs(request) => request.kind(),
            Self::Run(request) => request.kind(),
            Self::Compare(request) => request.kind(),
            Self::Registry(request) => request.kind(),
            Self::Artifacts(request) => request.kind(),
            Self::Sweeps(request) => request.kind(),
            Self::Files(request) => request.kind(),
            _ => None,
        }
    }
}

/// Says whether anybody still waits for what is being done.
#[derive(Clone, Copy)]
pub(super) struct Cancel<'c>(pub(super) &'c dyn Fn() -> bool);

impl std::fmt::Debug for Cancel<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Cancel").field(&self.is_cancelled()).finish()
    }
}

impl Cancel<'_> {
    /// Whether nobody waits any more: what takes long asks now and then, and gives up.
    pub(super) fn is_cancelled(&self) -> bool {
        (self.0)()
    }
}

/// Does what an effect asks for; none for what the terminal's loop does itself, and where nobody waits any more.
pub(super) fn perform(source: &mut dyn Source, effect: Effect, cancel: Cancel<'_>) -> Option<Answer> {
    let answer = match effect {
        Effect::Quit | Effect::Suspend | Effect::Redraw | Effect::Copy(_) | Effect::Lend(_) | Effect::Cancel(_) => {
            return None;
        }
        Effect::Recall => Answer::Recalled(source.recall()),
        Effect::Remember(memory) => {
            // Nothing is lost but the comfort where that cannot be written.
            let _ = source.remember(&memory);
            return None;
        }
        Effect::LoadRecords(run_ids) => {
            let runs = source.records(&run_ids);
            Answer::Records(run_ids, runs)
        }
        Effect::Runs(request) => Answer::Runs(request.perform(source, cancel)),
        Effect::Run(request) => Answer::Run(request.perform(source, cancel)),
        Effect::Compare(request) => Answer::Compare(request.perform(source)),
        Effect::Registry(request) => Answer::Registry(request.perform(source)),
        Effect::Artifacts(request) => Answer::Artifacts(request.perform(source)),
        Effect::Sweeps(request) => Answer::Sweeps(request.perform(source)),
        Effect::Files(request) => Answer::Files(request.perform(source)),
        Effect::Change(change) => Answer::Changed(make(source, change)),
    };
    (!cancel.is_cancelled()).then_some(answer)
}

fn make(source: &mut dyn Source, change: Change) -> Result<String, Problem> {
    match change {
        Change::Note(run_id, text) => source.set_note(&run_id, &text),
        Change::Remove(run_id) => source.remove_run(&run_id),
        Change::MoveAlias(wanted, reason) => source.move_alias(&wanted, reason.as_deref()),
        Change::Register { target, model } => source.register(&target, &model),
    }
}
