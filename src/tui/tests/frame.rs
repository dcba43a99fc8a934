//! What is on the screen of a made-up repository, for the views' own tests.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

use crate::tui::fixture::Desk;
use crate::tui::theme::{Background, ColorDepth, Theme};
use crate::tui::views;

/// The sizes that every view is shown at.
pub(in crate::tui) const SIZES: [(u16, u16); 3] = [(60, 15), (80, 24), (200, 50)];

/// The screen with so many colours.
pub(in crate::tui) fn buffer(desk: &Desk, depth: ColorDepth) -> Buffer {
    let theme = Theme::new(depth, Background::Dark);
    let size = desk.app.context.size;
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
    terminal.draw(|frame| views::draw(frame, &desk.app, &theme)).unwrap();
    terminal.backend().buffer().clone()
}

/// The screen as text.
pub(in crate::tui) fn screen(desk: &Desk) -> String {
    let buffer = buffer(desk, ColorDepth::True);
    let line = |y: u16| (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..buffer.area.height).map(|y| line(y).trim_end().to_owned() + "\n").collect()
}

/// Compares the screen at each size with the picture that is kept, after some keys.
pub(in crate::tui) fn check_pictures(name: &str, open: impl Fn((u16, u16)) -> Desk) {
    for size in SIZES {
        let name = format!("{name}_{}x{}", size.0, size.1);
        let settings = insta::Settings::clone_current();
        settings.bind(|| insta::assert_snapshot!(name, screen(&open(size))));
    }
}
