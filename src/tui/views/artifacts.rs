//! The tracked artifacts.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::super::context::Context;
use super::super::keys::{Command, Scope};
use super::super::parts;
use super::super::theme::Theme;
use super::{Step, ViewState};

/// The artifacts.
#[derive(Debug, Default)]
pub(in super::super) struct ArtifactsView {}

impl ViewState for ArtifactsView {
    fn scope(&self) -> Scope {
        Scope::Artifacts
    }

    fn command(&mut self, command: Command, _context: &Context) -> Vec<Step> {
        if command == Command::Back { vec![Step::Back] } else { Vec::new() }
    }

    fn draw(&self, _context: &Context, theme: &Theme, area: Rect, buffer: &mut Buffer) {
        let inner = parts::panel(Line::styled("Artifacts", theme.strong), Line::default(), true, theme, area, buffer);
        parts::message("`git ml status` lists the tracked artifacts.", theme.dim, inner, buffer);
    }
}
