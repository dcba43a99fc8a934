//! Which runs the table shows, in which order, and which one is chosen.

use std::collections::BTreeMap;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

use crate::id::RunId;
use crate::query::{Rank, SortKey};
use crate::run::{Run, RunStatus, smaller_is_better};

use super::super::super::context::Context;
use super::super::super::effects::{Change, Effect};
use super::super::super::keys::{Command, Scope};
use super::super::super::layout::{self, RunsLayout, split_top};
use super::super::super::list::{held, moved};
use super::super::super::mouse::{Mouse, MouseKind};
use super::super::super::overlay::{Confirm, Given, Item, Overlay, Picker, Purpose};
use super::super::super::theme::Theme;
use super::super::super::{parts, text};
use super::super::run::{self, Detail};
use super::super::{Place, Step, ViewState};
use super::columns::{self, Column, Kind};
use super::filter::Filter;
use super::load::{Answer, Request};
use super::table;

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

/// A run's sparkline, and what the run had come to then.
pub(in crate::tui) type Spark = (RunId, Stamp, Vec<f64>);

/// The table.
#[derive(Debug)]
pub(in crate::tui) struct RunsView {
    /// Places in the records of those that the filter lets through, in order.
    shown: Vec<usize>,
    /// The chosen one of `shown`, and which run that is.
    pub(in crate::tui) selected: usize,
    chosen: Option<RunId>,
    /// The first of `shown` on the screen.
    pub(in crate::tui) offset: usize,
    pub(in crate::tui) filter: Filter,
    pub(in crate::tui) sort: SortKey,
    pub(in crate::tui) columns: Vec<Column>,
    /// The width that `columns` were chosen for; none when they have to be chosen anew.
    columns_width: Option<u16>,
    /// The chosen run in short, where there is room.
    pub(in crate::tui) preview: Detail,
    sparks: BTreeMap<RunId, (Stamp, Vec<f64>)>,
    sparks_metric: Option<String>,
    sparks_pending: bool,
}

fn newest_first() -> SortKey {
    SortKey { key: "started".to_owned(), descending: true }
}

impl RunsView {
    /// A table before its runs are loaded.
    pub(in crate::tui) fn new() -> Self {
        Self {
            shown: Vec::new(),
            selected: 0,
            chosen: None,
            offset: 0,
            filter: Filter::default(),
            sort: newest_first(),
            columns: Vec::new(),
            columns_width: None,
            preview: Detail::default(),
            sparks: BTreeMap::new(),
            sparks_metric: None,
            sparks_pending: false,
        }
    }

    /// The runs that are shown, in order.
    pub(in crate::tui) fn shown<'c>(&self, context: &'c Context) -> impl ExactSizeIterator<Item = &'c Run> {
        let all = context.records.all();
        self.shown.iter().map(move |&index| &all[index])
    }

    /// The chosen run.
    pub(in crate::tui) fn selected_run<'c>(&self, context: &'c Context) -> Option<&'c Run> {
        self.shown.get(self.selected).map(|&index| &context.records.all()[index])
    }

    /// A run's sparkline.
    pub(in crate::tui) fn spark(&self, run_id: &RunId) -> &[f64] {
        self.sparks.get(run_id).map_or(&[], |(_, values)| values)
    }

    /// Takes new records in.
    pub(in crate::tui) fn relist(&mut self, context: &Context) {
        let runs = context.records.all();
        let query = &self.filter.query;
        let matches = |run: &Run| query.as_ref().is_none_or(|query| query.matches(run));
        self.shown = (0..runs.len()).filter(|&index| matches(&runs[index])).collect();
        if self.sort != newest_first()
            && let Some(field) = self.sort.field()
        {
            let mut ranked: Vec<(Rank, usize)> =
                self.shown.iter().map(|&index| (Rank::of(field.of(&runs[index])), index)).collect();
            ranked.sort_by(|(a, _), (b, _)| a.compare(b, self.sort.descending));
            self.shown = ranked.into_iter().map(|(_, index)| index).collect();
        }
        self.columns_width = None;
        // The chosen run stays chosen, wherever it is now.
        if let Some(run_id) = self.chosen {
            self.select(&run_id, context);
        }
        self.selected = self.selected.min(self.shown.len().saturating_sub(1));
    }

    /// Chooses a run, if it is shown.
    pub(in crate::tui) fn select(&mut self, run_id: &RunId, context: &Context) {
        let place = self.shown(context).position(|run| run.id == *run_id);
        self.selected = place.unwrap_or(self.selected);
    }

    /// The run beside one, which is chosen then.
    pub(in crate::tui) fn neighbour(&mut self, run_id: &RunId, step: Command, context: &Context) -> Option<RunId> {
        self.select(run_id, context);
        self.selected = moved(self.selected, step, 1, self.shown.len());
        self.chosen = self.selected_run(context).map(|run| run.id);
        self.chosen
    }

    /// Where the table and what belongs to it stand.
    pub(in crate::tui) fn layout(&self, context: &Context) -> RunsLayout {
        layout::runs(context.body(), self.filter.rows(), context.records.all().len())
    }

    fn rows(&self, context: &Context) -> usize {
        layout::table_rows(self.layout(context).table)
    }

    /// Sorts by the next column that can be sorted by.
    fn sort_by_next(&mut self, context: &Context) {
        let keys: Vec<(String, bool)> = self
            .columns
            .iter()
            .filter_map(|column| Some((column.sort_key()?, starts_descending(&column.kind))))
            .collect();
        let current = keys.iter().position(|(key, _)| *key == self.sort.key);
        let next = current.map_or(0, |current| (current + 1) % keys.len().max(1));
        if let Some((key, descending)) = keys.into_iter().nth(next) {
            self.resort(SortKey { key, descending }, context);
        }
    }

    fn sort_picker(&self) -> Overlay {
        let item = |key: String| Item { is_chosen: key == self.sort.key, label: key.clone(), key, note: String::new() };
        let items = self.columns.iter().filter_map(Column::sort_key).map(item).collect();
        Overlay::Picker(Picker::one(Purpose::SortBy, "Sort by".to_owned(), items))
    }

    fn resort(&mut self, key: SortKey, context: &Context) {
        self.sort = key;
        // What was sorted is looked at from its top.
        (self.selected, self.chosen) = (0, None);
        self.relist(context);
    }

    fn filter_by(&mut self, text: &str, context: &Context) {
        self.filter.apply(text, context.now);
        self.relist(context);
    }

    /// A key while the filter is typed.
    fn input_command(&mut self, command: Command, context: &Context) {
        match command {
            // A query that is not valid stays open, with what is wrong below it.
            Command::InputAccept if self.filter.error.is_none() => self.filter.input = None,
            Command::InputCancel => {
                let before = self.filter.take_back();
                self.filter_by(&before, context);
            }
            _ => {
                if self.filter.input.as_mut().is_some_and(|input| input.apply(command)) {
                    self.filter_by_input(context);
                }
            }
        }
    }

    fn filter_by_input(&mut self, context: &Context) {
        if let Some(text) = self.filter.input.as_ref().map(|input| input.text()) {
            self.filter_by(&text, context);
        }
    }

    fn sort_by_heading(&mut self, column: u16, area: Rect, context: &Context) {
        let mut x = usize::from(area.x) + 1;
        for heading in &self.columns {
            if (x..x + heading.width).contains(&usize::from(column)) {
                let Some(key) = heading.sort_key() else { return };
                let descending =
                    if key == self.sort.key { !self.sort.descending } else { starts_descending(&heading.kind) };
                return self.resort(SortKey { key, descending }, context);
            }
            x += heading.width + columns::GAP;
        }
    }

    /// Asks for the sparklines on the screen that are missing or out of date, one request at a time.
    fn wanted_sparks(&mut self, context: &Context) -> Option<Effect> {
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
        let visible = self.shown(context).skip(self.offset).take(self.rows(context));
        let runs: Vec<(RunId, Stamp)> = visible.filter(missing).map(|run| (run.id, stamp(run))).collect();
        if runs.is_empty() {
            return None;
        }
        self.sparks_pending = true;
        Some(Effect::Runs(Request::Sparks { metric, width, runs }))
    }

    /// Takes what was asked for.
    pub(in crate::tui) fn loaded(&mut self, answer: Answer) {
        match answer {
            Answer::Sparks(metric, sparks) => {
                self.sparks_pending = false;
                if self.sparks_metric.as_ref() == Some(&metric) {
                    self.sparks.extend(sparks.into_iter().map(|(run_id, stamp, values)| (run_id, (stamp, values))));
                }
            }
        }
    }
}

impl ViewState for RunsView {
    fn scope(&self) -> Scope {
        if self.filter.input.is_some() { Scope::Typing } else { Scope::Runs }
    }

    fn command(&mut self, command: Command, context: &Context) -> Vec<Step> {
        if self.filter.input.is_some() {
            self.input_command(command, context);
            return Vec::new();
        }
        let selected = self.selected_run(context).map(|run| run.id);
        match command {
            Command::Open => return selected.map(|run_id| Step::Go(Place::Run(run_id))).into_iter().collect(),
            Command::Mark => {
                let marked = selected.map(Step::Mark).into_iter().collect();
                self.selected = moved(self.selected, Command::Down, 1, self.shown.len());
                self.chosen = self.selected_run(context).map(|run| run.id);
                return marked;
            }
            Command::Note => return self.selected_run(context).map(run::ask_for_note).into_iter().collect(),
            Command::Remove => return self.selected_run(context).map(ask_to_remove).into_iter().collect(),
            Command::SortBy => return vec![Step::Open(self.sort_picker())],
            Command::Filter => self.filter.start(),
            Command::Back => {
                self.filter.input = None;
                self.filter_by("", context);
            }
            Command::Sort => self.sort_by_next(context),
            Command::ReverseSort => {
                let turned = SortKey { descending: !self.sort.descending, ..self.sort.clone() };
                self.resort(turned, context);
            }
            _ => {
                let page = self.rows(context).saturating_sub(1).max(1);
                self.selected = moved(self.selected, command, page, self.shown.len());
                self.chosen = self.selected_run(context).map(|run| run.id);
            }
        }
        Vec::new()
    }

    fn type_character(&mut self, character: char, context: &Context) -> Vec<Step> {
        if let Some(input) = &mut self.filter.input {
            input.insert(character);
            self.filter_by_input(context);
        }
        Vec::new()
    }

    fn mouse(&mut self, mouse: Mouse, context: &Context) -> Vec<Step> {
        let (heading, body) = split_top(parts::inside(self.layout(context).table), 1);
        match mouse.kind {
            MouseKind::WheelUp => return self.command(Command::Up, context),
            MouseKind::WheelDown => return self.command(Command::Down, context),
            MouseKind::Press if mouse.is_in(heading) => self.sort_by_heading(mouse.column, heading, context),
            MouseKind::Press | MouseKind::DoublePress => {
                let row = mouse.row_in(body).map(|row| self.offset + row).filter(|row| *row < self.shown.len());
                if let Some(row) = row {
                    self.selected = row;
                    self.chosen = self.selected_run(context).map(|run| run.id);
                    if mouse.kind == MouseKind::DoublePress {
                        return self.command(Command::Open, context);
                    }
                }
            }
            MouseKind::Drag | MouseKind::Release => {}
        }
        Vec::new()
    }

    fn given(&mut self, purpose: &Purpose, given: Given, context: &Context) -> Vec<Step> {
        match (purpose, given) {
            (Purpose::Remove(run_id), Given::Yes) => vec![Step::Do(Effect::Change(Change::Remove(*run_id)))],
            (Purpose::SortBy, Given::Chosen(keys)) => {
                for key in keys {
                    let column = self.columns.iter().find(|column| column.sort_key().as_ref() == Some(&key));
                    let descending = column.is_some_and(|column| starts_descending(&column.kind));
                    self.resort(SortKey { key, descending }, context);
                }
                Vec::new()
            }
            (purpose, given) => run::noted(purpose, given),
        }
    }

    fn settle(&mut self, context: &Context) {
        if self.columns_width != Some(context.size.0) {
            let shown: Vec<&Run> = self.shown(context).collect();
            self.columns = columns::choose(&shown, usize::from(context.size.0.saturating_sub(4)));
            self.columns_width = Some(context.size.0);
        }
        self.offset = held(self.offset, self.selected, self.rows(context), self.shown.len());
    }

    fn wanted(&mut self, context: &Context) -> Vec<Effect> {
        let mut effects: Vec<Effect> = self.wanted_sparks(context).into_iter().collect();
        if let (Some(_), Some(run)) = (self.layout(context).preview, self.selected_run(context)) {
            self.preview.show(run.id);
            effects.extend(self.preview.wanted_series(context));
        }
        effects
    }

    fn draw(&self, context: &Context, theme: &Theme, _area: Rect, buffer: &mut Buffer) {
        table::draw(self, context, theme, buffer);
    }
}

/// Asks whether to remove a run from the lists.
fn ask_to_remove(run: &Run) -> Step {
    if run.status == RunStatus::Running {
        return Step::word("this run is in progress; it can be removed when it has ended");
    }
    let lines = [
        format!("{} will not be listed any more.", text::clean(&run.name)),
        "Its record, its code and its artifacts stay in git.".to_owned(),
    ];
    let lines = lines.into_iter().map(Line::from).collect();
    Step::Open(Overlay::Confirm(Confirm::new(Purpose::Remove(run.id), "Remove the run?".to_owned(), lines)))
}

/// The best, the longest and the newest come first.
fn starts_descending(kind: &Kind) -> bool {
    match kind {
        Kind::Started | Kind::Duration => true,
        Kind::Metric(name) => !smaller_is_better(name),
        _ => false,
    }
}
