//! The table of runs: which are shown, in which order, and which one is chosen.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::id::RunId;
use crate::query::{self, Query, QueryError, SortKey};
use crate::run::{Run, RunStatus, smaller_is_better};

use super::app::Load;
use super::columns::{self, Column, Kind};
use super::effects::Effect;
use super::input::Input;
use super::keys::Command;
use super::layout::{self, RunsLayout};
use super::source::{Listing, Problem};

/// What a run has come to: what was loaded for another stamp is out of date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) status: RunStatus,
    points: u64,
}

/// The stamp of a run.
pub(super) fn stamp(run: &Run) -> Stamp {
    Stamp { status: run.status, points: run.metrics.values().map(|metric| metric.count).sum() }
}

/// The filter: what counts, and what is being typed.
#[derive(Debug, Default)]
pub(super) struct Filter {
    /// The text of the query that counts.
    pub(super) text: String,
    query: Option<Query>,
    /// The line that is being typed.
    pub(super) input: Option<Input>,
    /// What is wrong with it.
    pub(super) error: Option<QueryError>,
    /// What counted when typing began.
    before: String,
}

impl Filter {
    /// Rows that the filter takes on the screen.
    pub(super) fn rows(&self) -> u16 {
        match (&self.input, &self.error) {
            (None, _) if self.text.is_empty() => 0,
            (Some(_), Some(_)) => 2,
            _ => 1,
        }
    }

    /// Makes `text` the query that counts, if it is one.
    fn apply(&mut self, text: &str, now: Timestamp) {
        let parsed = if text.trim().is_empty() { Ok(None) } else { Query::parse_at(text, now).map(Some) };
        match parsed {
            Ok(query) => {
                self.query = query;
                self.text = text.trim().to_owned();
                self.error = None;
            }
            Err(error) => self.error = Some(error),
        }
    }
}

/// A run's sparkline, and what the run had come to then.
pub(super) type Spark = (RunId, Stamp, Vec<f64>);

/// The table.
#[derive(Debug)]
pub(super) struct RunTable {
    /// What time it is, for filters such as `started > 2 days ago`.
    pub(super) now: Timestamp,
    /// Whether the runs are there.
    pub(super) state: Load<()>,
    all: Vec<Run>,
    /// Records that could not be read.
    pub(super) problems: Vec<Problem>,
    /// Those of `all` that the filter lets through.
    shown: Vec<usize>,
    /// The chosen one of `shown`.
    pub(super) selected: usize,
    /// The first of `shown` on the screen.
    pub(super) offset: usize,
    pub(super) filter: Filter,
    pub(super) sort: SortKey,
    pub(super) columns: Vec<Column>,
    /// The width that `columns` were chosen for; none when they have to be chosen anew.
    columns_width: Option<u16>,
    sparks: BTreeMap<RunId, (Stamp, Vec<f64>)>,
    sparks_metric: Option<String>,
    sparks_pending: bool,
}

fn newest_first() -> SortKey {
    SortKey { key: "started".to_owned(), descending: true }
}

impl RunTable {
    /// A table before its runs are loaded.
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            now,
            state: Load::Waiting,
            all: Vec::new(),
            problems: Vec::new(),
            shown: Vec::new(),
            selected: 0,
            offset: 0,
            filter: Filter::default(),
            sort: newest_first(),
            columns: Vec::new(),
            columns_width: None,
            sparks: BTreeMap::new(),
            sparks_metric: None,
            sparks_pending: false,
        }
    }

    /// All runs.
    pub(super) fn all(&self) -> &[Run] {
        &self.all
    }

    /// The runs that are shown, in order.
    pub(super) fn shown(&self) -> impl ExactSizeIterator<Item = &Run> {
        self.shown.iter().map(|&index| &self.all[index])
    }

    /// The run with this id.
    pub(super) fn run(&self, run_id: &RunId) -> Option<&Run> {
        self.all.iter().find(|run| run.id == *run_id)
    }

    /// The chosen run.
    pub(super) fn selected_run(&self) -> Option<&Run> {
        self.shown.get(self.selected).map(|&index| &self.all[index])
    }

    /// Runs that are in progress.
    pub(super) fn running(&self) -> usize {
        self.all.iter().filter(|run| run.status == RunStatus::Running).count()
    }

    /// A run's sparkline.
    pub(super) fn spark(&self, run_id: &RunId) -> &[f64] {
        self.sparks.get(run_id).map_or(&[], |(_, values)| values)
    }

    /// Takes a new listing.
    pub(super) fn loaded(&mut self, result: Result<Option<Listing>, Problem>) {
        match result {
            Ok(Some(listing)) => {
                let chosen = self.selected_run().map(|run| run.id);
                self.state = Load::Ready(());
                self.problems = listing.problems;
                self.all = listing.runs;
                if self.sort != newest_first() {
                    query::sort(&mut self.all, &self.sort);
                }
                self.refilter(chosen);
            }
            Ok(None) => self.state = Load::Ready(()),
            Err(problem) => self.state = Load::Failed(problem),
        }
    }

    /// Chooses what is shown anew; `chosen` stays chosen if it still is.
    fn refilter(&mut self, chosen: Option<RunId>) {
        let query = &self.filter.query;
        let matches = |run: &Run| query.as_ref().is_none_or(|query| query.matches(run));
        self.shown = (0..self.all.len()).filter(|&index| matches(&self.all[index])).collect();
        self.columns_width = None;
        if let Some(run_id) = chosen {
            self.select(&run_id);
        }
        self.selected = self.selected.min(self.shown.len().saturating_sub(1));
    }

    /// Chooses a run, if it is shown.
    pub(super) fn select(&mut self, run_id: &RunId) {
        let place = self.shown().position(|run| run.id == *run_id);
        self.selected = place.unwrap_or(self.selected);
    }

    /// Brings what depends on the screen's size in line: the columns and the scrolling.
    pub(super) fn settle(&mut self, size: (u16, u16)) {
        if self.columns_width != Some(size.0) {
            let shown: Vec<&Run> = self.shown().collect();
            self.columns = columns::choose(&shown, usize::from(size.0.saturating_sub(4)));
            self.columns_width = Some(size.0);
        }
        let rows = self.rows(size).max(1);
        let last_offset = self.shown.len().saturating_sub(rows);
        self.offset = self.offset.min(last_offset).clamp((self.selected + 1).saturating_sub(rows), self.selected);
    }

    /// Where the table and what belongs to it stand.
    pub(super) fn layout(&self, size: (u16, u16)) -> RunsLayout {
        layout::runs(size, self.filter.rows(), self.all.len())
    }

    fn rows(&self, size: (u16, u16)) -> usize {
        layout::table_rows(self.layout(size).table)
    }

    /// Moves the choice.
    pub(super) fn move_by(&mut self, command: Command, size: (u16, u16)) {
        let page = self.rows(size).saturating_sub(1).max(1);
        self.selected = moved(self.selected, command, page, self.shown.len());
    }

    /// Sorts by the next column that can be sorted by.
    pub(super) fn sort_by_next(&mut self) {
        let keys: Vec<(String, bool)> = self
            .columns
            .iter()
            .filter_map(|column| Some((column.sort_key()?, starts_descending(&column.kind))))
            .collect();
        let current = keys.iter().position(|(key, _)| *key == self.sort.key);
        let next = current.map_or(0, |current| (current + 1) % keys.len().max(1));
        if let Some((key, descending)) = keys.into_iter().nth(next) {
            self.resort(SortKey { key, descending });
        }
    }

    /// Sorts the other way round.
    pub(super) fn reverse(&mut self) {
        self.resort(SortKey { descending: !self.sort.descending, ..self.sort.clone() });
    }

    fn resort(&mut self, key: SortKey) {
        self.sort = key;
        query::sort(&mut self.all, &self.sort);
        // What was sorted is looked at from its top.
        self.selected = 0;
        self.refilter(None);
    }

    /// Begins to type a filter.
    pub(super) fn start_input(&mut self) {
        self.filter.before = self.filter.text.clone();
        self.filter.input = Some(Input::new(&self.filter.text));
    }

    /// Shows all runs again.
    pub(super) fn drop_filter(&mut self) {
        self.filter.input = None;
        self.filter_by("");
    }

    fn filter_by(&mut self, text: &str) {
        self.filter.apply(text, self.now);
        let chosen = self.selected_run().map(|run| run.id);
        self.refilter(chosen);
    }

    /// A character of the filter was typed.
    pub(super) fn type_character(&mut self, character: char) {
        self.edit(|input| input.insert(character));
    }

    fn edit(&mut self, change: impl FnOnce(&mut Input)) {
        if let Some(input) = &mut self.filter.input {
            change(input);
            let text = input.text();
            self.filter_by(&text);
        }
    }

    /// A key while the filter is typed.
    pub(super) fn input_command(&mut self, command: Command) {
        match command {
            // A query that is not valid stays open, with what is wrong below it.
            Command::InputAccept if self.filter.error.is_none() => self.filter.input = None,
            Command::InputCancel => {
                self.filter.input = None;
                self.filter.error = None;
                let before = std::mem::take(&mut self.filter.before);
                self.filter_by(&before);
            }
            Command::InputErase => self.edit(Input::erase),
            Command::InputDelete => self.edit(Input::delete),
            Command::InputEraseWord => self.edit(Input::erase_word),
            Command::InputClear => self.edit(Input::clear),
            Command::InputLeft => self.edit(|input| input.move_by(-1)),
            Command::InputRight => self.edit(|input| input.move_by(1)),
            Command::InputStart => self.edit(|input| input.move_by(isize::MIN)),
            Command::InputEnd => self.edit(|input| input.move_by(isize::MAX)),
            _ => {}
        }
    }

    /// Asks for the sparklines on the screen that are missing or out of date, one request at a time.
    pub(super) fn wanted_sparks(&mut self, size: (u16, u16)) -> Option<Effect> {
        let column = self.columns.iter().find_map(|column| match &column.kind {
            Kind::Spark(metric) => Some((metric.clone(), column.width)),
            _ => None,
        });
        let (metric, width) = column?;
        if self.sparks_metric.as_ref() != Some(&metric) {
            self.sparks.clear();
            self.sparks_metric = Some(metric.clone());
        }
        if self.sparks_pending {
            return None;
        }
        let missing = |run: &&Run| {
            let has = self.sparks.get(&run.id).map(|(stamp, _)| *stamp);
            run.metrics.contains_key(&metric) && has != Some(stamp(run))
        };
        let visible = self.shown().skip(self.offset).take(self.rows(size));
        let runs: Vec<(RunId, Stamp)> = visible.filter(missing).map(|run| (run.id, stamp(run))).collect();
        if runs.is_empty() {
            return None;
        }
        self.sparks_pending = true;
        Some(Effect::LoadSparks { metric, width, runs })
    }

    /// Takes sparklines.
    pub(super) fn sparks_loaded(&mut self, metric: &str, sparks: Vec<Spark>) {
        self.sparks_pending = false;
        if self.sparks_metric.as_deref() == Some(metric) {
            self.sparks.extend(sparks.into_iter().map(|(run_id, stamp, values)| (run_id, (stamp, values))));
        }
    }
}

/// The best, the longest and the newest come first.
fn starts_descending(kind: &Kind) -> bool {
    match kind {
        Kind::Started | Kind::Duration => true,
        Kind::Metric(name) => !smaller_is_better(name),
        _ => false,
    }
}

/// Where a choice among `count` moves to.
pub(super) fn moved(from: usize, command: Command, page: usize, count: usize) -> usize {
    let last = count.saturating_sub(1);
    let to = match command {
        Command::Up => from.saturating_sub(1),
        Command::Down => from + 1,
        Command::PageUp => from.saturating_sub(page),
        Command::PageDown => from + page,
        Command::First => 0,
        Command::Last => last,
        _ => from,
    };
    to.min(last)
}
