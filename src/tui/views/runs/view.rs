//! What keys and the mouse do to the table of runs.

use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::id::RunId;
use crate::query::{Attribute, Field, SortKey, Value};
use crate::run::{Run, RunStatus};

use super::super::super::context::{Context, Load};
use super::super::super::effects::{Change, Effect};
use super::super::super::keys::{Command, Scope};
use super::super::super::layout::split_top;
use super::super::super::list::{held, moved};
use super::super::super::mouse::{Mouse, MouseKind};
use super::super::super::overlay::{Confirm, Given, Overlay, Purpose, Tone};
use super::super::super::theme::Theme;
use super::super::super::{parts, text};
use super::super::run;
use super::super::{Place, Step, ViewState};
use super::columns::{self, Kind, status_of};
use super::find::Find;
use super::lines::Line;
use super::{RunsView, choosers, table};

impl RunsView {
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
        let lines = lines.into_iter().map(|line| (Tone::Plain, line)).collect();
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
                // The lines follow when the rows come in their new order.
                self.folded.clear();
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
