//! The state of the comparison.

use std::collections::{BTreeMap, BTreeSet};

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::id::{CommitId, RunId};
use crate::run::Run;

use super::super::super::chart::{ChartGrid, ChartRun};
use super::super::super::context::Context;
use super::super::super::effects::Effect;
use super::super::super::keys::{Command, Scope};
use super::super::super::layout::split_top;
use super::super::super::mouse::{Mouse, MouseKind};
use super::super::super::overlay::{Given, Purpose};
use super::super::super::parts;
use super::super::super::theme::Theme;
use super::super::runs::{Stamp, stamp};
use super::super::{Step, ViewState};
use super::code::Code;
use super::data::Data;
use super::load::{Answer, CODE, DATA, PATCH, Request};
use super::matrix::Matrices;
use super::panes::{self, Pane};
use super::rows::{Section, sections};
use super::table::{Head, Table};

/// The comparison.
#[derive(Debug, Default)]
pub(in crate::tui) struct CompareView {
    pub(in crate::tui) pane: Pane,
    /// Whether what is the same is shown too.
    shows_same: bool,
    /// The run that the first one is compared with where two are: its place among the marked ones.
    other: usize,
    table: Table,
    pub(in crate::tui) charts: ChartGrid,
    /// The points that were asked for, and what the run had come to then.
    asked: BTreeMap<RunId, Stamp>,
    pending: BTreeSet<RunId>,
    code: Code,
    data: Data,
    matrices: Matrices,
}

fn runs(context: &Context) -> Vec<&Run> {
    context.marks.runs().iter().filter_map(|run_id| context.records.get(run_id)).collect()
}

/// The line above, and what is below.
fn areas(context: &Context) -> (Rect, Rect) {
    split_top(context.body(), 1)
}

/// The commit with a run's code as it was when it ran.
fn code_of(run: &Run) -> Option<CommitId> {
    run.snapshot.or(run.commit)
}

impl CompareView {
    /// Takes what was asked for.
    pub(in crate::tui) fn loaded(&mut self, answer: Answer) {
        match answer {
            Answer::Series(run_id, tracks) => {
                self.pending.remove(&run_id);
                self.charts.take(&run_id, tracks);
            }
            Answer::Lines(lines) => self.charts.made(&lines),
            Answer::Code(old, new, changes) => self.code.loaded((old, new), changes),
            Answer::Patch(path, patch) => self.code.patch_loaded(&path, patch),
            Answer::Data(before, after, changes) => self.data.loaded(&(before, after), changes),
            Answer::Evaluation(run_id, evaluations) => self.matrices.loaded(run_id, evaluations),
        }
    }

    /// The two runs of a pane that is about two.
    fn pair<'c>(&self, context: &'c Context) -> Option<[&'c Run; 2]> {
        let runs = runs(context);
        Some([*runs.first()?, *runs.get(self.other.max(1))?])
    }

    fn sections(&self, context: &Context) -> Vec<Section> {
        sections(&runs(context), self.shows_same, context.now)
    }

    fn wanted_charts(&mut self, context: &Context) -> Vec<Effect> {
        let mut effects = Vec::new();
        for run in runs(context) {
            let now = stamp(run);
            if !self.pending.contains(&run.id) && self.asked.get(&run.id) != Some(&now) {
                self.pending.insert(run.id);
                self.asked.insert(run.id, now);
                effects.push(Effect::Compare(Request::Series(run.id)));
            }
        }
        effects.extend(self.charts.job().map(|job| Effect::Compare(Request::Lines(job))));
        effects
    }
}

impl ViewState for CompareView {
    fn scope(&self) -> Scope {
        if self.pane == Pane::Charts { Scope::CompareCharts } else { Scope::CompareRows }
    }

    fn command(&mut self, command: Command, context: &Context) -> Vec<Step> {
        let (_, area) = areas(context);
        let count = runs(context).len();
        match command {
            Command::NextPane => self.pane = self.pane.beside(1),
            Command::PreviousPane => self.pane = self.pane.beside(-1),
            Command::NextRun => self.other = (self.other + 1).min(count.saturating_sub(1)).max(1),
            Command::PreviousRun => self.other = self.other.saturating_sub(1).max(1),
            Command::ShowSame if self.pane == Pane::Table => self.shows_same = !self.shows_same,
            Command::Filter if self.pane == Pane::Charts => {
                return self.charts.ask_for_chart().map(Step::Open).into_iter().collect();
            }
            _ if self.pane == Pane::Charts && self.charts.command(command, area) => {}
            Command::Back => return vec![Step::Back],
            _ => match self.pane {
                Pane::Table => self.table.command(command, &self.sections(context), count, area),
                Pane::Code => self.code.command(command, area),
                Pane::Data => self.data.command(command, area),
                Pane::Confusion => {
                    if let Some(pair) = self.pair(context) {
                        self.matrices.command(command, pair, area);
                    }
                }
                Pane::Charts => {}
            },
        }
        Vec::new()
    }

    fn mouse(&mut self, mouse: Mouse, context: &Context) -> Vec<Step> {
        let (title, area) = areas(context);
        if let (MouseKind::Press, true) = (mouse.kind, mouse.is_in(title)) {
            self.pane = Pane::at(mouse.column, title).unwrap_or(self.pane);
            return Vec::new();
        }
        match (self.pane, mouse.kind) {
            (Pane::Charts, _) if self.charts.mouse(&mouse, area) => Vec::new(),
            (Pane::Code, _) => {
                self.code.mouse(&mouse, area);
                Vec::new()
            }
            (_, MouseKind::WheelUp) => self.command(Command::Up, context),
            (_, MouseKind::WheelDown) => self.command(Command::Down, context),
            _ => Vec::new(),
        }
    }

    fn given(&mut self, purpose: &Purpose, given: Given, context: &Context) -> Vec<Step> {
        if let (Purpose::Chart, Given::Chosen(titles)) = (purpose, given) {
            titles.iter().for_each(|title| self.charts.choose(title, areas(context).1));
        }
        Vec::new()
    }

    fn settle(&mut self, context: &Context) {
        let runs = runs(context);
        self.other = self.other.clamp(1, runs.len().saturating_sub(1).max(1));
        let ids: BTreeSet<RunId> = runs.iter().map(|run| run.id).collect();
        self.asked.retain(|run_id, _| ids.contains(run_id));
        self.charts.show(runs.iter().map(|run| ChartRun::of(run, context)).collect());
    }

    fn needs(&self, context: &Context) -> Vec<RunId> {
        context.marks.runs().to_vec()
    }

    fn wanted(&mut self, context: &Context) -> Vec<Effect> {
        if self.pane == Pane::Charts {
            return self.wanted_charts(context);
        }
        let Some([first, other]) = self.pair(context) else { return Vec::new() };
        match self.pane {
            Pane::Table | Pane::Charts => Vec::new(),
            Pane::Code => self.code.wanted(code_of(first).zip(code_of(other))).into_iter().collect(),
            Pane::Data => self.data.wanted((first.inputs.clone(), other.inputs.clone())).into_iter().collect(),
            Pane::Confusion => self.matrices.wanted([first, other]),
        }
    }

    fn left(&mut self) -> Vec<Effect> {
        self.code.left();
        self.data.left();
        vec![Effect::Cancel(CODE), Effect::Cancel(PATCH), Effect::Cancel(DATA)]
    }

    fn draw(&self, context: &Context, theme: &Theme, _area: Rect, buffer: &mut Buffer) {
        let (title, area) = areas(context);
        let runs = runs(context);
        panes::title(self.pane, &runs, self.other, context, theme, title, buffer);
        if runs.len() < 2 {
            let words = match runs.len() {
                0 => "No runs are marked. Space marks the chosen one in the table of runs; mark two or more.",
                _ => "One run is marked. Space marks another one in the table of runs.",
            };
            let none = ratatui::text::Line::default();
            let inner = parts::panel(none.clone(), none, true, theme, area, buffer);
            return parts::message(words, theme.dim, inner, buffer);
        }
        match self.pane {
            Pane::Table => {
                let head = |run: &&Run| Head { name: run.name.clone(), color: context.color(&run.id) };
                let heads: Vec<Head> = runs.iter().map(head).collect();
                self.table.draw(&heads, &self.sections(context), area, theme, buffer);
            }
            Pane::Charts => self.charts.draw(area, true, theme, buffer),
            Pane::Code => self.code.draw(area, theme, buffer),
            Pane::Data => self.data.draw(area, theme, buffer),
            Pane::Confusion => {
                if let Some(pair) = self.pair(context) {
                    self.matrices.draw(pair, area, theme, buffer);
                }
            }
        }
    }
}
