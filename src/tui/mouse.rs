//! What the mouse does, as the views see it.

use std::time::{Duration, Instant};

use ratatui::crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Rect};

/// Two presses within this time, at the same place, are one double press.
const DOUBLE: Duration = Duration::from_millis(400);

/// Something that was done with the mouse, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mouse {
    pub(super) kind: MouseKind,
    pub(super) column: u16,
    pub(super) row: u16,
}

/// What was done with the mouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MouseKind {
    /// The left button went down.
    Press,
    /// It went down for the second time.
    DoublePress,
    /// The mouse moved while the button was down.
    Drag,
    /// The button went up.
    Release,
    /// The wheel was turned away from the user.
    WheelUp,
    /// The wheel was turned towards the user.
    WheelDown,
}

impl Mouse {
    /// Whether it happened in an area.
    pub(super) fn is_in(&self, area: Rect) -> bool {
        area.contains(Position::new(self.column, self.row))
    }

    /// How many rows below the top of an area it happened; none outside of it.
    pub(super) fn row_in(&self, area: Rect) -> Option<usize> {
        self.is_in(area).then(|| usize::from(self.row - area.y))
    }
}

/// Tells double presses from single ones.
#[derive(Debug, Default)]
pub(super) struct Presses {
    last: Option<(Instant, u16, u16)>,
}

impl Presses {
    /// What an event of the terminal means; none for other buttons and mere movements.
    pub(super) fn read(&mut self, event: &MouseEvent, now: Instant) -> Option<Mouse> {
        let kind = match event.kind {
            MouseEventKind::Down(MouseButton::Left) => self.press(event, now),
            MouseEventKind::Drag(MouseButton::Left) => MouseKind::Drag,
            MouseEventKind::Up(MouseButton::Left) => MouseKind::Release,
            MouseEventKind::ScrollUp => MouseKind::WheelUp,
            MouseEventKind::ScrollDown => MouseKind::WheelDown,
            _ => return None,
        };
        Some(Mouse { kind, column: event.column, row: event.row })
    }

    fn press(&mut self, event: &MouseEvent, now: Instant) -> MouseKind {
        let here = |(time, column, row): (Instant, u16, u16)| {
            (column, row) == (event.column, event.row) && now.duration_since(time) <= DOUBLE
        };
        // A third press begins anew.
        if self.last.take().is_some_and(here) {
            return MouseKind::DoublePress;
        }
        self.last = Some((now, event.column, event.row));
        MouseKind::Press
    }
}

#[cfg(test)]
mod tests {
    use ratatui::crossterm::event::KeyModifiers;

    use super::*;

    #[test]
    fn two_quick_presses_at_one_place_are_a_double_press() {
        let start = Instant::now();
        let mut presses = Presses::default();
        let mut press = |milliseconds, column| {
            let kind = MouseEventKind::Down(MouseButton::Left);
            let event = MouseEvent { kind, column, row: 2, modifiers: KeyModifiers::NONE };
            presses.read(&event, start + Duration::from_millis(milliseconds)).unwrap().kind
        };
        use MouseKind::{DoublePress, Press};
        let kinds = [press(0, 5), press(300, 5), press(400, 5), press(500, 6), press(600, 6), press(2000, 6)];
        assert_eq!(kinds, [Press, DoublePress, Press, Press, DoublePress, Press]);
    }
}
