//! The marked runs side by side.

use std::collections::BTreeSet;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

use crate::run::Run;

use super::super::context::Context;
use super::super::keys::{Command, Scope};
use super::super::list::moved;
use super::super::parts::{self, Cell};
use super::super::text;
use super::super::theme::Theme;
use super::{Step, ViewState};

const WIDTH: usize = 20;

/// The comparison.
#[derive(Debug, Default)]
pub(in super::super) struct CompareView {
    /// Rows that are scrolled away.
    offset: usize,
}

/// What differs: a name, and a value for each run.
struct Difference {
    name: String,
    values: Vec<String>,
}

fn differences(runs: &[&Run]) -> Vec<Difference> {
    let params: BTreeSet<&String> = runs.iter().flat_map(|run| run.params.keys()).collect();
    let metrics: BTreeSet<&String> = runs.iter().flat_map(|run| run.metrics.keys()).collect();
    let param = |name: &&String| Difference {
        name: format!("params.{name}"),
        values: runs.iter().map(|run| run.params.get(*name).cloned().unwrap_or_default()).collect(),
    };
    let metric = |name: &&String| {
        let value = |run: &&Run| run.metrics.get(*name).map(|metric| text::lone_number(metric.last));
        Difference {
            name: format!("metrics.{name}"),
            values: runs.iter().map(|run| value(run).unwrap_or_default()).collect(),
        }
    };
    let all = params.iter().map(param).chain(metrics.iter().map(metric));
    all.filter(|row| row.values.iter().any(|value| *value != row.values[0])).collect()
}

impl CompareView {
    fn runs<'c>(context: &'c Context) -> Vec<&'c Run> {
        context.marks.runs().iter().filter_map(|run_id| context.records.get(run_id)).collect()
    }
}

impl ViewState for CompareView {
    fn scope(&self) -> Scope {
        Scope::Compare
    }

    fn command(&mut self, command: Command, context: &Context) -> Vec<Step> {
        if command == Command::Back {
            return vec![Step::Back];
        }
        let rows = usize::from(context.body().height.saturating_sub(3));
        let count = differences(&Self::runs(context)).len();
        self.offset = moved(self.offset, command, rows, (count + 1).saturating_sub(rows));
        Vec::new()
    }

    fn draw(&self, context: &Context, theme: &Theme, area: Rect, buffer: &mut Buffer) {
        let inner = parts::panel(Line::styled("Compare", theme.strong), Line::default(), true, theme, area, buffer);
        let runs = Self::runs(context);
        if runs.is_empty() {
            let words = "No runs are marked. Space marks the chosen one in the table of runs.";
            return parts::message(words, theme.dim, inner, buffer);
        }
        let line = |y: u16| parts::padded(Rect { y, height: 1, ..inner });
        let names = runs.iter().map(|run| Cell::new(&run.name, theme.run(context.color(&run.id)), WIDTH, true));
        let first = Cell::new("", theme.dim, WIDTH + 4, false);
        parts::row(std::iter::once(first).chain(names), 2, line(inner.y), buffer);
        let rows = differences(&runs);
        for (row, y) in rows.iter().skip(self.offset).zip(inner.y + 1..inner.bottom()) {
            let name = Cell::new(&row.name, theme.dim, WIDTH + 4, false);
            let values = row.values.iter().map(|value| Cell::new(value, theme.text, WIDTH, true));
            parts::row(std::iter::once(name).chain(values), 2, line(y), buffer);
        }
    }
}
