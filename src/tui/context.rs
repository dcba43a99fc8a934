//! What all views look at: the clock, the screen, the runs, and which of them are marked.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;
use ratatui::layout::Rect;

use crate::catalog::Table;
use crate::id::{CommitId, RunId};
use crate::run::{Run, RunStatus};

use super::layout;
use super::source::Problem;
use super::theme::RUN_COLORS;

/// Something that is loaded.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Load<T> {
    /// Not there yet.
    Waiting,
    /// There.
    Ready(T),
    /// It could not be loaded.
    Failed(Problem),
}

impl<T> Load<T> {
    /// What was loaded.
    pub(super) fn ready(&self) -> Option<&T> {
        match self {
            Self::Ready(value) => Some(value),
            Self::Waiting | Self::Failed(_) => None,
        }
    }
}

impl<T> From<Result<T, Problem>> for Load<T> {
    fn from(result: Result<T, Problem>) -> Self {
        result.map_or_else(Self::Failed, Self::Ready)
    }
}

/// What all views look at and none changes by itself.
#[derive(Debug)]
pub(super) struct Context {
    /// The repository's name, and its branch.
    pub(super) place: String,
    pub(super) now: Timestamp,
    /// Columns and rows of the screen.
    pub(super) size: (u16, u16),
    /// The runs.
    pub(super) records: Records,
    /// The runs that are marked for comparison.
    pub(super) marks: Marks,
}

impl Context {
    /// What there is before anything is loaded.
    pub(super) fn new(place: String, size: (u16, u16), now: Timestamp) -> Self {
        Self { place, now, size, records: Records::default(), marks: Marks::default() }
    }

    /// Where views are drawn: between the header and the footer.
    pub(super) fn body(&self) -> Rect {
        layout::parts(self.size).body
    }

    /// A run's colour, the same in every view: see [`Theme::run`](super::theme::Theme::run).
    pub(super) fn color(&self, run_id: &RunId) -> usize {
        self.marks.colors.get(run_id).copied().unwrap_or_else(|| color_of(run_id))
    }
}

/// The colour of a run by its id alone. The last digits of an id are random.
fn color_of(run_id: &RunId) -> usize {
    let bytes = run_id.as_bytes();
    usize::from(u16::from_le_bytes([bytes[14], bytes[15]])) % RUN_COLORS
}

/// Whole records that are kept, beside those of live runs.
const KEPT: usize = 512;

/// The runs: how many there are, and whole those that views need.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// How many runs there are; none before they are counted.
    pub(super) known: Option<usize>,
    /// How many of them are in progress.
    pub(super) running: usize,
    /// How many records cannot be read.
    pub(super) problems: usize,
    tip: Option<CommitId>,
    live: HashSet<RunId>,
    runs: HashMap<RunId, Run>,
    /// The runs that are here as they are, or that are nowhere.
    fresh: HashSet<RunId>,
    asked: HashSet<RunId>,
}

impl Records {
    /// The run with this id, whole, if it is here. A view gets the runs that it names in
    /// [`ViewState::needs`](super::views::ViewState::needs).
    pub(super) fn get(&self, run_id: &RunId) -> Option<&Run> {
        self.runs.get(run_id)
    }

    /// Whether there is no such run: it was looked for.
    pub(super) fn is_gone(&self, run_id: &RunId) -> bool {
        self.fresh.contains(run_id) && !self.runs.contains_key(run_id)
    }

    /// Takes what a table of runs says of all of them.
    pub(super) fn listed(&mut self, table: &Table) {
        self.known = Some(table.known());
        self.running = table.live().iter().filter(|run| run.status == RunStatus::Running).count();
        self.problems = table.problems().len();
        if self.tip != table.tip() {
            // Any of them may have another note, or be gone.
            self.tip = table.tip();
            self.fresh.clear();
        }
        for run_id in std::mem::take(&mut self.live) {
            self.fresh.remove(&run_id);
        }
        for run in table.live() {
            self.live.insert(run.id);
            self.fresh.insert(run.id);
            self.runs.insert(run.id, run.clone());
        }
    }

    /// Those of the runs that are to be read now; they count as asked for.
    pub(super) fn wanted(&mut self, needed: &[RunId]) -> Vec<RunId> {
        let is_wanted = |run_id: &&RunId| !self.fresh.contains(run_id) && !self.asked.contains(run_id);
        let wanted: Vec<RunId> = needed.iter().filter(is_wanted).copied().collect();
        self.asked.extend(&wanted);
        wanted
    }

    /// Takes the runs that were asked for; those that are not among them are nowhere.
    pub(super) fn loaded(&mut self, asked: &[RunId], found: Vec<Run>) {
        if self.runs.len() > KEPT {
            self.runs.retain(|run_id, _| self.live.contains(run_id) || self.asked.contains(run_id));
            self.fresh.retain(|run_id| self.runs.contains_key(run_id));
        }
        for run_id in asked {
            self.asked.remove(run_id);
            // A live run's table knows better than what was read beside it.
            if !self.live.contains(run_id) {
                self.runs.remove(run_id);
            }
            self.fresh.insert(*run_id);
        }
        for run in found.into_iter().filter(|run| !self.live.contains(&run.id)) {
            self.runs.insert(run.id, run);
        }
    }
}

/// The runs that are marked, in the order in which they were.
#[derive(Debug, Default)]
pub(super) struct Marks {
    runs: Vec<RunId>,
    /// Colours of marked runs whose own was taken. They are kept, also when the mark goes: a line does not change its
    /// colour while it is looked at.
    colors: BTreeMap<RunId, usize>,
}

impl Marks {
    /// The marked runs.
    pub(super) fn runs(&self) -> &[RunId] {
        &self.runs
    }

    /// Whether a run is marked.
    pub(super) fn contains(&self, run_id: &RunId) -> bool {
        self.runs.contains(run_id)
    }

    /// Marks a run, or unmarks it. Marked runs get different colours as long as there are enough.
    pub(super) fn toggle(&mut self, run_id: RunId) {
        if let Some(place) = self.runs.iter().position(|marked| *marked == run_id) {
            self.runs.remove(place);
            return;
        }
        let color = |run_id: &RunId| self.colors.get(run_id).copied().unwrap_or_else(|| color_of(run_id));
        let taken: Vec<usize> = self.runs.iter().map(color).collect();
        let own = color(&run_id);
        let free = (0..RUN_COLORS).map(|step| (own + step) % RUN_COLORS).find(|color| !taken.contains(color));
        if let Some(free) = free.filter(|free| *free != own) {
            self.colors.insert(run_id, free);
        }
        self.runs.push(run_id);
    }

    /// Unmarks all.
    pub(super) fn clear(&mut self) {
        self.runs.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marked_runs_have_different_colours_and_keep_them() {
        let mut context = Context::new(String::new(), (80, 24), Timestamp::UNIX_EPOCH);
        let run_id = |last: u8| RunId::from_bytes([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last, 0]);
        let same = u8::try_from(RUN_COLORS).unwrap();
        let (one, two) = (run_id(0), run_id(same));
        assert_eq!(context.color(&one), context.color(&two), "by their ids alone");
        context.marks.toggle(one);
        context.marks.toggle(two);
        let colors = [context.color(&one), context.color(&two)];
        assert_ne!(colors[0], colors[1]);
        context.marks.toggle(two);
        assert_eq!((context.marks.runs(), context.marks.contains(&two)), (&[one][..], false));
        assert_eq!([context.color(&one), context.color(&two)], colors);
    }
}
