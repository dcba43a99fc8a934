//! Where things stand on screens of any size.

use ratatui::layout::Rect;

/// The smallest screen that the views are made for.
pub(super) const SMALLEST: (u16, u16) = (60, 15);

/// The parts that every view has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) header: Rect,
    pub(super) body: Rect,
    pub(super) footer: Rect,
}

/// Whether a screen is too small for the views.
pub(super) fn is_too_small((width, height): (u16, u16)) -> bool {
    width < SMALLEST.0 || height < SMALLEST.1
}

/// The parts of a screen.
pub(super) fn parts((width, height): (u16, u16)) -> Parts {
    let body = height.saturating_sub(2);
    Parts {
        header: Rect::new(0, 0, width, height.min(1)),
        body: Rect::new(0, 1.min(height), width, body),
        footer: Rect::new(0, height.saturating_sub(1), width, height.min(1)),
    }
}

/// The parts of the table of runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RunsLayout {
    pub(super) table: Rect,
    /// The chosen run in short, where there is room.
    pub(super) preview: Option<Rect>,
    /// The filter and what is wrong with it; may be empty.
    pub(super) filter: Rect,
}

/// The parts of the table of runs; the filter takes `filter_rows`, and there are `count` runs in all.
pub(super) fn runs(body: Rect, filter_rows: u16, count: usize) -> RunsLayout {
    let (body, filter) = split_bottom(body, filter_rows);
    if body.width < 110 || body.height < 30 {
        return RunsLayout { table: body, preview: None, filter };
    }
    // Few runs leave the chosen one more room. All count, not those the filter shows: the border would jump about
    // while a filter is typed.
    let needed = u16::try_from(count).unwrap_or(u16::MAX).saturating_add(4).max(10);
    let (table, preview) = split_top(body, needed.min(body.height * 3 / 5));
    RunsLayout { table, preview: Some(preview), filter }
}

/// Rows of a bordered table with a heading.
pub(super) fn table_rows(table: Rect) -> usize {
    usize::from(table.height.saturating_sub(3))
}

/// The parts of the view of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RunLayout {
    /// The run's name and status, and the panes' names.
    pub(super) title: Rect,
    pub(super) overview: Rect,
    pub(super) charts: Rect,
    pub(super) log: Rect,
    /// Whether all panes are shown side by side; otherwise they all have the same place and one is shown.
    pub(super) wide: bool,
}

/// The parts of the view of one run.
pub(super) fn run(body: Rect) -> RunLayout {
    let (title, rest) = split_top(body, 1);
    if rest.width < 120 || rest.height < 28 {
        return RunLayout { title, overview: rest, charts: rest, log: rest, wide: false };
    }
    let (overview, right) = split_left(rest, (rest.width * 3 / 10).clamp(48, 70));
    let (charts, log) = split_bottom(right, (right.height * 2 / 5).max(10));
    RunLayout { title, overview, charts, log, wide: true }
}

/// The parts of the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RegistryLayout {
    pub(super) models: Rect,
    pub(super) versions: Rect,
    pub(super) history: Rect,
    /// What the chosen version came from, where there is room for it beside the history.
    pub(super) origin: Option<Rect>,
}

/// The parts of the registry.
pub(super) fn registry(body: Rect) -> RegistryLayout {
    let (models, right) = split_left(body, (body.width / 4).clamp(20, 40));
    let (versions, lower) = split_bottom(right, (right.height * 2 / 5).max(5));
    if lower.width < 110 {
        return RegistryLayout { models, versions, history: lower, origin: None };
    }
    let (history, origin) = split_left(lower, lower.width / 2);
    RegistryLayout { models, versions, history, origin: Some(origin) }
}

/// The rows above, and at most `height` rows at the bottom.
pub(super) fn split_bottom(area: Rect, height: u16) -> (Rect, Rect) {
    let height = height.min(area.height);
    let rest = area.height - height;
    (Rect { height: rest, ..area }, Rect { y: area.y + rest, height, ..area })
}

/// At most `height` rows at the top, and those below.
pub(super) fn split_top(area: Rect, height: u16) -> (Rect, Rect) {
    let height = height.min(area.height);
    (Rect { height, ..area }, Rect { y: area.y + height, height: area.height - height, ..area })
}

/// At most `width` columns at the left, and those right of them.
pub(super) fn split_left(area: Rect, width: u16) -> (Rect, Rect) {
    let width = width.min(area.width);
    (Rect { width, ..area }, Rect { x: area.x + width, width: area.width - width, ..area })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_fill_the_screen_without_overlap() {
        for size in [(0, 0), (1, 1), (60, 15), (80, 24), (120, 30), (200, 50), (500, 200)] {
            let Parts { header, body, footer } = parts(size);
            assert!(header.height + body.height + footer.height <= size.1.max(2));
            let runs = runs(body, 2, 12);
            let areas = [Some(runs.table), runs.preview, Some(runs.filter)];
            assert_eq!(areas.iter().flatten().map(|area| area.area()).sum::<u32>(), body.area());
            let registry = registry(body);
            let areas = [registry.models, registry.versions, registry.history, registry.origin.unwrap_or_default()];
            assert_eq!(areas.iter().map(|area| area.area()).sum::<u32>(), body.area());
            let run = run(body);
            if run.wide {
                let areas = [run.title, run.overview, run.charts, run.log];
                assert_eq!(areas.iter().map(|area| area.area()).sum::<u32>(), body.area());
            }
        }
    }
}
