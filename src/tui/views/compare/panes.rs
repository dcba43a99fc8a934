//! The parts of the comparison, and the line above them.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use crate::run::Run;

use super::super::super::context::Context;
use super::super::super::parts;
use super::super::super::text;
use super::super::super::theme::Theme;

/// A part of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::tui) enum Pane {
    /// What is recorded of the runs.
    #[default]
    Table,
    /// Their metrics.
    Charts,
    /// Their code.
    Code,
    /// Their inputs.
    Data,
    /// What they mistook for what.
    Confusion,
}

impl Pane {
    /// All of them, in order.
    pub(super) const ALL: [Self; 5] = [Self::Table, Self::Charts, Self::Code, Self::Data, Self::Confusion];

    /// The pane's name.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Table => "Table",
            Self::Charts => "Charts",
            Self::Code => "Code",
            Self::Data => "Data",
            Self::Confusion => "Confusion",
        }
    }

    /// Whether it is about two runs and not about all.
    pub(super) fn is_of_two(self) -> bool {
        matches!(self, Self::Code | Self::Data | Self::Confusion)
    }

    /// The pane some steps further on, round and round.
    pub(super) fn beside(self, step: isize) -> Self {
        let place = Self::ALL.iter().position(|pane| *pane == self).unwrap_or(0);
        Self::ALL[(place + Self::ALL.len()).saturating_add_signed(step) % Self::ALL.len()]
    }

    /// The pane whose name is at a column of the line above; `area` is that line.
    pub(super) fn at(column: u16, area: Rect) -> Option<Self> {
        let mut x = area.x + 1;
        for pane in Self::ALL {
            let width = u16::try_from(pane.title().len()).unwrap_or(0);
            if (x..x + width).contains(&column) {
                return Some(pane);
            }
            x += width + 2;
        }
        None
    }
}

/// The line above: the panes, and which runs are compared.
pub(super) fn title(
    pane: Pane,
    runs: &[&Run],
    other: usize,
    context: &Context,
    theme: &Theme,
    area: Rect,
    buffer: &mut Buffer,
) {
    let tabs = Pane::ALL.into_iter().flat_map(|shown| {
        let style = if shown == pane { theme.tab } else { theme.dim };
        [Span::styled(shown.title(), style), Span::raw("  ")]
    });
    let left = Line::from_iter(std::iter::once(Span::raw(" ")).chain(tabs));
    let room = usize::from(area.width).saturating_sub(left.width() + 8) / 2;
    let name = |run: &Run| Span::styled(text::shorten(&run.name, room), theme.run(context.color(&run.id)));
    let right = match (runs.first(), runs.get(other)) {
        (Some(first), Some(other)) if pane.is_of_two() => {
            Line::from(vec![name(first), Span::styled(" → ", theme.dim), name(other), Span::raw(" ")])
        }
        (Some(first), _) if !pane.is_of_two() && runs.len() > 1 => {
            Line::from(vec![Span::styled("against ", theme.dim), name(first), Span::raw(" ")])
        }
        _ => Line::default(),
    };
    parts::ends(left, right, area, buffer);
}
