//! Where charts stand in an area, and what stands where in a chart.

use ratatui::layout::Rect;

use super::super::layout::{split_bottom, split_left};

/// The smallest chart that several of are shown.
const CHART_WIDTH: u16 = 38;
const CHART_HEIGHT: u16 = 9;
/// Columns for the labels of the vertical axis. Always the same, so that a plot does not move when its values grow.
const GUTTER: u16 = 6;

/// How charts are laid out in an area.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grid {
    area: Rect,
    pub(super) columns: usize,
    /// Rows of charts that are seen at once.
    pub(super) rows: usize,
}

impl Grid {
    /// A grid for so many charts: as large as they can be while all are seen, else as many as can be read.
    pub(super) fn new(area: Rect, charts: usize) -> Self {
        let most_columns = usize::from((area.width / CHART_WIDTH).max(1));
        let most_rows = usize::from((area.height / CHART_HEIGHT).max(1));
        let wanted = charts.max(1);
        // As square as the charts' own shape allows: two charts stand side by side, four in two rows.
        let fewest_rows = wanted.div_ceil(most_columns);
        let rows = (fewest_rows..=most_rows).find(|rows| wanted.div_ceil(*rows) <= *rows + 1).unwrap_or(fewest_rows);
        let rows = rows.clamp(1, most_rows);
        let columns = wanted.div_ceil(rows).clamp(1, most_columns);
        Self { area, columns, rows }
    }

    /// Rows that the charts can be scrolled by.
    pub(super) fn stops(&self, charts: usize) -> usize {
        charts.div_ceil(self.columns).saturating_sub(self.rows)
    }

    /// The place of the chart that is `index` after the first one shown; none below the area.
    pub(super) fn place(&self, index: usize) -> Option<Rect> {
        let (row, column) = (index / self.columns, index % self.columns);
        if row >= self.rows {
            return None;
        }
        let cut = |length: u16, parts: usize, part: usize| {
            let edge = |part: usize| u16::try_from(usize::from(length) * part / parts).unwrap_or(length);
            (edge(part), edge(part + 1) - edge(part))
        };
        let (x, width) = cut(self.area.width, self.columns, column);
        let (y, height) = cut(self.area.height, self.rows, row);
        Some(Rect::new(self.area.x + x, self.area.y + y, width, height))
    }
}

/// The parts of an area of charts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) charts: Rect,
    /// The lines with their values; below or right of the charts, so that no line runs behind it.
    pub(super) legend: Rect,
}

/// The parts of an area: `entries` lines in the legend, as a table where one chart fills the area.
pub(super) fn parts(area: Rect, entries: usize, is_table: bool) -> Parts {
    let entries = u16::try_from(entries).unwrap_or(u16::MAX);
    if entries == 0 || area.height < 8 {
        return Parts { charts: area, legend: Rect { height: 0, ..area } };
    }
    if is_table && area.width >= 110 {
        let (charts, legend) = split_left(area, area.width - (area.width * 2 / 5).clamp(44, 64));
        return Parts { charts, legend };
    }
    let rows = if is_table { entries.saturating_add(1) } else { entries.div_ceil((area.width / LEGEND_ENTRY).max(1)) };
    let (charts, legend) = split_bottom(area, rows.min(area.height / if is_table { 3 } else { 4 }).max(1));
    Parts { charts, legend }
}

/// Columns of one line in a legend below charts.
pub(super) const LEGEND_ENTRY: u16 = 30;

/// The parts of one chart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plot {
    /// Where the lines are.
    pub(super) lines: Rect,
    /// The labels of the vertical axis.
    pub(super) gutter: Rect,
    /// The column of the vertical axis.
    pub(super) axis_x: u16,
    /// The row of the horizontal axis.
    pub(super) axis_y: u16,
    /// The row of its labels.
    pub(super) labels_y: u16,
}

impl Plot {
    /// The parts of a chart within its border; none where it is too small for a plot.
    pub(super) fn new(inner: Rect) -> Option<Self> {
        if inner.height < 4 || inner.width < GUTTER + 10 {
            return None;
        }
        let gutter = Rect { width: GUTTER, height: inner.height - 2, ..inner };
        let x = inner.x + GUTTER + 1;
        let lines = Rect { x, width: inner.right() - 1 - x, ..gutter };
        Some(Self { lines, gutter, axis_x: x - 1, axis_y: lines.bottom(), labels_y: lines.bottom() + 1 })
    }

    /// Columns of dots.
    pub(super) fn dots(&self) -> usize {
        usize::from(self.lines.width) * 2
    }

    /// The column of the screen that a place along the horizontal axis, from 0 to 1, is in: that of its dot.
    pub(super) fn column(&self, place: f64) -> u16 {
        self.column_of_dot((place * self.dots().saturating_sub(1) as f64).round() as usize)
    }

    /// The column of the screen that a column of dots is in.
    pub(super) fn column_of_dot(&self, dot: usize) -> u16 {
        self.lines.x + u16::try_from(dot / 2).unwrap_or(0).min(self.lines.width.saturating_sub(1))
    }

    /// How far along the horizontal axis a column of the screen is, from 0 to 1.
    pub(super) fn along(&self, column: u16) -> f64 {
        let columns = f64::from(self.lines.width.saturating_sub(1)).max(1.0);
        (f64::from(column.saturating_sub(self.lines.x)) / columns).min(1.0)
    }

    /// How far up the vertical axis a row of the screen is, from 0 to 1.
    pub(super) fn up(&self, row: u16) -> f64 {
        let rows = f64::from(self.lines.height.saturating_sub(1)).max(1.0);
        (1.0 - f64::from(row.saturating_sub(self.lines.y)) / rows).max(0.0)
    }
}

/// The area within a chart's border.
pub(super) fn within(area: Rect) -> Rect {
    Rect { x: area.x + 1, y: area.y + 1, width: area.width.saturating_sub(2), height: area.height.saturating_sub(2) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charts_share_the_room() {
        let at = |width, height, charts| {
            let grid = Grid::new(Rect::new(0, 0, width, height), charts);
            (grid.columns, grid.rows)
        };
        assert_eq!([at(80, 21, 1), at(80, 21, 2), at(80, 21, 4), at(80, 21, 9)], [(1, 1), (2, 1), (2, 2), (2, 2)]);
        assert_eq!([at(140, 28, 2), at(140, 28, 3), at(140, 28, 5), at(10, 3, 5)], [(2, 1), (2, 2), (3, 2), (1, 1)]);
    }

    #[test]
    fn the_legend_stands_beside_the_charts_and_nothing_overlaps() {
        for (width, height) in [(0, 0), (1, 1), (40, 8), (58, 12), (80, 21), (200, 47)] {
            for entries in [0, 1, 3, 40] {
                for table in [false, true] {
                    let area = Rect::new(2, 1, width, height);
                    let parts = parts(area, entries, table);
                    let areas = [parts.charts, parts.legend];
                    assert_eq!(areas.iter().map(|area| area.area()).sum::<u32>(), area.area(), "{area:?} {parts:?}");
                    assert!(areas.iter().all(|part| part.union(area) == area || part.is_empty()));
                    if let Some(plot) = Plot::new(within(parts.charts)) {
                        assert!(plot.lines.width > 0 && plot.labels_y < parts.charts.bottom() - 1);
                        assert_eq!((plot.along(plot.lines.x), plot.along(plot.lines.right() - 1)), (0.0, 1.0));
                        assert_eq!((plot.up(plot.lines.y), plot.up(plot.lines.bottom() - 1)), (1.0, 0.0));
                    }
                }
            }
        }
    }
}
