//! What is shown of the sweeps, and what keys and the mouse do to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::run::{Objective, RunStatus};
use crate::tui::context::{Context, Load};
use crate::tui::effects::Effect;
use crate::tui::keys::{Command, Scope};
use crate::tui::layout::{split_bottom, split_left, split_top};
use crate::tui::list::{held, moved};
use crate::tui::mouse::{Mouse, MouseKind};
use crate::tui::theme::Theme;
use crate::tui::views::{Place, Step, ViewState};

use super::draw;
use super::importance::Importances;
use super::load::{Answer, Request};
use super::trials::{Sweep, Trial};

/// Sweeps are looked at this often while they are shown.
const REFRESH: SignedDuration = SignedDuration::from_secs(2);
/// Columns and rows from which on everything is shown at once.
const WIDE: (u16, u16) = (110, 28);

/// A part of the view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Part {
    /// The trials in a table.
    #[default]
    Trials,
    /// The best so far.
    Best,
    /// Which parameters matter.
    Importance,
    /// The parameters beside each other.
    Parallel,
}

impl Part {
    /// All of them, in order.
    pub(super) const ALL: [Self; 4] = [Self::Trials, Self::Best, Self::Importance, Self::Parallel];

    /// The part's name.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Trials => "Trials",
            Self::Best => "Best so far",
            Self::Importance => "Importance",
            Self::Parallel => "Parallel",
        }
    }

    fn beside(self, step: isize) -> Self {
        let place = Self::ALL.iter().position(|part| *part == self).unwrap_or(0);
        Self::ALL[(place + Self::ALL.len()).saturating_add_signed(step) % Self::ALL.len()]
    }
}

/// Where the parts stand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places {
    /// The sweep in a line, and the parts' names.
    pub(super) title: Rect,
    /// The sweeps, where there are several and there is room; may be empty.
    pub(super) sweeps: Rect,
    pub(super) trials: Rect,
    pub(super) best: Rect,
    pub(super) importance: Rect,
    pub(super) parallel: Rect,
    /// Whether all parts are shown; otherwise they have the same place and one is shown.
    pub(super) wide: bool,
}

/// What was computed for a sweep. It stays while it is computed anew for trials that went on.
#[derive(Debug)]
struct Computed {
    sweep: String,
    objective: Objective,
    trials: Arc<Vec<Trial>>,
    result: Load<Option<Importances>>,
}

/// The sweeps.
#[derive(Debug)]
pub(in crate::tui) struct SweepsView {
    pub(in crate::tui) sweeps: Load<Vec<Sweep>>,
    /// The sweep that is shown, whatever its place becomes.
    chosen: Option<String>,
    /// The metric that was chosen for a sweep.
    metrics: BTreeMap<String, String>,
    pub(super) part: Part,
    /// Whether the trials stand in the order in which they began.
    pub(super) by_time: bool,
    /// The row of the chosen trial, and the first row on the screen.
    pub(super) selected: usize,
    pub(super) offset: usize,
    computed: Option<Computed>,
    asked: Option<Timestamp>,
    is_pending: bool,
}

impl Default for SweepsView {
    fn default() -> Self {
        Self {
            sweeps: Load::Waiting,
            chosen: None,
            metrics: BTreeMap::new(),
            part: Part::Trials,
            by_time: false,
            selected: 0,
            offset: 0,
            computed: None,
            asked: None,
            is_pending: false,
        }
    }
}

impl SweepsView {
    /// The place of the sweep that is shown.
    pub(super) fn place(&self) -> usize {
        let chosen = |sweep: &Sweep| Some(&sweep.id) == self.chosen.as_ref();
        self.sweeps.ready().and_then(|sweeps| sweeps.iter().position(chosen)).unwrap_or(0)
    }

    /// The sweep that is shown.
    pub(super) fn sweep(&self) -> Option<&Sweep> {
        self.sweeps.ready()?.get(self.place())
    }

    /// What the sweep searches for: what the user chose, else what its trials say, else what they are likely to.
    pub(super) fn objective(&self) -> Option<Objective> {
        let sweep = self.sweep()?;
        let metrics = sweep.metrics();
        let chosen = self.metrics.get(&sweep.id).filter(|metric| metrics.contains(metric));
        Some(sweep.objective_of(chosen.or(metrics.first())?))
    }

    /// The trials as the table has them, by their places.
    pub(super) fn order(&self) -> Vec<usize> {
        let Some(sweep) = self.sweep() else { return Vec::new() };
        match self.objective() {
            Some(objective) if !self.by_time => sweep.ranking(&objective),
            _ => (0..sweep.trials.len()).rev().collect(),
        }
    }

    /// The trials by what they reached, the best first, by their places.
    pub(super) fn order_by_value(&self) -> Vec<usize> {
        match (self.sweep(), self.objective()) {
            (Some(sweep), Some(objective)) => sweep.ranking(&objective),
            _ => Vec::new(),
        }
    }

    /// The chosen trial.
    pub(super) fn trial(&self) -> Option<&Trial> {
        self.sweep()?.trials.get(*self.order().get(self.selected)?)
    }

    /// Which parameters matter, as far as is known.
    pub(super) fn importances(&self) -> Option<&Load<Option<Importances>>> {
        let (sweep, objective) = (self.sweep()?, self.objective()?);
        let computed = self.computed.as_ref()?;
        (computed.sweep == sweep.id && computed.objective == objective).then_some(&computed.result)
    }

    /// The parameters that differ, the most important first where that is known.
    pub(super) fn parameters(&self) -> Vec<String> {
        let Some(sweep) = self.sweep() else { return Vec::new() };
        let mut varied = sweep.varied();
        if let Some(Load::Ready(Some(importances))) = self.importances() {
            let rank = |name: &String| importances.parameters.iter().position(|parameter| parameter.name == *name);
            varied.sort_by_key(|name| rank(name).unwrap_or(usize::MAX));
        }
        varied
    }

    /// Where the parts stand.
    pub(super) fn places(&self, area: Rect) -> Places {
        let (title, rest) = split_top(area, 1);
        let none = Rect { width: 0, height: 0, ..rest };
        if area.width < WIDE.0 || area.height < WIDE.1 {
            return Places {
                title,
                sweeps: none,
                trials: rest,
                best: rest,
                importance: rest,
                parallel: rest,
                wide: false,
            };
        }
        let has_several = self.sweeps.ready().is_some_and(|sweeps| sweeps.len() > 1);
        let (sweeps, rest) = if has_several { split_left(rest, 26) } else { (none, rest) };
        let (above, trials) = split_bottom(rest, (rest.height * 2 / 5).max(10));
        let (parallel, right) = split_left(above, above.width * 3 / 5);
        let (best, importance) = split_bottom(right, (right.height / 2).max(6));
        Places { title, sweeps, trials, best, importance, parallel, wide: true }
    }

    fn choose(&mut self, place: usize) {
        let id = self.sweeps.ready().and_then(|sweeps| sweeps.get(place)).map(|sweep| sweep.id.clone());
        if id.is_some() && id != self.chosen {
            self.chosen = id;
            (self.selected, self.offset) = (0, 0);
        }
    }

    fn next_metric(&mut self) {
        let (Some(sweep), Some(objective)) = (self.sweep(), self.objective()) else { return };
        let metrics = sweep.metrics();
        let place = metrics.iter().position(|metric| *metric == objective.metric).map_or(0, |place| place + 1);
        let (id, metric) = (sweep.id.clone(), metrics[place % metrics.len()].clone());
        self.metrics.insert(id, metric);
    }

    /// Takes what was asked for.
    pub(in crate::tui) fn loaded(&mut self, answer: Answer) {
        match answer {
            Answer::List(result) => {
                self.is_pending = false;
                let (chosen, trial) = (self.chosen.clone(), self.trial().map(|trial| trial.run_id));
                match result {
                    Ok(None) => {}
                    Ok(Some(sweeps)) => {
                        self.sweeps = Load::Ready(sweeps);
                        if chosen.is_none() {
                            self.choose(0);
                        }
                        // The chosen trial stays chosen, wherever it ranks now.
                        let order = self.order();
                        let is_it = |place: &usize| {
                            self.sweep().is_some_and(|sweep| Some(sweep.trials[*place].run_id) == trial)
                        };
                        self.selected = order.iter().position(is_it).unwrap_or(self.selected);
                    }
                    Err(problem) => self.sweeps = Load::Failed(problem),
                }
            }
            Answer::Importance(sweep, objective, found) => {
                if let Some(computed) = &mut self.computed
                    && Arc::ptr_eq(&computed.trials, &sweep.trials)
                    && computed.objective == objective
                {
                    computed.result = Load::Ready(found);
                }
            }
        }
    }

    fn wanted_importance(&mut self) -> Option<Request> {
        let (sweep, objective) = (self.sweep()?.clone(), self.objective()?);
        let known = self.importances().is_some();
        if known && self.computed.as_ref().is_some_and(|computed| Arc::ptr_eq(&computed.trials, &sweep.trials)) {
            return None;
        }
        let before = self.computed.take().filter(|_| known).map_or(Load::Waiting, |computed| computed.result);
        let (id, trials) = (sweep.id.clone(), sweep.trials.clone());
        self.computed = Some(Computed { sweep: id, objective: objective.clone(), trials, result: before });
        Some(Request::Importance(sweep, objective))
    }

    fn open_trial(&self) -> Vec<Step> {
        self.trial().map(|trial| Step::Go(Place::Run(trial.run_id))).into_iter().collect()
    }
}

impl ViewState for SweepsView {
    fn scope(&self) -> Scope {
        Scope::Sweeps
    }

    fn command(&mut self, command: Command, context: &Context) -> Vec<Step> {
        let count = self.sweeps.ready().map_or(0, Vec::len);
        match command {
            Command::Back => return vec![Step::Back],
            Command::Open => return self.open_trial(),
            Command::Mark => return self.trial().map(|trial| Step::Mark(trial.run_id)).into_iter().collect(),
            Command::Left => self.part = self.part.beside(-1),
            Command::Right => self.part = self.part.beside(1),
            Command::Next if count > 0 => self.choose((self.place() + 1) % count),
            Command::Previous if count > 0 => self.choose((self.place() + count - 1) % count),
            Command::NextMetric => self.next_metric(),
            Command::Sort => self.by_time = !self.by_time,
            _ => {
                let rows = usize::from(self.places(context.body()).trials.height.saturating_sub(3));
                let trials = self.sweep().map_or(0, |sweep| sweep.trials.len());
                self.selected = moved(self.selected, command, rows, trials);
            }
        }
        Vec::new()
    }

    fn mouse(&mut self, mouse: Mouse, context: &Context) -> Vec<Step> {
        let places = self.places(context.body());
        let shows_trials = places.wide || self.part == Part::Trials;
        match mouse.kind {
            MouseKind::WheelUp => return self.command(Command::Up, context),
            MouseKind::WheelDown => return self.command(Command::Down, context),
            MouseKind::Press | MouseKind::DoublePress => {}
            MouseKind::Drag | MouseKind::Release => return Vec::new(),
        }
        if let Some(part) = draw::part_at(self, &mouse, context.body()) {
            self.part = part;
        } else if let Some(row) = mouse.row_in(places.sweeps).and_then(|row| row.checked_sub(1)) {
            self.choose(row);
        } else if let Some(row) =
            mouse.row_in(places.trials).filter(|_| shows_trials).and_then(|row| row.checked_sub(2))
        {
            let row = row + self.offset;
            if row < self.order().len() {
                self.selected = row;
                if mouse.kind == MouseKind::DoublePress {
                    return self.open_trial();
                }
            }
        }
        Vec::new()
    }

    fn settle(&mut self, context: &Context) {
        let rows = usize::from(self.places(context.body()).trials.height.saturating_sub(3));
        let count = self.sweep().map_or(0, |sweep| sweep.trials.len());
        self.selected = self.selected.min(count.saturating_sub(1));
        self.offset = held(self.offset, self.selected, rows, count);
    }

    fn wanted(&mut self, context: &Context) -> Vec<Effect> {
        let mut effects = Vec::new();
        let is_due = |asked: Timestamp| context.now.duration_since(asked) >= REFRESH;
        if !self.is_pending && self.asked.is_none_or(is_due) {
            (self.is_pending, self.asked) = (true, Some(context.now));
            effects.push(Effect::Sweeps(Request::List));
        }
        effects.extend(self.wanted_importance().map(Effect::Sweeps));
        effects
    }

    fn draw(&self, context: &Context, theme: &Theme, area: Rect, buffer: &mut Buffer) {
        draw::draw(self, context, theme, area, buffer);
    }
}

/// How many trials are in progress.
pub(super) fn running(sweep: &Sweep) -> usize {
    sweep.trials.iter().filter(|trial| trial.status == RunStatus::Running).count()
}
