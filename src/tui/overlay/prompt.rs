//! A line of text that a view asks for.

use ratatui::buffer::Buffer;
use ratatui::text::Line;

use super::super::context::Context;
use super::super::input::Input;
use super::super::keys::Command;
use super::super::parts;
use super::super::theme::Theme;
use super::{Given, Purpose, Turn, popup};

const WIDTH: u16 = 72;

/// A line that is asked for.
#[derive(Debug)]
pub(in super::super) struct Prompt {
    purpose: Purpose,
    title: String,
    example: &'static str,
    input: Input,
}

impl Prompt {
    /// A prompt with a title, the text that stands there at first, and what is shown while nothing does.
    pub(in super::super) fn new(purpose: Purpose, title: String, text: &str, example: &'static str) -> Self {
        Self { purpose, title, example, input: Input::new(text) }
    }

    pub(super) fn type_character(&mut self, character: char) {
        self.input.insert(character);
    }

    pub(super) fn command(&mut self, command: Command) -> Turn {
        match command {
            Command::InputAccept => Turn::Give(self.purpose.clone(), Given::Text(self.input.text())),
            Command::InputCancel => Turn::Close,
            _ => {
                self.input.apply(command);
                Turn::Stay
            }
        }
    }

    pub(super) fn draw(&self, context: &Context, theme: &Theme, buffer: &mut Buffer) {
        let area = popup(context, WIDTH, 3, buffer);
        let title = Line::styled(crate::tui::text::shorten(&self.title, usize::from(area.width)), theme.strong);
        let inner = parts::panel(title, Line::default(), true, theme, area, buffer);
        parts::typed(&self.input, "", self.example, inner, theme, buffer);
    }
}
