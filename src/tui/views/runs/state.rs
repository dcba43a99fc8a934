//! Which runs the table shows, in which order, and which one is chosen.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use ratatui::layout::Rect;

use crate::catalog::{Names, Row, Table, TableSpec};
use crate::id::RunId;
use crate::query::{Aspect, Attribute, Field, SortKey};
use crate::run::{Run, RunStatus, smaller_is_better};

use super::super::super::context::{Context, Load};
use super::super::super::effects::Effect;
use super::super::super::keys::Command;
use super::super::super::layout::{self, RunsLayout};
use super::super::super::list::moved;
use super::super::super::memory::Memory;
use super::super::super::source::Problem;
use super::super::run::Detail;
use super::super::{Step, ViewState};
use super::columns::{self, Column, Kind, status_of};
use super::filter::Filter;
use super::find::Find;
use super::lines::{Line, Lines};
use super::load::{Answer, Request, Sheet, TableRequest};
use super::table;

/// Runs are looked at this often, unless that takes long.
const REFRESH: SignedDuration = SignedDuration::from_millis(500);

/// Sparklines that are kept; who has seen more is elsewhere by now.
const SPARKS: usize = 5000;

/// What a run has come to: what was loaded for another stamp is out of date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::tui) struct Stamp {
    pub(in crate::tui) status: RunStatus,
    points: u64,
}

/// The stamp of a run.
pub(in crate::tui) fn stamp(run: &Run) -> Stamp {
    Stamp { status: run.status, points: run.metrics.values().map(|metric| metric.count).sum() }
}

/// The stamp of a row. What is recorded does not get more points.
fn stamp_of(row: &Row<'_>) -> Stamp {
    match row {
        Row::Live(run) => stamp(run),
        Row::Recorded(_) => Stamp { status: status_of(row), points: u64::MAX },
    }
}

/// A run's sparkline, and what the run had come to then.
pub(in crate::tui) type Spark = (RunId, Stamp, Vec<f64>);

/// The table.
#[derive(Debug)]
pub(in crate::tui) struct RunsView {
    /// The rows.
    pub(in crate::tui) sheet: Load<Sheet>,
    pub(super) asked: Option<TableRequest>,
    pub(super) asked_at: Timestamp,
    pub(super) pause: SignedDuration,
    pub(super) pending: bool,
    pub(super) lines: Lines,
    /// The chosen line.
    pub(in crate::tui) selected: usize,
    /// The run that was chosen by hand, which stays chosen wherever it goes.
    pub(super) chosen: Option<RunId>,
    /// The first line on the screen.
    pub(in crate::tui) offset: usize,
    pub(in crate::tui) filter: Filter,
    /// The name that is being looked for.
    pub(in crate::tui) find: Option<Find>,
    pub(in crate::tui) sort: SortKey,
    pub(in crate::tui) group: Option<Field>,
    pub(super) folded: BTreeSet<String>,
    /// The columns that the user chose; none lets them follow from the runs.
    pub(super) kinds: Option<Vec<Kind>>,
    pub(in crate::tui) columns: Vec<Column>,
    /// The sheet and the width that `columns` were made for.
    pub(super) columns_for: Option<(u64, u16)>,
    /// The chosen run in short, where there is room.
    pub(in crate::tui) preview: Detail,
    pub(super) names: Option<Names>,
    pub(super) names_asked: bool,
    /// What is to be opened when the names are there.
    pub(super) opens: Option<Command>,
    pub(super) sparks: BTreeMap<(RunId, String), (Stamp, Vec<f64>)>,
    pub(super) sparks_pending: bool,
}

fn newest_first() -> SortKey {
    SortKey { key: "started".to_owned(), descending: true }
}

impl RunsView {
    /// A table before its runs are loaded.
    pub(in crate::tui) fn new() -> Self {
        Self {
            sheet: Load::Waiting,
            asked: None,
            asked_at: Timestamp::UNIX_EPOCH,
            pause: REFRESH,
            pending: false,
            lines: Lines::default(),
            selected: 0,
            chosen: None,
            offset: 0,
            filter: Filter::default(),
            find: None,
            sort: newest_first(),
            group: None,
            folded: BTreeSet::new(),
            kinds: None,
            columns: Vec::new(),
            columns_for: None,
            preview: Detail::default(),
            names: None,
            names_asked: false,
            opens: None,
            sparks: BTreeMap::new(),
            sparks_pending: false,
        }
    }

    /// The rows, if they are there.
    pub(in crate::tui) fn table(&self) -> Option<&Table> {
        self.sheet.ready().map(|sheet| &sheet.table)
    }

    /// The lines.
    pub(super) fn lines(&self) -> &Lines {
        &self.lines
    }

    /// The row of a line; none of a heading.
    pub(in crate::tui) fn row_at(&self, line: usize) -> Option<Row<'_>> {
        match self.lines.at(line)? {
            Line::Row(row) => self.table()?.row(row),
            Line::Group(_) => None,
        }
    }

    /// The chosen row.
    pub(in crate::tui) fn selected_row(&self) -> Option<Row<'_>> {
        self.row_at(self.selected)
    }

    /// A run's sparkline of a metric.
    pub(in crate::tui) fn spark(&self, run_id: &RunId, metric: &str) -> &[f64] {
        // Looked up by a pair of its own: a few dozen a frame.
        self.sparks.get(&(*run_id, metric.to_owned())).map_or(&[], |(_, values)| values)
    }

    /// What the user left here, for the next time.
    pub(in crate::tui) fn remember(&self, memory: &mut Memory) {
        memory.filter.clone_from(&self.filter.text);
        memory.sort = if self.sort.descending { format!("-{}", self.sort.key) } else { self.sort.key.clone() };
        memory.group = self.group.as_ref().map(Field::to_string).unwrap_or_default();
        memory.columns = self.kinds.iter().flatten().map(Kind::key).collect();
    }

    /// Takes what the user left here the last time; what it does not understand stays as it is.
    pub(in crate::tui) fn recall(&mut self, memory: &Memory, now: Timestamp) {
        self.filter.apply(&memory.filter, now);
        self.filter.error = None;
        if let Ok(sort) = SortKey::parse(&memory.sort) {
            self.sort = sort;
        }
        self.group = SortKey::parse(&memory.group).ok().and_then(|key| key.field());
        let kinds: Vec<Kind> = memory.columns.iter().filter_map(|key| Kind::parse(key)).collect();
        self.kinds = (!kinds.is_empty()).then_some(kinds);
    }

    pub(super) fn request(&self) -> TableRequest {
        let mut fields = columns::base_fields();
        fields.extend(self.kinds.iter().flatten().flat_map(Kind::fields));
        fields.extend(self.group.clone());
        let group = self.group.as_ref().map(|field| SortKey { key: field.to_string(), descending: false });
        // The newest come first where nothing else is asked for.
        let sort = group.into_iter().chain((self.sort != newest_first()).then(|| self.sort.clone())).collect();
        TableRequest {
            spec: TableSpec { query: self.filter.query.clone(), sort, fields },
            suggests: self.kinds.is_none(),
            has: self.sheet.ready().map_or(0, |sheet| sheet.number),
        }
    }

    /// Asks for the rows, if they are due or if others are wanted than were asked for.
    pub(in crate::tui) fn refresh(&mut self, context: &Context) -> Option<Effect> {
        let request = self.request();
        let is_other =
            self.asked.as_ref().is_none_or(|asked| (&asked.spec, asked.suggests) != (&request.spec, request.suggests));
        let is_due = !self.pending && context.now.duration_since(self.asked_at) >= self.pause;
        (is_other || is_due).then(|| self.ask(request, context))
    }

    /// Asks for the rows in any case: something was changed.
    pub(in crate::tui) fn reload(&mut self, context: &Context) -> Effect {
        let request = self.request();
        self.ask(request, context)
    }

    fn ask(&mut self, request: TableRequest, context: &Context) -> Effect {
        self.pending = true;
        self.asked_at = context.now;
        self.asked = Some(request.clone());
        Effect::Runs(Request::Table(request))
    }

    /// Takes what was asked for.
    pub(in crate::tui) fn loaded(&mut self, answer: Answer, context: &Context) -> Vec<Step> {
        match answer {
            Answer::Table(request, result) => self.table_loaded(&request, result, context),
            Answer::Sparks(metric, sparks) => {
                self.sparks_pending = false;
                if self.sparks.len() > SPARKS {
                    self.sparks.clear();
                }
                let keyed = |(run_id, stamp, values)| ((run_id, metric.clone()), (stamp, values));
                self.sparks.extend(sparks.into_iter().map(keyed));
            }
            Answer::Names(Ok(names)) => {
                self.names = Some(names);
                self.offer();
                if let Some(command) = self.opens.take() {
                    return self.command(command, context);
                }
            }
            Answer::Names(Err(problem)) => {
                self.names_asked = false;
                return vec![Step::error(problem)];
            }
        }
        Vec::new()
    }

    fn table_loaded(&mut self, request: &TableRequest, result: Result<Option<Sheet>, Problem>, context: &Context) {
        // What was asked for before something else was is not wanted any more.
        if self.asked.as_ref() != Some(request) {
            return;
        }
        self.pending = false;
        // A look that takes long is taken less often, so that at most a fifth of a core goes into it.
        self.pause = REFRESH.max(context.now.duration_since(self.asked_at).saturating_mul(5));
        match result {
            Ok(Some(sheet)) => {
                self.sheet = Load::Ready(sheet);
                self.relist();
            }
            Ok(None) => {}
            Err(problem) => {
                self.sheet = Load::Failed(problem);
                self.relist();
            }
        }
    }

    /// Makes the lines of the rows; what is chosen stays chosen, wherever it is now.
    pub(super) fn relist(&mut self) {
        self.lines = match (self.sheet.ready(), &self.group) {
            (None, _) => Lines::default(),
            (Some(sheet), None) => Lines::flat(sheet.table.len()),
            (Some(sheet), Some(field)) => {
                let label = |row: Row<'_>| table::group_label(field, row.value(field));
                Lines::grouped(sheet.table.rows_from(0).map(label), &self.folded)
            }
        };
        self.columns_for = None;
        if let Some(row) = self.chosen.and_then(|run_id| self.table()?.position(&run_id)) {
            self.selected = self.lines.of_row(row);
        }
        self.selected = self.selected.min(self.lines.count().saturating_sub(1));
    }

    /// Chooses a line by hand.
    pub(super) fn choose(&mut self, line: usize) {
        self.selected = line.min(self.lines.count().saturating_sub(1));
        self.chosen = self.selected_row().map(|row| row.id());
    }

    /// The run beside one, which is chosen then.
    pub(in crate::tui) fn neighbour(&mut self, run_id: &RunId, step: Command) -> Option<RunId> {
        let row = self.table()?.position(run_id).map_or(self.selected, |row| self.lines.of_row(row));
        let mut line = row;
        loop {
            let next = moved(line, step, 1, self.lines.count());
            if next == line {
                self.choose(row);
                return self.chosen;
            }
            line = next;
            if self.row_at(line).is_some() {
                self.choose(line);
                return self.chosen;
            }
        }
    }

    /// Where the table and what belongs to it stand.
    pub(in crate::tui) fn layout(&self, context: &Context) -> RunsLayout {
        let below = if self.find.is_some() { 1 } else { self.filter.rows() };
        layout::runs(context.body(), below, self.table().map_or(0, Table::known))
    }

    pub(super) fn screen_rows(&self, context: &Context) -> usize {
        layout::table_rows(self.layout(context).table)
    }

    /// Sorts by the next column that can be sorted by.
    pub(super) fn sort_by_next(&mut self) {
        let keys: Vec<String> = self.columns.iter().filter_map(Column::sort_key).collect();
        let current = keys.iter().position(|key| *key == self.sort.key);
        let next = current.map_or(0, |current| (current + 1) % keys.len().max(1));
        if let Some(key) = keys.into_iter().nth(next) {
            self.sort_by(key);
        }
    }

    pub(super) fn sort_by(&mut self, key: String) {
        let descending = Kind::parse(&key).is_some_and(|kind| starts_descending(&kind));
        self.resort(SortKey { key, descending });
    }

    pub(super) fn resort(&mut self, key: SortKey) {
        self.sort = key;
        // What was sorted is looked at from its top.
        (self.selected, self.chosen) = (0, None);
    }

    pub(super) fn fold(&mut self, group: usize, is_folded: bool) {
        let Some(label) = self.lines.groups().get(group).map(|group| group.label.clone()) else { return };
        if is_folded {
            self.folded.insert(label)
        } else {
            self.folded.remove(&label)
        };
        self.chosen = None;
        self.relist();
        self.choose(self.lines.of_group(group));
    }

    pub(super) fn fold_all(&mut self) {
        let labels: BTreeSet<String> = self.lines.groups().iter().map(|group| group.label.clone()).collect();
        let group = self.lines.group_of(self.selected);
        self.folded = if self.folded.is_superset(&labels) { BTreeSet::new() } else { labels };
        self.relist();
        if let Some(group) = group {
            self.choose(self.lines.of_group(group));
        }
    }

    pub(super) fn sort_by_heading(&mut self, column: u16, area: Rect) {
        let mut x = usize::from(area.x) + 1;
        for heading in &self.columns {
            if (x..x + heading.width).contains(&usize::from(column)) {
                let Some(key) = heading.sort_key() else { return };
                if key != self.sort.key {
                    return self.sort_by(key);
                }
                return self.resort(SortKey { descending: !self.sort.descending, key });
            }
            x += heading.width + columns::GAP;
        }
    }

    /// Asks for the sparklines on the screen that are missing or out of date, one request at a time.
    pub(super) fn wanted_sparks(&mut self, context: &Context) -> Option<Effect> {
        if self.sparks_pending {
            return None;
        }
        for column in &self.columns {
            let Kind::Spark(metric) = &column.kind else { continue };
            let field = Field::Metric(metric.clone(), Aspect::Last);
            let is_missing = |row: &Row<'_>| {
                let has = self.sparks.get(&(row.id(), metric.clone())).map(|(stamp, _)| *stamp);
                row.value(&field).is_some() && has != Some(stamp_of(row))
            };
            let visible = (self.offset..self.offset + self.screen_rows(context)).filter_map(|line| self.row_at(line));
            let runs: Vec<(RunId, Stamp)> = visible.filter(is_missing).map(|row| (row.id(), stamp_of(&row))).collect();
            if !runs.is_empty() {
                let (metric, width) = (metric.clone(), column.width);
                self.sparks_pending = true;
                return Some(Effect::Runs(Request::Sparks { metric, width, runs }));
            }
        }
        None
    }

    pub(super) fn wanted_names(&mut self) -> Option<Effect> {
        let wants = self.filter.input.is_some() || self.opens.is_some();
        if !wants || self.names.is_some() || std::mem::replace(&mut self.names_asked, true) {
            return None;
        }
        Some(Effect::Runs(Request::Names))
    }
}

/// The best, the longest and the newest come first.
fn starts_descending(kind: &Kind) -> bool {
    match kind {
        Kind::Value(Field::Attribute(Attribute::Started | Attribute::Ended | Attribute::Duration)) => true,
        Kind::Value(Field::Metric(name, _)) => !smaller_is_better(name),
        Kind::Value(_) | Kind::Spark(_) => false,
    }
}
