//! What the mouse does in charts: the wheel zooms, a drag over a plot chooses what to zoom to, a drag along an axis moves
//! it, a press shows the crosshair, and a double press lets a chart fill the area.

use ratatui::layout::{Position, Rect};

use super::super::mouse::{Mouse, MouseKind};
use super::grid::ChartGrid;
use super::place::{Plot, within};
use super::scale::Scale;

/// What a turn of the wheel zooms by.
const WHEEL: f64 = 0.8;
/// A drag over fewer columns is a press of a hand that is not still.
const LEAST_COLUMNS: u16 = 2;

/// A drag that has begun.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Drag {
    /// Over a plot, from a corner to the one across.
    Choose { chart: usize, from: (u16, u16), to: (u16, u16) },
    /// Along the horizontal axis, from a column; `seen` is what was seen then.
    Pan { chart: usize, from: u16, seen: Scale },
}

impl ChartGrid {
    /// Does what the mouse asks for; `area` is where the charts are drawn. Says whether there was something to do.
    pub(in crate::tui) fn mouse(&mut self, mouse: &Mouse, area: Rect) -> bool {
        match mouse.kind {
            MouseKind::Drag => return self.dragged(mouse, area),
            MouseKind::Release => return self.released(area),
            _ => {}
        }
        let hit = self.places(area).into_iter().find(|(_, place)| mouse.is_in(*place));
        let Some((chart, place)) = hit else { return false };
        let plot = Plot::new(within(place));
        match mouse.kind {
            MouseKind::Press => self.pressed(chart, plot, mouse, area),
            MouseKind::DoublePress => {
                self.select(chart, area);
                self.cross = None;
                self.drag = None;
                self.is_maximised = !self.is_maximised;
            }
            MouseKind::WheelUp => return self.wheel(chart, plot, mouse, WHEEL),
            MouseKind::WheelDown => return self.wheel(chart, plot, mouse, 1.0 / WHEEL),
            _ => return false,
        }
        true
    }

    fn pressed(&mut self, chart: usize, plot: Option<Plot>, mouse: &Mouse, area: Rect) {
        self.select(chart, area);
        self.drag = None;
        let Some(plot) = plot else { return };
        let here = (mouse.column, mouse.row);
        if plot.lines.contains(Position::from(here)) {
            self.drag = Some(Drag::Choose { chart, from: here, to: here });
        } else if mouse.row == plot.axis_y || mouse.row == plot.labels_y {
            let seen = self.charts.get(chart).and_then(|chart| self.scale_x(chart));
            self.drag = seen.map(|seen| Drag::Pan { chart, from: mouse.column, seen });
        }
    }

    fn dragged(&mut self, mouse: &Mouse, area: Rect) -> bool {
        match self.drag.clone() {
            Some(Drag::Choose { chart, from, .. }) => {
                let Some(plot) = self.plot(chart, area) else { return false };
                let lines = plot.lines;
                let column = mouse.column.clamp(lines.x, lines.right().saturating_sub(1));
                let row = mouse.row.clamp(lines.y, lines.bottom().saturating_sub(1));
                self.drag = Some(Drag::Choose { chart, from, to: (column, row) });
            }
            Some(Drag::Pan { chart, from, seen }) => {
                let (Some(plot), Some(title)) = (self.plot(chart, area), self.charts.get(chart)) else { return false };
                let title = title.title.clone();
                let shift = (f64::from(from) - f64::from(mouse.column)) / f64::from(plot.lines.width.max(1));
                if self.window.is_some() {
                    self.look_at(title, seen, shift, 1.0 + shift);
                }
            }
            None => return false,
        }
        true
    }

    fn released(&mut self, area: Rect) -> bool {
        let drag = self.drag.take();
        let Some(Drag::Choose { chart, from, to }) = drag else { return drag.is_some() };
        let Some(plot) = self.plot(chart, area) else { return true };
        if from.0.abs_diff(to.0) < LEAST_COLUMNS {
            self.cross_at(chart, plot.along(to.0));
            return true;
        }
        let Some(shown) = self.charts.get(chart) else { return true };
        let title = shown.title.clone();
        let Some(x) = self.scale_x(shown) else { return true };
        // A drag that is about as flat as a hand makes it is about the horizontal axis alone.
        if from.1.abs_diff(to.1) >= (plot.lines.height / 4).max(2)
            && let Some(y) = self.scale_y(shown, &x, &plot)
        {
            let (one, other) = (y.value_at(plot.up(from.1)), y.value_at(plot.up(to.1)));
            self.heights.insert(title.clone(), (one.min(other), one.max(other)));
        }
        let (one, other) = (plot.along(from.0), plot.along(to.0));
        self.look_at(title, x, one.min(other), one.max(other));
        true
    }

    fn wheel(&mut self, chart: usize, plot: Option<Plot>, mouse: &Mouse, factor: f64) -> bool {
        let (Some(plot), Some(shown)) = (plot, self.charts.get(chart)) else { return false };
        let here = Position::new(mouse.column, mouse.row);
        if plot.gutter.contains(here) {
            let y = self.scale_x(shown).and_then(|x| self.scale_y(shown, &x, &plot));
            if let Some(y) = y {
                let center = plot.up(mouse.row);
                let part = y.part(center - center * factor, center + (1.0 - center) * factor);
                if part.low.is_finite() && part.high.is_finite() && part.low < part.high {
                    self.heights.insert(shown.title.clone(), (part.low, part.high));
                }
            }
            return true;
        }
        if !plot.lines.contains(here) && mouse.row != plot.axis_y && mouse.row != plot.labels_y {
            return false;
        }
        self.zoom(chart, factor, plot.along(mouse.column));
        true
    }
}
