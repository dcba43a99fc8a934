//! Typing a filter, and looking for a name.

use std::borrow::Cow;

use crate::query::{Attribute, Field, Value};

use super::super::super::context::Context;
use super::super::super::keys::Command;
use super::RunsView;
use super::complete::complete;
use super::find::Find;
use super::lines::Line;

impl RunsView {
    /// A key while the filter is typed.
    pub(super) fn filter_command(&mut self, command: Command, context: &Context) {
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

    pub(super) fn apply_input(&mut self, context: &Context) {
        if let Some(text) = self.filter.input.as_ref().map(|input| input.text()) {
            self.filter.apply(&text, context.now);
        }
    }

    /// Offers what the query may go on with.
    pub(super) fn offer(&mut self) {
        let values = |field: &Field| {
            self.table().map_or_else(Vec::new, |table| table.texts(field).into_iter().map(str::to_owned).collect())
        };
        let completion = complete(&self.filter.before_cursor(), self.names.as_ref(), &values);
        self.filter.offer(completion);
    }

    /// A key while a name is looked for.
    pub(super) fn find_command(&mut self, command: Command) {
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

    pub(super) fn look(&mut self) {
        let Some(mut find) = self.find.take() else { return };
        if let Some(table) = self.table() {
            let name = Field::Attribute(Attribute::Name);
            find.look(table.rows_from(0).map(|row| match row.value(&name) {
                Some(Value::Text(name)) => name,
                _ => Cow::Borrowed(""),
            }));
        }
        self.find = Some(find);
        self.choose_found();
    }

    pub(super) fn choose_found(&mut self) {
        let Some(row) = self.find.as_ref().and_then(Find::row) else { return };
        let line = self.lines.of_row(row);
        // A run in a folded group has to be seen.
        if let Some(Line::Group(group)) = self.lines.at(line) {
            self.fold(group, false);
        }
        self.choose(self.lines.of_row(row));
    }
}
