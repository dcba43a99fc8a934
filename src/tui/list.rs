//! Moving through lists.

use super::keys::Command;

/// Where a choice among `count` moves to; `page` is how far a page goes.
pub(super) fn moved(from: usize, command: Command, page: usize, count: usize) -> usize {
    let last = count.saturating_sub(1);
    let to = match command {
        Command::Up => from.saturating_sub(1),
        Command::Down => from.saturating_add(1),
        Command::PageUp => from.saturating_sub(page),
        Command::PageDown => from.saturating_add(page),
        Command::First => 0,
        Command::Last => last,
        _ => from,
    };
    to.min(last)
}

/// The offset nearest to `offset` at which the chosen one of `count` is among the `rows` on the screen, and no row is
/// left empty that need not be.
pub(super) fn held(offset: usize, selected: usize, rows: usize, count: usize) -> usize {
    let rows = rows.max(1);
    offset.min(count.saturating_sub(rows)).clamp((selected + 1).saturating_sub(rows), selected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_stays_in_its_list_and_on_the_screen() {
        assert_eq!([moved(0, Command::Up, 5, 9), moved(7, Command::PageDown, 5, 9)], [0, 8]);
        assert_eq!([moved(3, Command::Last, 5, 0), moved(3, Command::First, 5, 9)], [0, 0]);
        assert_eq!([held(0, 7, 5, 9), held(4, 2, 5, 9), held(8, 8, 5, 9), held(0, 0, 0, 0)], [3, 2, 4, 0]);
    }
}
