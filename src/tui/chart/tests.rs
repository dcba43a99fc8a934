//! Charts as they look, and what keys and the mouse do to them.

mod pictures;

use std::collections::BTreeMap;

use jiff::Timestamp;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Color;

use crate::id::RunId;
use crate::run::{Point, Series};

use super::super::keys::Command;
use super::super::mouse::{Mouse, MouseKind};
use super::super::theme::{Background, ColorDepth, Theme};
use super::grid::{ChartGrid, ChartRun, ChartSettings};
use super::line::{Axis, make_lines};
use super::tracks::{ChartGroup, tracks};

const SMALL: Rect = Rect::new(0, 0, 60, 15);
const MEDIUM: Rect = Rect::new(0, 0, 80, 24);
const LARGE: Rect = Rect::new(0, 0, 200, 50);

const START: i64 = 1_795_176_000;

fn run_id(index: u8) -> RunId {
    RunId::from_bytes([index; 16])
}

fn run(index: u8) -> ChartRun {
    ChartRun {
        id: run_id(index),
        name: ["brave-otter-12", "calm-heron-3", "quiet-lynx-40"][usize::from(index) % 3].to_owned(),
        color: usize::from(index),
        started: Timestamp::from_second(START).unwrap(),
        is_live: false,
    }
}

fn points(count: i64, value: impl Fn(f64) -> f64) -> Vec<Point> {
    let point =
        |step: i64| Point { step, time: Timestamp::from_second(START + 30 * step).unwrap(), value: value(step as f64) };
    (1..=count).map(point).collect()
}

/// What a run logged; the last one diverges.
fn series(index: u8) -> Series {
    let speed = 0.05 + 0.03 * f64::from(index);
    let wobble = move |step: f64| 0.05 * (step * 1.7 + f64::from(index)).sin();
    let train = move |step: f64| if index == 2 && step > 40.0 { f64::NAN } else { 0.02 + 2.2 * (-speed * step).exp() };
    BTreeMap::from([
        ("train_loss".to_owned(), points(60, train)),
        ("val_loss".to_owned(), points(60, move |step| train(step) + 0.1 + wobble(step))),
        ("val_accuracy".to_owned(), points(60, move |step| 0.98 - 0.85 * (-speed * step).exp() + wobble(step) * 0.2)),
        ("lr".to_owned(), points(60, |step| if step < 30.0 { 0.01 } else { 0.001 })),
        ("test_accuracy".to_owned(), points(1, |_| 0.97)),
    ])
}

/// Makes what the grid asks for until it asks for nothing more.
fn settle(grid: &mut ChartGrid) {
    while let Some(job) = grid.job() {
        grid.made(&make_lines(job));
    }
}

fn grid(runs: u8) -> ChartGrid {
    let mut grid = ChartGrid::default();
    grid.show((0..runs).map(run).collect());
    (0..runs).for_each(|index| grid.take(&run_id(index), Ok(tracks(series(index)))));
    settle(&mut grid);
    grid
}

fn keys(grid: &mut ChartGrid, area: Rect, commands: &[Command]) {
    for command in commands {
        assert!(grid.command(*command, area), "{command:?}");
        settle(grid);
    }
}

fn buffer(grid: &ChartGrid, area: Rect, depth: ColorDepth) -> Buffer {
    let theme = Theme::new(depth, Background::Dark);
    let mut terminal = Terminal::new(TestBackend::new(area.right(), area.bottom())).unwrap();
    terminal.draw(|frame| grid.draw(area, true, &theme, frame.buffer_mut())).unwrap();
    terminal.backend().buffer().clone()
}

fn text(buffer: &Buffer) -> String {
    let line = |y: u16| (0..buffer.area.width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..buffer.area.height).map(|y| line(y).trim_end().to_owned() + "\n").collect()
}

fn picture(grid: &ChartGrid, area: Rect) -> String {
    text(&buffer(grid, area, ColorDepth::True))
}

#[test]
fn no_letter_and_no_legend_covers_a_line() {
    // The dots of a chart are the same whether or not there is a legend to fill.
    let mut grid = grid(3);
    keys(&mut grid, LARGE, &[Command::Open]);
    let parts = grid.parts(LARGE);
    assert!(!parts.legend.is_empty() && parts.charts.intersection(parts.legend).is_empty());
    let plot = grid.plot(grid.selected, LARGE).unwrap();
    assert_eq!(plot.lines.intersection(parts.charts), plot.lines);
}

#[test]
fn a_run_without_points_says_why() {
    let mut grid = ChartGrid::default();
    grid.show(vec![run(0)]);
    assert!(picture(&grid, SMALL).contains("Loading the metrics …"));
    grid.take(&run_id(0), Err("the series is damaged".to_owned()));
    assert!(picture(&grid, SMALL).contains("brave-otter-12: the series is damaged"));
    grid.take(&run_id(0), Ok(tracks(Series::new())));
    assert!(picture(&grid, SMALL).contains("No metrics were logged."));
    grid.take(&run_id(0), Ok(tracks(BTreeMap::from([("test_loss".to_owned(), points(1, |_| 0.5))]))));
    assert!(picture(&grid, SMALL).contains("Each metric was logged once"));
    assert_eq!(grid.singles(), BTreeMap::from([("test_loss", 0.5)]));
    // What comes for a run that is not shown any more is dropped.
    grid.take(&run_id(9), Ok(tracks(series(0))));
    assert!(grid.job().is_none());
}

#[test]
fn keys_change_how_charts_are_shown() {
    let mut grid = grid(1);
    keys(&mut grid, MEDIUM, &[Command::ChartAxis]);
    assert_eq!((grid.drawn.axis, grid.status().unwrap().as_str()), (Axis::Elapsed, "x: elapsed"));
    keys(&mut grid, MEDIUM, &[Command::ChartAxis, Command::ChartAxis, Command::ChartAxis]);
    assert_eq!((grid.drawn.axis, grid.status()), (Axis::Step, None));
    keys(&mut grid, MEDIUM, &[Command::ChartLogX, Command::ChartLogY, Command::ChartOutliers]);
    assert_eq!(grid.status().unwrap(), "log x · log y · outliers cut");
    keys(&mut grid, MEDIUM, &[Command::ChartLogX, Command::ChartLogY, Command::ChartOutliers]);
    assert_eq!(grid.status(), None);
    keys(&mut grid, MEDIUM, &[Command::ChartSmoother, Command::ChartSmoother, Command::ChartSmoother]);
    assert_eq!((grid.drawn.smoothing, grid.status().unwrap().as_str()), (60, "smoothing 0.6"));
    keys(&mut grid, MEDIUM, &[Command::ChartRougher; 5]);
    assert_eq!(grid.settings.smoothing, 0);
    let titles = |grid: &ChartGrid| grid.charts.iter().map(|chart| chart.title.clone()).collect::<Vec<_>>();
    assert_eq!(titles(&grid), ["loss", "accuracy", "lr"]);
    keys(&mut grid, MEDIUM, &[Command::ChartTogether]);
    assert_eq!(titles(&grid), ["train_loss", "val_loss", "val_accuracy", "lr"]);
    assert!(!grid.command(Command::Filter, MEDIUM));
}

#[test]
fn keys_choose_charts() {
    let mut grid = grid(3);
    let mut at = |command: Command| {
        grid.command(command, MEDIUM);
        grid.charts[grid.selected].title.clone()
    };
    let walked =
        [Command::Right, Command::Down, Command::Left, Command::Up, Command::Last, Command::First].map(&mut at);
    assert_eq!(walked, ["val_loss", "lr", "val_accuracy", "train_loss", "lr", "train_loss"]);
    assert_eq!([Command::PageDown, Command::PageUp].map(&mut at), ["lr", "train_loss"]);
    // Scrolled where not all have room.
    keys(&mut grid, SMALL, &[Command::Last]);
    assert!(picture(&grid, SMALL).contains(" lr "));
    keys(&mut grid, SMALL, &[Command::First]);
    assert!(picture(&grid, SMALL).contains(" train_loss "));
}

#[test]
fn keys_zoom_and_pan_and_take_it_back() {
    let mut grid = grid(1);
    let seen = |grid: &ChartGrid| {
        let scale = grid.scale_x(&grid.charts[0]).unwrap();
        (scale.low, scale.high)
    };
    assert_eq!(seen(&grid), (1.0, 60.0));
    keys(&mut grid, MEDIUM, &[Command::ChartZoomIn]);
    assert_eq!(seen(&grid), (15.75, 45.25));
    // The other charts look at the same steps.
    let other = grid.scale_x(&grid.charts[1]).unwrap();
    assert_eq!((other.low, other.high), (15.75, 45.25));
    keys(&mut grid, MEDIUM, &[Command::ChartPanRight]);
    assert_eq!(seen(&grid), (23.125, 52.625));
    keys(&mut grid, MEDIUM, &[Command::ChartPanRight, Command::ChartPanRight]);
    assert_eq!(seen(&grid).1, 60.0, "not beyond the end");
    keys(&mut grid, MEDIUM, &[Command::ChartPanLeft; 9]);
    assert_eq!(seen(&grid).0, 1.0);
    keys(&mut grid, MEDIUM, &[Command::ChartZoomIn; 20]);
    let (low, high) = seen(&grid);
    assert!((high - low - 2.0).abs() < 1e-9, "no nearer than two steps: {low} to {high}");
    keys(&mut grid, MEDIUM, &[Command::ChartZoomOut; 20]);
    assert_eq!((seen(&grid), grid.status()), ((1.0, 60.0), None));
    keys(&mut grid, MEDIUM, &[Command::ChartZoomIn, Command::ChartReset]);
    assert_eq!(seen(&grid), (1.0, 60.0));
    // Esc takes back one thing at a time, and then is the host's.
    keys(&mut grid, MEDIUM, &[Command::Open, Command::ChartZoomIn, Command::ChartCrosshair]);
    keys(&mut grid, MEDIUM, &[Command::Back, Command::Back, Command::Back]);
    assert!(!grid.command(Command::Back, MEDIUM));
    assert!(grid.cross.is_none() && grid.window.is_none() && !grid.is_maximised);
}

#[test]
fn another_axis_begins_with_all_of_it() {
    let mut grid = grid(1);
    keys(&mut grid, MEDIUM, &[Command::ChartZoomIn, Command::ChartCrosshair]);
    grid.command(Command::ChartAxis, MEDIUM);
    let job = grid.job().unwrap();
    assert!(grid.job().is_none(), "asked for once");
    // Until the lines are there, the old ones are shown on the old axis.
    assert!(grid.window.is_some() && grid.drawn.axis == Axis::Step);
    grid.made(&make_lines(job));
    assert!(grid.window.is_none() && grid.cross.is_none() && picture(&grid, MEDIUM).contains(" elapsed │"));
}

#[test]
fn the_crosshair_goes_from_point_to_point_with_the_values_of_all_lines() {
    let mut grid = grid(3);
    keys(&mut grid, LARGE, &[Command::ChartCrosshair]);
    assert_eq!(grid.cross, Some(("train_loss".to_owned(), 60.0)));
    keys(&mut grid, LARGE, &[Command::Left]);
    assert_eq!(grid.cross.as_ref().unwrap().1, 59.0);
    keys(&mut grid, LARGE, &[Command::First]);
    assert_eq!(grid.cross.as_ref().unwrap().1, 1.0);
    keys(&mut grid, LARGE, &[Command::Right]);
    assert_eq!(grid.cross.as_ref().unwrap().1, 2.0);
    let shown = picture(&grid, LARGE);
    for run in 0..3 {
        let value = series(run)["train_loss"][1].value;
        assert!(shown.contains(&format!("{value:.4}")), "{value} in {shown}");
    }
    keys(&mut grid, LARGE, &[Command::Last]);
    assert_eq!(grid.cross.as_ref().unwrap().1, 60.0);
    // Zooming keeps it in its place, and what it leaves is followed.
    keys(&mut grid, LARGE, &[Command::ChartZoomIn, Command::ChartZoomIn, Command::ChartZoomIn]);
    keys(&mut grid, LARGE, &[Command::Left; 20]);
    let seen = grid.scale_x(&grid.charts[0]).unwrap();
    assert!((seen.low..=seen.high).contains(&grid.cross.as_ref().unwrap().1));
    // Bad values are said as they are.
    keys(&mut grid, LARGE, &[Command::ChartReset, Command::Last]);
    assert!(picture(&grid, LARGE).contains("NaN"));
}

fn mouse(grid: &mut ChartGrid, area: Rect, kind: MouseKind, (column, row): (u16, u16)) -> bool {
    let used = grid.mouse(&Mouse { kind, column, row }, area);
    settle(grid);
    used
}

#[test]
fn the_wheel_zooms_around_the_mouse() {
    let mut grid = grid(1);
    let plot = grid.plot(0, MEDIUM).unwrap();
    let left = (plot.lines.x, plot.lines.y + 1);
    assert!(mouse(&mut grid, MEDIUM, MouseKind::WheelUp, left));
    let seen = grid.scale_x(&grid.charts[0]).unwrap();
    assert_eq!((seen.low, (seen.high * 10.0).round()), (1.0, 482.0));
    assert!(mouse(&mut grid, MEDIUM, MouseKind::WheelDown, left));
    assert!(grid.window.is_none());
    // Over the labels at the left, the vertical axis; it lasts until all of it is asked for.
    let before = grid.scale_x(&grid.charts[0]).and_then(|x| grid.scale_y(&grid.charts[0], &x, &plot)).unwrap();
    assert!(mouse(&mut grid, MEDIUM, MouseKind::WheelUp, (plot.gutter.x, plot.lines.bottom() - 1)));
    let after = grid.heights["loss"];
    for _ in 0..3 {
        mouse(&mut grid, MEDIUM, MouseKind::WheelUp, (plot.gutter.x, plot.axis_y - 1));
    }
    assert!((after.0 - before.low).abs() < 1e-9 && after.1 < before.high);
    assert!(picture(&grid, MEDIUM).contains('▴'), "what is cut off is marked");
    assert!(!mouse(&mut grid, MEDIUM, MouseKind::WheelUp, (79, 200)));
}

#[test]
fn a_drag_zooms_to_what_it_covers() {
    let mut grid = grid(1);
    let plot = grid.plot(0, MEDIUM).unwrap();
    let (from, to) = ((plot.lines.x + 5, plot.lines.y + 2), (plot.lines.x + 15, plot.lines.y + 2));
    let expected = [from.0, to.0].map(|column| 1.0 + 59.0 * plot.along(column));
    assert!(mouse(&mut grid, MEDIUM, MouseKind::Press, from));
    assert!(mouse(&mut grid, MEDIUM, MouseKind::Drag, to));
    let theme = Theme::new(ColorDepth::True, Background::Dark);
    assert_eq!(buffer(&grid, MEDIUM, ColorDepth::True)[(from.0 + 3, from.1)].bg, theme.selected.bg.unwrap());
    assert!(mouse(&mut grid, MEDIUM, MouseKind::Release, to));
    let seen = grid.scale_x(&grid.charts[0]).unwrap();
    assert!((seen.low - expected[0]).abs() < 1e-9 && (seen.high - expected[1]).abs() < 1e-9);
    assert!(grid.heights.is_empty(), "a flat drag is about the horizontal axis");
    // Along the axis, what is seen is moved.
    let below = (plot.lines.x + 10, plot.labels_y);
    mouse(&mut grid, MEDIUM, MouseKind::Press, below);
    assert!(mouse(&mut grid, MEDIUM, MouseKind::Drag, (below.0 - 5, below.1)));
    assert!(mouse(&mut grid, MEDIUM, MouseKind::Release, below));
    let moved = grid.scale_x(&grid.charts[0]).unwrap();
    assert!(moved.low > seen.low && ((moved.high - moved.low) - (seen.high - seen.low)).abs() < 1e-9);
    // From corner to corner, both axes.
    keys(&mut grid, MEDIUM, &[Command::ChartReset]);
    mouse(&mut grid, MEDIUM, MouseKind::Press, from);
    mouse(&mut grid, MEDIUM, MouseKind::Drag, (to.0, to.1 + 4));
    mouse(&mut grid, MEDIUM, MouseKind::Release, (to.0, to.1 + 4));
    assert!(grid.heights.contains_key("loss") && grid.window.is_some());
    assert!(!mouse(&mut grid, MEDIUM, MouseKind::Drag, to), "nothing is being dragged");
}

#[test]
fn a_press_shows_values_and_a_double_press_fills_the_area() {
    let mut grid = grid(1);
    let plot = grid.plot(1, MEDIUM).unwrap();
    let middle = (plot.lines.x + plot.lines.width / 2, plot.lines.y + 1);
    mouse(&mut grid, MEDIUM, MouseKind::Press, middle);
    mouse(&mut grid, MEDIUM, MouseKind::Release, middle);
    let (title, x) = grid.cross.clone().unwrap();
    assert_eq!((grid.selected, title.as_str(), x.fract()), (1, "accuracy", 0.0));
    assert!((28.0..34.0).contains(&x));
    mouse(&mut grid, MEDIUM, MouseKind::DoublePress, middle);
    mouse(&mut grid, MEDIUM, MouseKind::Release, middle);
    assert!(grid.is_maximised && grid.cross.is_none());
}

#[test]
fn a_live_run_grows_without_moving_what_is_there() {
    let mut grid = ChartGrid::default();
    grid.show(vec![ChartRun { is_live: true, ..run(0) }]);
    let of = |count: i64| BTreeMap::from([("loss".to_owned(), points(count, |step| 1.0 + (step / 7.0).sin()))]);
    grid.take(&run_id(0), Ok(tracks(of(950))));
    settle(&mut grid);
    let before = buffer(&grid, MEDIUM, ColorDepth::True);
    grid.take(&run_id(0), Ok(tracks(of(990))));
    // Until the new line is made, the old one stays.
    let job = grid.job().unwrap();
    assert_eq!(text(&buffer(&grid, MEDIUM, ColorDepth::True)).lines().nth(5), text(&before).lines().nth(5));
    grid.made(&make_lines(job));
    let after = buffer(&grid, MEDIUM, ColorDepth::True);
    let plot = grid.plot(0, MEDIUM).unwrap();
    let old_end = plot.column(grid.scale_x(&grid.charts[0]).unwrap().place(949.0));
    for column in 0..old_end {
        for row in plot.lines.y..MEDIUM.bottom() - 1 {
            assert_eq!(before[(column, row)].symbol(), after[(column, row)].symbol(), "{column} {row}");
        }
    }
    assert!(
        (old_end..plot.lines.right()).any(|x| {
            (plot.lines.y..plot.lines.bottom()).any(|y| before[(x, y)].symbol() != after[(x, y)].symbol())
        })
    );
}

#[test]
fn steps_of_batches_and_of_epochs_are_not_zoomed_together() {
    let mut grid = ChartGrid::default();
    grid.show(vec![run(0)]);
    let both = BTreeMap::from([
        ("batch_loss".to_owned(), points(5000, |step| 1.0 / step)),
        ("val_loss".to_owned(), points(20, |step| 1.0 / step)),
    ]);
    grid.take(&run_id(0), Ok(tracks(both)));
    settle(&mut grid);
    let place = |title: &str| grid.charts.iter().position(|chart| chart.title == title).unwrap();
    let (batches, epochs) = (place("batch_loss"), place("loss"));
    grid.select(batches, LARGE);
    keys(&mut grid, LARGE, &[Command::ChartZoomIn, Command::ChartCrosshair]);
    let seen = |chart: usize| grid.scale_x(&grid.charts[chart]).unwrap();
    assert_eq!((seen(epochs).low, seen(epochs).high), (1.0, 20.0));
    assert!(seen(batches).low > 1000.0);
    assert_eq!(grid.cross_in(&grid.charts[epochs]), None);
}

#[test]
fn outliers_are_cut_and_marked_when_the_user_says_so() {
    let mut grid = ChartGrid::default();
    grid.show(vec![run(0)]);
    let spiked = points(500, |step| if step == 250.0 { 1e6 } else { (step / 20.0).sin() });
    grid.take(&run_id(0), Ok(tracks(BTreeMap::from([("loss".to_owned(), spiked)]))));
    settle(&mut grid);
    let plot = grid.plot(0, MEDIUM).unwrap();
    let high = |grid: &ChartGrid| {
        let x = grid.scale_x(&grid.charts[0]).unwrap();
        grid.scale_y(&grid.charts[0], &x, &plot).unwrap().high
    };
    assert_eq!(high(&grid), 1e6);
    assert!(!picture(&grid, MEDIUM).contains('▴'));
    keys(&mut grid, MEDIUM, &[Command::ChartOutliers]);
    assert!(high(&grid) < 2.0);
    assert!(picture(&grid, MEDIUM).contains('▴'));
}

#[test]
fn charts_of_the_hosts_own_choice_are_kept_in_its_order() {
    let mut grid = ChartGrid::default();
    grid.show(vec![run(0)]);
    let group = |title: &str, metrics: &[(&str, &str)]| ChartGroup {
        title: title.to_owned(),
        metrics: metrics.iter().map(|(metric, label)| ((*metric).to_owned(), (*label).to_owned())).collect(),
    };
    let groups = vec![
        group("rate", &[("lr", "")]),
        group("nothing", &[("gone", "")]),
        group("losses", &[("val_loss", "seen"), ("train_loss", "learnt")]),
    ];
    grid.take(&run_id(0), Ok(tracks(series(0)).grouped(groups)));
    settle(&mut grid);
    assert_eq!(grid.charts.iter().map(|chart| chart.title.as_str()).collect::<Vec<_>>(), ["rate", "losses"]);
    assert!(picture(&grid, LARGE).contains("seen 0.2793  learnt 0.1295"));
}

#[test]
fn lines_made_for_another_grid_change_nothing() {
    let mut one = ChartGrid::default();
    let mut other = ChartGrid::default();
    for grid in [&mut one, &mut other] {
        grid.show(vec![run(0)]);
        grid.take(&run_id(0), Ok(tracks(series(0))));
    }
    let (job, waiting) = (one.job().unwrap(), other.job().unwrap());
    other.made(&make_lines(job));
    assert!(other.line(&other.charts[0].lines[0]).is_none() && other.job().is_none(), "still waiting for its own");
    other.made(&make_lines(waiting));
    assert!(other.line(&other.charts[0].lines[0]).is_some());
}

#[test]
fn what_the_host_shows_as_usual_goes_without_saying() {
    let mut grid = ChartGrid::new(ChartSettings { axis: Axis::Elapsed, log_y: true, ..ChartSettings::default() });
    grid.show(vec![run(0)]);
    grid.take(&run_id(0), Ok(tracks(series(0))));
    settle(&mut grid);
    assert_eq!((grid.status(), grid.drawn.axis), (None, Axis::Elapsed));
    keys(&mut grid, MEDIUM, &[Command::ChartLogY]);
    assert_eq!(grid.status().as_deref(), Some("linear y"));
}

#[test]
fn behind_a_smoothed_line_the_line_itself_is_drawn_faint() {
    let mut grid = ChartGrid::default();
    grid.show(vec![run(0)]);
    let spiked = points(400, |step| if step == 200.0 { 10.0 } else { 1.0 });
    grid.take(&run_id(0), Ok(tracks(BTreeMap::from([("loss".to_owned(), spiked)]))));
    grid.settings.smoothing = 99;
    settle(&mut grid);
    let plot = grid.plot(0, MEDIUM).unwrap();
    let shown = buffer(&grid, MEDIUM, ColorDepth::True);
    let column = plot.column(grid.scale_x(&grid.charts[0]).unwrap().place(200.0));
    let theme = Theme::new(ColorDepth::True, Background::Dark);
    let drawn: Vec<Color> = (plot.lines.y..plot.lines.bottom())
        .map(|row| &shown[(column, row)])
        .filter(|cell| cell.symbol() != " ")
        .map(|cell| cell.fg)
        .collect();
    let front = theme.lines[0].fg.unwrap();
    assert!(drawn.len() > 10, "the spike reaches from the bottom to the top: {drawn:?}");
    assert_eq!(drawn.iter().filter(|color| **color == front).count(), 1, "and the smoothed line lies on it once");
}

#[test]
fn an_axis_of_epochs_says_where_there_are_none() {
    let mut grid = ChartGrid::default();
    grid.show(vec![run(0)]);
    grid.settings.axis = Axis::Epoch;
    let of = |metric: &str| Ok(tracks(BTreeMap::from([(metric.to_owned(), points(60, |step| step))])));
    grid.take(&run_id(0), of("reward"));
    settle(&mut grid);
    assert!(picture(&grid, MEDIUM).contains("step (no epochs)"));
    grid.take(&run_id(0), of("val_loss"));
    settle(&mut grid);
    let shown = picture(&grid, MEDIUM);
    assert!(shown.contains(" epoch │") && !shown.contains("no epochs"), "{shown}");
}
