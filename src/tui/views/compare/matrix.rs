//! The confusion matrices of two runs as heat maps, and the difference between them.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};

use crate::id::{ArtifactId, RunId};
use crate::run::Run;

use super::super::super::context::Load;
use super::super::super::effects::Effect;
use super::super::super::keys::Command;
use super::super::super::list::moved;
use super::super::super::parts;
use super::super::super::source::Problem;
use super::super::super::text;
use super::super::super::theme::Theme;
use super::load::{Evaluation, Request};

/// What is shown of the two runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Shown {
    /// The first run's matrix.
    First,
    /// The other run's.
    Other,
    /// How many more the other run has in each cell.
    #[default]
    Difference,
}

/// The matrices of the runs that were looked at.
#[derive(Debug, Default)]
pub(super) struct Matrices {
    loaded: BTreeMap<RunId, Load<Vec<Evaluation>>>,
    /// Which of the three is shown where there is room for one.
    pub(super) shown: Shown,
    /// Classes that are scrolled past.
    offset: usize,
}

/// The artifacts of a run that may say what it mistook for what: evaluations before models.
fn artifacts(run: &Run) -> Vec<ArtifactId> {
    let of = |is_wanted: &dyn Fn(&str) -> bool| {
        let wanted = run.outputs.iter().filter(|output| is_wanted(&output.artifact_type));
        wanted.map(|output| output.id).collect::<Vec<_>>()
    };
    let mut found = of(&|artifact_type| artifact_type == "evaluation");
    found.extend(of(&|artifact_type| artifact_type == "model"));
    found
}

impl Matrices {
    /// What is missing of two runs; it counts as asked for then.
    pub(super) fn wanted(&mut self, runs: [&Run; 2]) -> Vec<Effect> {
        let mut effects = Vec::new();
        for run in runs {
            if self.loaded.contains_key(&run.id) {
                continue;
            }
            let artifacts = artifacts(run);
            if artifacts.is_empty() {
                // A live run may store its model yet.
                if run.ended.is_some() {
                    self.loaded.insert(run.id, Load::Ready(Vec::new()));
                }
                continue;
            }
            self.loaded.insert(run.id, Load::Waiting);
            effects.push(Effect::Compare(Request::Evaluation(run.id, artifacts)));
        }
        effects
    }

    /// Takes what a run's artifacts say.
    pub(super) fn loaded(&mut self, run_id: RunId, evaluations: Result<Vec<Evaluation>, Problem>) {
        self.loaded.insert(run_id, evaluations.into());
    }

    /// The part of the data that both runs were evaluated on, or else what each has.
    fn pair(&self, runs: [&Run; 2]) -> [Option<&Evaluation>; 2] {
        let of = |run: &Run| self.loaded.get(&run.id).and_then(Load::ready).map(Vec::as_slice).unwrap_or_default();
        let [first, other] = runs.map(of);
        let common = first.iter().find_map(|one| Some((one, other.iter().find(|two| two.part == one.part)?)));
        match common {
            Some((one, two)) => [Some(one), Some(two)],
            None => [first.first(), other.first()],
        }
    }

    /// Chooses what is shown, or scrolls through the classes.
    pub(super) fn command(&mut self, command: Command, runs: [&Run; 2], area: Rect) {
        self.shown = match (command, self.shown) {
            (Command::Right, Shown::First) => Shown::Other,
            (Command::Right, _) => Shown::Difference,
            (Command::Left, Shown::Difference) => Shown::Other,
            (Command::Left, _) => Shown::First,
            (_, shown) => shown,
        };
        let classes = self.pair(runs).iter().flatten().map(|evaluation| evaluation.classes.len()).max().unwrap_or(0);
        let rows = usize::from(area.height.saturating_sub(4));
        self.offset = moved(self.offset, command, rows, (classes + 1).saturating_sub(rows));
    }

    /// Draws the matrices: all three beside each other where there is room.
    pub(super) fn draw(&self, runs: [&Run; 2], area: Rect, theme: &Theme, buffer: &mut Buffer) {
        let pair = self.pair(runs);
        let named = |place: usize| format!("{} · {}", runs[place].name, pair[place].map_or("", |found| &found.part));
        let panels = [(Shown::First, named(0)), (Shown::Other, named(1)), (Shown::Difference, "difference".to_owned())];
        let is_wide = area.width >= 130;
        for (place, (shown, title)) in panels.into_iter().enumerate() {
            if !is_wide && shown != self.shown {
                continue;
            }
            let part = if is_wide { third(area, place) } else { area };
            let hint = if is_wide { Line::default() } else { Line::styled("← → the others", theme.dim) };
            let inner = parts::panel(Line::styled(title, theme.strong), hint, true, theme, part, buffer);
            self.draw_one(shown, runs, pair, inner, theme, buffer);
        }
    }

    fn draw_one(
        &self,
        shown: Shown,
        runs: [&Run; 2],
        pair: [Option<&Evaluation>; 2],
        area: Rect,
        theme: &Theme,
        buffer: &mut Buffer,
    ) {
        let missing = |place: usize| match self.loaded.get(&runs[place].id) {
            Some(Load::Waiting) => ("Reading the evaluation …".to_owned(), theme.dim),
            Some(Load::Failed(problem)) => (problem.clone(), theme.bad),
            _ => (format!("{} kept no confusion matrix.", runs[place].name), theme.dim),
        };
        let wanted: &[usize] = match shown {
            Shown::First => &[0],
            Shown::Other => &[1],
            Shown::Difference => &[0, 1],
        };
        if let Some(place) = wanted.iter().find(|place| pair[**place].is_none()) {
            let (words, style) = missing(*place);
            return parts::message(&words, style, area, buffer);
        }
        match (shown, pair) {
            (Shown::First, [Some(found), _]) | (Shown::Other, [_, Some(found)]) => {
                heat_map(&found.classes, &shares(found), self.offset, false, area, theme, buffer);
            }
            (Shown::Difference, [Some(first), Some(other)]) => {
                if first.part != other.part {
                    let words = format!("One was evaluated on {}, the other on {}.", first.part, other.part);
                    return parts::message(&words, theme.dim, area, buffer);
                }
                match difference(first, other) {
                    Some((classes, cells)) => {
                        heat_map(&classes, &cells, self.offset, true, area, theme, buffer);
                    }
                    None => parts::message("They have no classes in common.", theme.dim, area, buffer),
                }
            }
            _ => {}
        }
    }
}

fn third(area: Rect, place: usize) -> Rect {
    let edge = |part: usize| u16::try_from(usize::from(area.width) * part / 3).unwrap_or(area.width);
    Rect { x: area.x + edge(place), width: edge(place + 1) - edge(place), ..area }
}

/// A cell: what it says, and how strong it is, from -1 (bad) over 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cell {
    pub(super) count: i64,
    pub(super) strength: f64,
    /// Whether it counts what was right.
    pub(super) is_right: bool,
}

/// The counts with the part of their true class that they are.
pub(super) fn shares(found: &Evaluation) -> Vec<Vec<Cell>> {
    let row = |(truth, counts): (usize, &Vec<u64>)| {
        let total: u64 = counts.iter().sum();
        let cell = |(predicted, count): (usize, &u64)| Cell {
            count: i64::try_from(*count).unwrap_or(i64::MAX),
            strength: if total == 0 { 0.0 } else { *count as f64 / total as f64 },
            is_right: truth == predicted,
        };
        counts.iter().enumerate().map(cell).collect()
    };
    found.counts.iter().enumerate().map(row).collect()
}

/// How many more the other run has in each cell of the classes that both know, in the first one's order. More where it
/// is right is good, and so is less where it is wrong.
pub(super) fn difference(first: &Evaluation, other: &Evaluation) -> Option<(Vec<String>, Vec<Vec<Cell>>)> {
    let place_of: BTreeMap<&str, usize> =
        other.classes.iter().enumerate().map(|(place, class)| (class.as_str(), place)).collect();
    let common: Vec<(usize, usize)> = first
        .classes
        .iter()
        .enumerate()
        .filter_map(|(place, class)| Some((place, *place_of.get(class.as_str())?)))
        .collect();
    if common.is_empty() {
        return None;
    }
    let count = |evaluation: &Evaluation, row: usize, column: usize| {
        evaluation.counts.get(row).and_then(|row| row.get(column)).copied().unwrap_or(0)
    };
    let share = |evaluation: &Evaluation, row: usize, column: usize| {
        let total: u64 = evaluation.counts.get(row).map_or(0, |row| row.iter().sum());
        if total == 0 { 0.0 } else { count(evaluation, row, column) as f64 / total as f64 }
    };
    let row = |truth: &(usize, usize)| {
        let cell = |predicted: &(usize, usize)| {
            let (old, new) = (count(first, truth.0, predicted.0), count(other, truth.1, predicted.1));
            let shift = share(other, truth.1, predicted.1) - share(first, truth.0, predicted.0);
            let is_right = truth == predicted;
            let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
            Cell { count: signed(new) - signed(old), strength: if is_right { shift } else { -shift }, is_right }
        };
        common.iter().map(cell).collect()
    };
    let classes = common.iter().map(|(place, _)| first.classes[*place].clone()).collect();
    Some((classes, common.iter().map(row).collect()))
}

/// Draws cells with the true classes at the left and the predicted ones at the top.
fn heat_map(
    classes: &[String],
    cells: &[Vec<Cell>],
    offset: usize,
    is_difference: bool,
    area: Rect,
    theme: &Theme,
    buffer: &mut Buffer,
) {
    if area.height < 3 || area.width < 12 {
        return;
    }
    let longest = classes.iter().map(|class| text::width(class)).max().unwrap_or(0);
    let names = longest.clamp(3, usize::from(area.width) / 4);
    let room = usize::from(area.width).saturating_sub(names + 3);
    let words = |cell: &Cell| match (cell.count, is_difference) {
        (0, _) => "·".to_owned(),
        (count, true) => format!("{count:+}"),
        (count, false) => count.to_string(),
    };
    let widest = cells.iter().flatten().map(|cell| words(cell).len()).max().unwrap_or(1);
    // Where numbers have no room, the colours alone say it.
    let named = (longest + 1).clamp(widest + 2, 12);
    let width =
        [named, widest + 2, widest + 1, 2, 1].into_iter().find(|width| classes.len() * width <= room).unwrap_or(1);
    let has_numbers = width > widest;
    let shown_columns = (room / width).min(classes.len());
    let rows = usize::from(area.height) - 2;
    let first = offset.min(classes.len().saturating_sub(rows));
    let first_column = first.min(classes.len() - shown_columns);
    let x = area.x + 1 + u16::try_from(names).unwrap_or(0) + 1;
    let column_x = |column: usize| x + u16::try_from((column - first_column) * width).unwrap_or(u16::MAX - x);
    buffer.set_stringn(area.x + 1, area.y, "truth ↓  prediction →", usize::from(area.width) - 1, theme.dim);
    for (column, class) in classes.iter().enumerate().skip(first_column).take(shown_columns) {
        let name = text::take(class, width.saturating_sub(1).max(1)).to_owned();
        let start = column_x(column) + u16::try_from(width - text::width(&name).min(width)).unwrap_or(0);
        buffer.set_stringn(start, area.y + 1, name, width, theme.dim);
    }
    let strongest = cells.iter().flatten().map(|cell| cell.strength.abs()).fold(0.0, f64::max);
    for (row, y) in (first..classes.len()).zip(area.y + 2..area.bottom()) {
        let name = text::shorten(&classes[row], names);
        let start = area.x + 1 + u16::try_from(names - text::width(&name).min(names)).unwrap_or(0);
        buffer.set_stringn(start, y, name, names, theme.text);
        for column in first_column..first_column + shown_columns {
            let Some(cell) = cells.get(row).and_then(|cells| cells.get(column)) else { continue };
            let strength = if is_difference && strongest > 0.0 { cell.strength / strongest } else { cell.strength };
            let style = heat(cell, strength, is_difference, theme);
            let shown = if has_numbers { words(cell) } else { shade(strength).to_owned() };
            buffer.set_stringn(column_x(column), y, format!("{shown:>width$}"), width, style);
        }
    }
    let below = area.y + 2 + u16::try_from((classes.len() - first).min(rows)).unwrap_or(0);
    let rest = Rect { y: below, height: area.bottom().saturating_sub(below), ..area };
    mistakes(classes, cells, is_difference, rest, theme, buffer);
    let hidden = classes.len().saturating_sub(rows.min(shown_columns));
    if hidden > 0 {
        let words = format!("{} of {} classes", rows.min(shown_columns), classes.len());
        let start = area.right().saturating_sub(u16::try_from(words.len()).unwrap_or(0) + 1);
        buffer.set_stringn(start.max(area.x), area.y, words, usize::from(area.width), theme.warn);
    }
}

/// The mistakes that are made most often, or that differ most, where the matrix leaves room for them.
fn mistakes(
    classes: &[String],
    cells: &[Vec<Cell>],
    is_difference: bool,
    area: Rect,
    theme: &Theme,
    buffer: &mut Buffer,
) {
    if area.height < 4 {
        return;
    }
    let all = cells
        .iter()
        .enumerate()
        .flat_map(|(truth, row)| row.iter().enumerate().map(move |(predicted, cell)| (truth, predicted, cell)));
    let mut wrong: Vec<(usize, usize, &Cell)> = all.filter(|(_, _, cell)| !cell.is_right && cell.count != 0).collect();
    wrong.sort_by_key(|(truth, predicted, cell)| (Reverse(cell.count.unsigned_abs()), *truth, *predicted));
    if wrong.is_empty() {
        return;
    }
    let title = if is_difference { "mistakes that differ most" } else { "most frequent mistakes" };
    let width = usize::from(area.width.saturating_sub(2));
    buffer.set_stringn(area.x + 1, area.y + 1, title, width, theme.dim);
    for ((truth, predicted, cell), y) in wrong.into_iter().zip(area.y + 2..area.bottom()) {
        let (count, style) = match (is_difference, cell.count > 0) {
            (false, _) => (format!("{:>6}", cell.count), theme.text),
            (true, true) => (format!("{:>+6}", cell.count), theme.bad),
            (true, false) => (format!("{:>+6}", cell.count), theme.good),
        };
        let words = format!("  {} taken for {}", classes[truth], classes[predicted]);
        let room = width.saturating_sub(count.len());
        let line = Line::from(vec![Span::styled(count, style), Span::styled(text::shorten(&words, room), theme.text)]);
        buffer.set_line(area.x + 1, y, &line, area.width.saturating_sub(2));
    }
}

/// A mark as strong as the cell, for cells that have no room for numbers and terminals that have no colours.
fn shade(strength: f64) -> &'static str {
    match strength.abs() {
        ..0.005 => "·",
        ..0.25 => "░",
        ..0.5 => "▒",
        ..0.75 => "▓",
        _ => "█",
    }
}

/// The look of a cell: as strong as its part, green for what is right or got better, red for the rest.
fn heat(cell: &Cell, strength: f64, is_difference: bool, theme: &Theme) -> Style {
    if cell.count == 0 {
        return theme.border;
    }
    let is_good = if is_difference { strength > 0.0 } else { cell.is_right };
    let ink = if is_good { theme.good } else { theme.bad };
    match (ink.fg, theme.border.fg) {
        (Some(Color::Rgb(r, g, b)), Some(Color::Rgb(..))) => {
            // The square root shows the few mistakes of a good model too.
            let part = strength.abs().clamp(0.0, 1.0).sqrt();
            let ground: f64 = if is_dark(theme) { 24.0 } else { 250.0 };
            let mix = |ink: u8| (ground + (f64::from(ink) - ground) * part * 0.75).round().clamp(0.0, 255.0) as u8;
            let back = Color::Rgb(mix(r), mix(g), mix(b));
            let light = (f64::from(mix(r)) * 0.3 + f64::from(mix(g)) * 0.59 + f64::from(mix(b)) * 0.11) > 128.0;
            let front = if light { Color::Rgb(16, 18, 24) } else { Color::Rgb(232, 236, 244) };
            Style::new().bg(back).fg(front)
        }
        _ if strength.abs() >= 0.5 => ink.add_modifier(Modifier::BOLD | Modifier::REVERSED),
        _ => ink,
    }
}

/// Whether the terminal's ground is dark, as the ground of chosen rows says.
fn is_dark(theme: &Theme) -> bool {
    match theme.selected.bg {
        Some(Color::Rgb(r, g, b)) => u16::from(r) + u16::from(g) + u16::from(b) < 384,
        _ => true,
    }
}
