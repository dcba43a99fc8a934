//! Which runs the table shows, in which order, and which one is chosen.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line as TextLine;

use crate::catalog::{Names, Row, Table, TableSpec};
use crate::id::RunId;
use crate::query::{Aspect, Attribute, Field, SortKey, Value};
use crate::run::{Run, RunStatus, smaller_is_better};

use super::super::super::context::{Context, Load};
use super::super::super::effects::{Change, Effect};
use super::super::super::keys::{Command, Scope};
use super::super::super::layout::{self, RunsLayout, split_top};
use super::super::super::list::{held, moved};
use super::super::super::memory::Memory;
use super::super::super::mouse::{Mouse, MouseKind};
use super::super::super::overlay::{Confirm, Given, Overlay, Purpose};
use super::super::super::theme::Theme;
use super::super::super::{parts, text};
use super::super::run::{self, Detail};
use super::super::{Place, Step, ViewState};
use super::columns::{self, Column, Kind, status_of};
use super::complete::complete;
use super::filter::Filter;
use super::find::Find;
use super::lines::{Line, Lines};
use super::load::{Answer, Request, Sheet, TableRequest};
use super::{choosers, table};

/// Runs are looked at this often, unless that takes long.
const REFRESH: SignedDuration = SignedDuration::from_millis(500);

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
    asked: Option<TableRequest>,
    asked_at: Timestamp,
    pause: SignedDuration,
    pending: bool,
    lines: Lines,
    /// The chosen line.
    pub(in crate::tui) selected: usize,
    /// The run that was chosen by hand, which stays chosen wherever it goes.
    chosen: Option<RunId>,
    /// The first line on the screen.
    pub(in crate::tui) offset: usize,
    pub(in crate::tui) filter: Filter,
    /// The name that is being looked for.
    pub(in crate::tui) find: Option<Find>,
    pub(in crate::tui) sort: SortKey,
    pub(in crate::tui) group: Option<Field>,
    folded: BTreeSet<String>,
    /// The columns that the user chose; none lets them follow from the runs.
    kinds: Option<Vec<Kind>>,
    pub(in crate::tui) columns: Vec<Column>,
    /// The sheet and the width that `columns` were made for.
    columns_for: Option<(u64, u16)>,
    /// The chosen run in short, where there is room.
    pub(in crate::tui) preview: Detail,
    names: Option<Names>,
    names_asked: bool,
    /// What is to be opened when the names are there.
    opens: Option<Command>,
    sparks: BTreeMap<(RunId, String), (Stamp, Vec<f64>)>,
    sparks_pending: bool,
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

    fn request(&self) -> TableRequest {
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

    fn table_loaded(
        &mut self,
        request: &TableRequest,
        result: Result<Option<Sheet>, super::super::super::source::Problem>,
        context: &Context,
    ) {
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
    fn relist(&mut self) {
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
    fn choose(&mut self, line: usize) {
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

    fn screen_rows(&self, context: &Context) -> usize {
        layout::table_rows(self.layout(context).table)
    }

    /// Sorts by the next column that can be sorted by.
    fn sort_by_next(&mut self) {
        let keys: Vec<String> = self.columns.iter().filter_map(Column::sort_key).collect();
        let current = keys.iter().position(|key| *key == self.sort.key);
        let next = current.map_or(0, |current| (current + 1) % keys.len().max(1));
        if let Some(key) = keys.into_iter().nth(next) {
            self.sort_by(key);
        }
    }

    fn sort_by(&mut self, key: String) {
        let descending = Kind::parse(&key).is_some_and(|kind| starts_descending(&kind));
        self.resort(SortKey { key, descending });
    }

    fn resort(&mut self, key: SortKey) {
        self.sort = key;
        // What was sorted is looked at from its top.
        (self.selected, self.chosen) = (0, None);
    }

    /// A key while the filter is typed.
    fn filter_command(&mut self, command: Command, context: &Context) {
        match command {
            // A query that is not valid stays open, with what is wrong below it.
            Command::InputAccept if self.filter.error.is_none() => self.filter.input = None,
            Command::InputCancel => {
                let before = self.filter.take_back();
                self.filter.apply(&before, context.now);
            }
            Command::Complete => {
                if self.filter.complete() {
                    self.apply_input(context);
                }
            }
            _ => {
                if self.filter.input.as_mut().is_some_and(|input| input.apply(command)) {
                    self.apply_input(context);
                    self.offer();
                }
            }
        }
    }

    fn apply_input(&mut self, context: &Context) {
        if let Some(text) = self.filter.input.as_ref().map(|input| input.text()) {
            self.filter.apply(&text, context.now);
        }
    }

    /// Offers what the query may go on with.
    fn offer(&mut self) {
        let values = |field: &Field| {
            self.table().map_or_else(Vec::new, |table| table.texts(field).into_iter().map(str::to_owned).collect())
        };
        let completion = complete(&self.filter.before_cursor(), self.names.as_ref(), &values);
        self.filter.offer(completion);
    }

    /// A key while a name is looked for.
    fn find_command(&mut self, command: Command) {
        let Some(find) = &mut self.find else { return };
        match command {
            Command::InputAccept => self.find = None,
            Command::InputCancel => {
                let before = find.before;
                self.find = None;
                self.choose(before);
            }
            Command::Up | Command::Down => {
                find.step(command == Command::Down);
                self.choose_found();
            }
            _ => {
                if find.input.apply(command) {
                    self.look();
                }
            }
        }
    }

    fn look(&mut self) {
        let Some(mut find) = self.find.take() else { return };
        if let Some(table) = self.table() {
            let name = Field::Attribute(Attribute::Name);
            find.look(table.rows_from(0).map(|row| match row.value(&name) {
                Some(Value::Text(name)) => name,
                _ => std::borrow::Cow::Borrowed(""),
            }));
        }
        self.find = Some(find);
        self.choose_found();
    }

    fn choose_found(&mut self) {
        let Some(row) = self.find.as_ref().and_then(Find::row) else { return };
        let line = self.lines.of_row(row);
        // A run in a folded group has to be seen.
        if let Some(Line::Group(group)) = self.lines.at(line) {
            self.fold(group, false);
        }
        self.choose(self.lines.of_row(row));
    }

    fn fold(&mut self, group: usize, is_folded: bool) {
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

    fn fold_all(&mut self) {
        let labels: BTreeSet<String> = self.lines.groups().iter().map(|group| group.label.clone()).collect();
        let group = self.lines.group_of(self.selected);
        self.folded = if self.folded.is_superset(&labels) { BTreeSet::new() } else { labels };
        self.relist();
        if let Some(group) = group {
            self.choose(self.lines.of_group(group));
        }
    }

    fn sort_by_heading(&mut self, column: u16, area: Rect) {
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

    /// Opens a list that is made of the names of metrics, parameters and tags, as soon as they are there.
    fn open_chooser(&mut self, command: Command) -> Vec<Step> {
        let Some(names) = &self.names else {
            self.opens = Some(command);
            return Vec::new();
        };
        let overlay = match command {
            Command::Columns => {
                let shown: Vec<Kind> = match &self.kinds {
                    Some(kinds) => kinds.clone(),
                    None => self.columns.iter().map(|column| column.kind.clone()).collect(),
                };
                choosers::columns(&shown, names)
            }
            Command::GroupBy => choosers::groups(self.group.as_ref(), names),
            _ => choosers::sort(&self.sort.key, names),
        };
        vec![Step::Open(overlay)]
    }

    /// Asks for the sparklines on the screen that are missing or out of date, one request at a time.
    fn wanted_sparks(&mut self, context: &Context) -> Option<Effect> {
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

    fn wanted_names(&mut self) -> Option<Effect> {
        let wants = self.filter.input.is_some() || self.opens.is_some();
        if !wants || self.names.is_some() || std::mem::replace(&mut self.names_asked, true) {
            return None;
        }
        Some(Effect::Runs(Request::Names))
    }

    fn selected_run<'c>(&self, context: &'c Context) -> Option<&'c Run> {
        context.records.get(&self.selected_row()?.id())
    }

    /// Asks whether to remove the chosen run from the lists.
    fn ask_to_remove(&self) -> Option<Step> {
        let row = self.selected_row()?;
        if status_of(&row) == RunStatus::Running {
            return Some(Step::word("this run is in progress; it can be removed when it has ended"));
        }
        let name = columns::plain(row.value(&Field::Attribute(Attribute::Name)), Timestamp::UNIX_EPOCH);
        let lines = [
            format!("{} will not be listed any more.", text::clean(&name)),
            "Its record, its code and its artifacts stay in git.".to_owned(),
        ];
        let lines = lines.into_iter().map(TextLine::from).collect();
        let confirm = Confirm::new(Purpose::Remove(row.id()), "Remove the run?".to_owned(), lines);
        Some(Step::Open(Overlay::Confirm(confirm)))
    }
}

impl ViewState for RunsView {
    fn scope(&self) -> Scope {
        match (&self.filter.input, &self.find) {
            (Some(_), _) => Scope::Typing,
            (None, Some(_)) => Scope::Find,
            (None, None) => Scope::Runs,
        }
    }

    fn command(&mut self, command: Command, context: &Context) -> Vec<Step> {
        if self.filter.input.is_some() {
            self.filter_command(command, context);
            return Vec::new();
        }
        if self.find.is_some() {
            self.find_command(command);
            return Vec::new();
        }
        let selected = self.selected_row().map(|row| row.id());
        let group = self.lines.group_of(self.selected);
        let on_heading = matches!(self.lines.at(self.selected), Some(Line::Group(_)));
        match command {
            Command::Open | Command::Toggle if on_heading => {
                if let Some(place) = group {
                    let is_folded = self.lines.groups().get(place).is_some_and(|group| group.is_folded);
                    self.fold(place, !is_folded);
                }
            }
            Command::Open => return selected.map(|run_id| Step::Go(Place::Run(run_id))).into_iter().collect(),
            Command::Left => {
                if let Some(group) = group {
                    self.fold(group, true);
                }
            }
            Command::FoldAll => self.fold_all(),
            Command::Mark => {
                self.choose(moved(self.selected, Command::Down, 1, self.lines.count()));
                return selected.map(Step::Mark).into_iter().collect();
            }
            Command::Note => return self.selected_run(context).map(run::ask_for_note).into_iter().collect(),
            Command::Remove => return self.ask_to_remove().into_iter().collect(),
            Command::CopyId => return selected.map(|run_id| Step::copy(run_id.to_string())).into_iter().collect(),
            Command::CopyCommit => {
                let commit = self.selected_row().and_then(|row| row.value(&Field::Attribute(Attribute::Commit)));
                return match commit {
                    Some(Value::Text(commit)) => vec![Step::copy(commit.into_owned())],
                    _ => vec![Step::word("this run has no commit")],
                };
            }
            Command::ShowCommit => return self.selected_run(context).map(run::show_commit).into_iter().collect(),
            Command::SortBy | Command::Columns | Command::GroupBy => return self.open_chooser(command),
            Command::Filter => {
                self.filter.start();
                self.offer();
            }
            Command::Find => self.find = Some(Find::new(self.selected)),
            Command::Back => self.filter.apply("", context.now),
            Command::Sort => self.sort_by_next(),
            Command::ReverseSort => {
                let turned = SortKey { descending: !self.sort.descending, ..self.sort.clone() };
                self.resort(turned);
            }
            _ => {
                let page = self.screen_rows(context).saturating_sub(1).max(1);
                self.choose(moved(self.selected, command, page, self.lines.count()));
            }
        }
        Vec::new()
    }

    fn type_character(&mut self, character: char, context: &Context) -> Vec<Step> {
        if let Some(input) = &mut self.filter.input {
            input.insert(character);
            self.apply_input(context);
            self.offer();
        } else if let Some(find) = &mut self.find {
            find.input.insert(character);
            self.look();
        }
        Vec::new()
    }

    fn mouse(&mut self, mouse: Mouse, context: &Context) -> Vec<Step> {
        let (heading, body) = split_top(parts::inside(self.layout(context).table), 1);
        match mouse.kind {
            MouseKind::WheelUp => self.choose(self.selected.saturating_sub(3)),
            MouseKind::WheelDown => self.choose(self.selected + 3),
            MouseKind::Press if mouse.is_in(heading) => self.sort_by_heading(mouse.column, heading),
            MouseKind::Press | MouseKind::DoublePress => {
                let line = mouse.row_in(body).map(|row| self.offset + row).filter(|line| *line < self.lines.count());
                if let Some(line) = line {
                    self.choose(line);
                    if mouse.kind == MouseKind::DoublePress && self.filter.input.is_none() && self.find.is_none() {
                        return self.command(Command::Open, context);
                    }
                }
            }
            MouseKind::Drag | MouseKind::Release => {}
        }
        Vec::new()
    }

    fn given(&mut self, purpose: &Purpose, given: Given, _context: &Context) -> Vec<Step> {
        match (purpose, given) {
            (Purpose::Remove(run_id), Given::Yes) => return vec![Step::Do(Effect::Change(Change::Remove(*run_id)))],
            (Purpose::SortBy, Given::Chosen(keys)) => keys.into_iter().for_each(|key| self.sort_by(key)),
            (Purpose::GroupBy, Given::Chosen(keys)) => {
                self.group = keys.first().and_then(|key| SortKey::parse(key).ok()?.field());
                self.folded.clear();
                self.relist();
            }
            (Purpose::Columns, Given::Chosen(keys)) => {
                let kinds: Vec<Kind> = keys.iter().filter_map(|key| Kind::parse(key)).collect();
                // Without any, they follow from the runs again.
                self.kinds = (!kinds.is_empty()).then_some(kinds);
                self.columns_for = None;
            }
            (purpose, given) => return run::noted(purpose, given),
        }
        Vec::new()
    }

    fn settle(&mut self, context: &Context) {
        if let Load::Ready(sheet) = &self.sheet {
            let wanted = (sheet.number, context.size.0);
            if self.columns_for != Some(wanted) {
                let width = usize::from(context.size.0.saturating_sub(4));
                self.columns = match &self.kinds {
                    Some(kinds) => columns::chosen(kinds, &sheet.table, width, context.now),
                    None => columns::choose(&sheet.suggested, &sheet.table, width, context.now),
                };
                self.columns_for = Some(wanted);
            }
        }
        self.offset = held(self.offset, self.selected, self.screen_rows(context), self.lines.count());
    }

    fn needs(&self, _context: &Context) -> Vec<RunId> {
        self.selected_row().map(|row| row.id()).into_iter().collect()
    }

    fn wanted(&mut self, context: &Context) -> Vec<Effect> {
        let mut effects: Vec<Effect> = self.wanted_sparks(context).into_iter().collect();
        effects.extend(self.wanted_names());
        if let (Some(_), Some(run_id)) = (self.layout(context).preview, self.selected_row().map(|row| row.id())) {
            self.preview.show(run_id);
            effects.extend(self.preview.wanted_charts(context));
        }
        effects
    }

    fn draw(&self, context: &Context, theme: &Theme, _area: Rect, buffer: &mut Buffer) {
        table::draw(self, context, theme, buffer);
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
