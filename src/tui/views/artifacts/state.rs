//! What is shown of the artifacts, and what keys and the mouse do to it.

use jiff::{SignedDuration, Timestamp};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::files::RelPath;
use crate::id::ArtifactId;
use crate::track::Pointer;
use crate::tui::context::{Context, Load};
use crate::tui::effects::Effect;
use crate::tui::files::{self, FilesPane, Root};
use crate::tui::keys::{Command, Scope};
use crate::tui::layout::{split_bottom, split_left, split_top};
use crate::tui::lend::Errand;
use crate::tui::list::{held, moved};
use crate::tui::mouse::{Mouse, MouseKind};
use crate::tui::parts::inside;
use crate::tui::theme::Theme;
use crate::tui::views::{Place, Step, View, ViewState};

use super::draw;
use super::load::{Answer, Named, Names, Request, Standings, Tracked, Version};

/// Artifacts are looked at this often while they are shown, unless that takes long.
const REFRESH: SignedDuration = SignedDuration::from_secs(5);
/// Columns and rows from which on all parts are shown at once.
const WIDE: (u16, u16) = (110, 28);

/// The part that the keys act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::tui) enum Part {
    /// The artifacts.
    List,
    /// The versions of the chosen one.
    Versions,
    /// What names the chosen version.
    Names,
    /// The files of the chosen version.
    Files,
}

impl Part {
    /// Those below the list.
    pub(super) const BELOW: [Self; 3] = [Self::Versions, Self::Names, Self::Files];

    /// The part's name.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::List => "Artifacts",
            Self::Versions => "Versions",
            Self::Names => "Named by",
            Self::Files => "Files",
        }
    }
}

/// Where the parts stand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places {
    pub(super) list: Rect,
    pub(super) versions: Rect,
    pub(super) names: Rect,
    pub(super) files: Rect,
    /// Whether all parts are shown; otherwise one of those below the list is.
    pub(super) wide: bool,
}

/// A choice in a list, and the first row on the screen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) selected: usize,
    pub(super) offset: usize,
}

impl Choice {
    fn settle(&mut self, rows: u16, count: usize) {
        self.selected = self.selected.min(count.saturating_sub(1));
        self.offset = held(self.offset, self.selected, usize::from(rows), count);
    }
}

/// The artifacts.
#[derive(Debug)]
pub(in crate::tui) struct ArtifactsView {
    pub(in crate::tui) tracked: Load<Tracked>,
    pub(in crate::tui) standings: Load<Standings>,
    pub(in crate::tui) part: Part,
    /// The part below the list that is shown where there is room for one.
    pub(super) below: Part,
    pub(super) choice: Choice,
    pub(super) versions: Option<(RelPath, Load<Vec<Version>>)>,
    pub(super) version: Choice,
    pub(super) names: Option<(ArtifactId, Load<Names>)>,
    pub(super) name: Choice,
    names_asked: Option<Timestamp>,
    pub(super) files: FilesPane,
    list_asked: Option<Timestamp>,
    list_pending: bool,
    standings_asked: Option<Timestamp>,
    standings_pending: bool,
    standings_pause: SignedDuration,
}

impl Default for ArtifactsView {
    fn default() -> Self {
        Self {
            tracked: Load::Waiting,
            standings: Load::Waiting,
            part: Part::List,
            below: Part::Versions,
            choice: Choice::default(),
            versions: None,
            version: Choice::default(),
            names: None,
            name: Choice::default(),
            names_asked: None,
            files: FilesPane::default(),
            list_asked: None,
            list_pending: false,
            standings_asked: None,
            standings_pending: false,
            standings_pause: REFRESH,
        }
    }
}

impl ArtifactsView {
    pub(super) fn artifacts(&self) -> &[(RelPath, Pointer)] {
        self.tracked.ready().map_or(&[], |tracked| &tracked.artifacts)
    }

    /// The chosen artifact.
    pub(super) fn chosen(&self) -> Option<&(RelPath, Pointer)> {
        self.artifacts().get(self.choice.selected)
    }

    pub(super) fn version_list(&self) -> &[Version] {
        match &self.versions {
            Some((_, Load::Ready(versions))) => versions,
            _ => &[],
        }
    }

    /// The pointer that is looked into: that of the chosen version, and as long as none was chosen that of the work tree.
    pub(super) fn pointer(&self) -> Option<&Pointer> {
        let version = self
            .version_list()
            .get(self.version.selected)
            .filter(|_| self.part > Part::List || self.version.selected > 0);
        match version {
            Some(version) => version.pointer.as_ref().ok()?.as_ref(),
            None => self.chosen().map(|(_, pointer)| pointer),
        }
    }

    pub(super) fn name_list(&self) -> &[Named] {
        match &self.names {
            Some((_, Load::Ready(names))) => &names.all,
            _ => &[],
        }
    }

    /// Where the parts stand.
    pub(super) fn places(&self, area: Rect) -> Places {
        if area.width < WIDE.0 || area.height < WIDE.1 {
            let rows = u16::try_from(self.artifacts().len()).unwrap_or(u16::MAX).saturating_add(3);
            let (list, below) = split_top(area, rows.clamp(5, (area.height * 2 / 5).max(5)));
            return Places { list, versions: below, names: below, files: below, wide: false };
        }
        let rows = u16::try_from(self.artifacts().len()).unwrap_or(u16::MAX).saturating_add(3);
        let (list, below) = split_top(area, rows.clamp(7, area.height * 2 / 5));
        let (left, files) = split_left(below, below.width * 2 / 5);
        let (versions, names) = split_bottom(left, left.height / 3);
        Places { list, versions, names, files, wide: true }
    }

    fn go_to(&mut self, part: Part) {
        self.part = part;
        if part != Part::List {
            self.below = part;
        }
    }

    /// Takes what was asked for.
    pub(in crate::tui) fn loaded(&mut self, answer: Answer, context: &Context) {
        match answer {
            Answer::List(result) => {
                self.list_pending = false;
                let chosen = self.chosen().map(|(path, _)| path.clone());
                let head = self.tracked.ready().map(|tracked| tracked.head);
                self.tracked = result.into();
                // The chosen one stays chosen, wherever it stands now.
                let place = self.artifacts().iter().position(|(path, _)| Some(path) == chosen.as_ref());
                self.choice.selected = place.unwrap_or(self.choice.selected);
                if head.is_some_and(|head| self.tracked.ready().is_some_and(|tracked| tracked.head != head)) {
                    self.versions = None;
                }
            }
            Answer::Standings(result) => {
                self.standings_pending = false;
                // What takes long is asked for less often, so that at most a tenth of a core goes into it.
                let took = self.standings_asked.map_or(SignedDuration::ZERO, |asked| context.now.duration_since(asked));
                self.standings_pause = REFRESH.max(took.saturating_mul(10));
                self.standings = result.into();
            }
            Answer::Versions(path, result) => {
                if let Some((wanted, versions)) = &mut self.versions
                    && *wanted == path
                {
                    *versions = result.into();
                }
            }
            Answer::Names(id, result) => {
                if let Some((wanted, names)) = &mut self.names
                    && *wanted == id
                {
                    *names = result.into();
                }
            }
        }
    }

    /// Takes what the files were asked for.
    pub(in crate::tui) fn files_loaded(&mut self, answer: &files::Answer) {
        self.files.loaded(answer);
    }

    fn open(&self) -> Vec<Step> {
        match self.name_list().get(self.name.selected) {
            Some(Named::Run(run)) => vec![Step::Go(Place::Run(run.run_id))],
            Some(Named::Version(_)) => vec![Step::Go(Place::At(View::Registry))],
            None => Vec::new(),
        }
    }

    fn beside(&self, step: isize) -> Part {
        let all = [Part::List, Part::Versions, Part::Names, Part::Files];
        let place = all.iter().position(|part| *part == self.part).unwrap_or(0);
        all[place.saturating_add_signed(step).min(all.len() - 1)]
    }

    fn move_choice(&mut self, command: Command, places: &Places) {
        let rows = |area: Rect, heading: u16| usize::from(area.height.saturating_sub(2 + heading));
        match self.part {
            Part::List => {
                let before = self.choice.selected;
                self.choice.selected = moved(before, command, rows(places.list, 1), self.artifacts().len());
                if before != self.choice.selected {
                    (self.version, self.name) = (Choice::default(), Choice::default());
                }
            }
            Part::Versions => {
                let count = self.version_list().len();
                self.version.selected = moved(self.version.selected, command, rows(places.versions, 0), count);
                self.name = Choice::default();
            }
            Part::Names => {
                let count = self.name_list().len();
                self.name.selected = moved(self.name.selected, command, rows(places.names, 0), count);
            }
            Part::Files => {}
        }
    }
}

impl ViewState for ArtifactsView {
    fn scope(&self) -> Scope {
        Scope::Artifacts
    }

    fn command(&mut self, command: Command, context: &Context) -> Vec<Step> {
        let places = self.places(context.body());
        if self.part == Part::Files && self.files.command(command, places.files) {
            return Vec::new();
        }
        match (command, self.part) {
            (Command::Back, Part::List) => return vec![Step::Back],
            (Command::Back, _) => self.go_to(Part::List),
            (Command::Left, _) => self.go_to(self.beside(-1)),
            (Command::Right, _) => self.go_to(self.beside(1)),
            (Command::Open, Part::List) => self.go_to(Part::Versions),
            (Command::Open, Part::Versions) => self.go_to(Part::Files),
            (Command::Open, Part::Names) => return self.open(),
            (Command::ShowFiles, _) => self.go_to(Part::Files),
            (Command::Edit, _) => {
                return self
                    .files
                    .edit(places.files)
                    .map(|request| Step::Do(Effect::Files(request)))
                    .into_iter()
                    .collect();
            }
            (Command::ShowCommit, _) => {
                let version = self.version_list().get(self.version.selected);
                let show = |version: &Version| Step::Do(Effect::Lend(Errand::ShowCommit(version.commit.id)));
                return version.map(show).into_iter().collect();
            }
            _ => self.move_choice(command, &places),
        }
        Vec::new()
    }

    fn mouse(&mut self, mouse: Mouse, context: &Context) -> Vec<Step> {
        let places = self.places(context.body());
        let is_shown = |part: Part| places.wide || self.below == part;
        let areas = [(Part::Versions, places.versions), (Part::Names, places.names), (Part::Files, places.files)];
        let below = areas.into_iter().find(|(part, area)| is_shown(*part) && mouse.is_in(*area));
        let Some((part, area)) = (if mouse.is_in(places.list) { Some((Part::List, places.list)) } else { below })
        else {
            return Vec::new();
        };
        if let MouseKind::Press | MouseKind::DoublePress = mouse.kind {
            if let Some(part) = draw::part_at(self, &mouse, &places) {
                self.go_to(part);
                return Vec::new();
            }
            self.go_to(part);
        }
        if part == Part::Files {
            self.files.mouse(mouse, area);
            return Vec::new();
        }
        let command = match mouse.kind {
            MouseKind::WheelUp => Command::Up,
            MouseKind::WheelDown => Command::Down,
            MouseKind::Press | MouseKind::DoublePress => {
                let heading = usize::from(part == Part::List);
                let Some(row) = mouse.row_in(inside(area)).and_then(|row| row.checked_sub(heading)) else {
                    return Vec::new();
                };
                let (count, choice) = match part {
                    Part::List => (self.artifacts().len(), &mut self.choice),
                    Part::Versions => (self.version_list().len(), &mut self.version),
                    _ => (self.name_list().len(), &mut self.name),
                };
                if row + choice.offset >= count {
                    return Vec::new();
                }
                let before = std::mem::replace(&mut choice.selected, row + choice.offset);
                if part == Part::List && before != self.choice.selected {
                    (self.version, self.name) = (Choice::default(), Choice::default());
                }
                let is_double = mouse.kind == MouseKind::DoublePress;
                return if is_double { self.command(Command::Open, context) } else { Vec::new() };
            }
            MouseKind::Drag | MouseKind::Release => return Vec::new(),
        };
        let before = std::mem::replace(&mut self.part, part);
        self.move_choice(command, &places);
        self.part = before;
        Vec::new()
    }

    fn settle(&mut self, context: &Context) {
        let places = self.places(context.body());
        let (artifacts, versions, names) = (self.artifacts().len(), self.version_list().len(), self.name_list().len());
        self.choice.settle(places.list.height.saturating_sub(3), artifacts);
        self.version.settle(places.versions.height.saturating_sub(2), versions);
        self.name.settle(places.names.height.saturating_sub(2), names);
        let root = self.pointer().map(|pointer| Root {
            name: pointer.name.clone(),
            what: pointer.artifact_type.to_string(),
            id: pointer.id,
            bytes: Some(pointer.bytes),
        });
        if root.is_none() {
            self.names = None;
        }
        self.files.show_one(root);
        self.files.settle(places.files);
    }

    fn wanted(&mut self, context: &Context) -> Vec<Effect> {
        let mut effects = Vec::new();
        let is_due =
            |asked: Option<Timestamp>, pause| asked.is_none_or(|asked| context.now.duration_since(asked) >= pause);
        if !self.list_pending && is_due(self.list_asked, REFRESH) {
            (self.list_pending, self.list_asked) = (true, Some(context.now));
            effects.push(Effect::Artifacts(Request::List));
        }
        if !self.standings_pending && is_due(self.standings_asked, self.standings_pause) {
            (self.standings_pending, self.standings_asked) = (true, Some(context.now));
            effects.push(Effect::Artifacts(Request::Standings));
        }
        if let Some((path, _)) = self.chosen().cloned()
            && self.versions.as_ref().is_none_or(|(known, _)| *known != path)
        {
            self.versions = Some((path.clone(), Load::Waiting));
            effects.push(Effect::Artifacts(Request::Versions(path)));
        }
        if let Some(id) = self.pointer().map(|pointer| pointer.id) {
            let is_other = self.names.as_ref().is_none_or(|(known, _)| *known != id);
            // Runs come and go; what is known of them stays until it is known anew.
            if is_other || is_due(self.names_asked, REFRESH) {
                self.names_asked = Some(context.now);
                self.names = self.names.take().filter(|_| !is_other).or(Some((id, Load::Waiting)));
                effects.push(Effect::Artifacts(Request::Names(id)));
            }
        }
        let places = self.places(context.body());
        if places.wide || self.below == Part::Files {
            effects.extend(self.files.wanted(places.files).into_iter().map(Effect::Files));
        }
        effects
    }

    fn draw(&self, context: &Context, theme: &Theme, area: Rect, buffer: &mut Buffer) {
        draw::draw(self, context, theme, area, buffer);
    }
}
