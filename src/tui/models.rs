//! The registry: which model and which version is chosen.

use crate::registry::{Model, RegistryEvent, Version};

use super::app::Load;
use super::keys::Command;
use super::layout;
use super::runs::moved;
use super::source::Problem;

/// Where the keys act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Focus {
    /// On the list of models.
    Models,
    /// On the versions of the chosen one.
    Versions,
}

/// The models.
#[derive(Debug)]
pub(super) struct Models {
    pub(super) models: Load<Vec<Model>>,
    pub(super) focus: Focus,
    pub(super) selected: usize,
    pub(super) offset: usize,
    /// The chosen version, counted from the newest.
    pub(super) selected_version: usize,
    pub(super) version_offset: usize,
    /// What happened to the chosen model.
    pub(super) history: Load<Vec<RegistryEvent>>,
    history_of: Option<String>,
}

impl Default for Models {
    fn default() -> Self {
        Self {
            models: Load::Waiting,
            focus: Focus::Models,
            selected: 0,
            offset: 0,
            selected_version: 0,
            version_offset: 0,
            history: Load::Waiting,
            history_of: None,
        }
    }
}

impl Models {
    /// The chosen model.
    pub(super) fn model(&self) -> Option<&Model> {
        self.models.ready()?.get(self.selected)
    }

    /// The versions of the chosen model, the newest first.
    pub(super) fn versions(&self) -> impl Iterator<Item = &Version> {
        self.model().into_iter().flat_map(|model| model.versions.iter().rev())
    }

    /// The chosen version.
    pub(super) fn version(&self) -> Option<&Version> {
        self.versions().nth(self.selected_version)
    }

    /// Takes the models; the chosen one stays chosen.
    pub(super) fn loaded(&mut self, result: Result<Option<Vec<Model>>, Problem>) {
        match result {
            Ok(Some(models)) => {
                let chosen = self.model().map(|model| model.name.clone());
                let place = models.iter().position(|model| Some(&model.name) == chosen.as_ref());
                self.selected = place.unwrap_or(self.selected).min(models.len().saturating_sub(1));
                self.models = Load::Ready(models);
                // Whatever changed may be in the history too.
                self.history_of = None;
            }
            Ok(None) => {}
            Err(problem) => self.models = Load::Failed(problem),
        }
    }

    /// Takes a model's history, if it is still the chosen one.
    pub(super) fn history_loaded(&mut self, model: &str, result: Result<Vec<RegistryEvent>, Problem>) {
        if self.history_of.as_deref() == Some(model) {
            self.history = result.into();
        }
    }

    /// The model whose history is to be loaded now, if any; it counts as asked for.
    pub(super) fn wanted_history(&mut self) -> Option<String> {
        let name = self.model()?.name.clone();
        if self.history_of.as_ref() == Some(&name) {
            return None;
        }
        self.history_of = Some(name.clone());
        Some(name)
    }

    /// Lets the keys act on the versions, if there are any.
    pub(super) fn focus_versions(&mut self) {
        if self.versions().next().is_some() {
            self.focus = Focus::Versions;
        }
    }

    /// Moves the choice.
    pub(super) fn move_by(&mut self, command: Command, size: (u16, u16)) {
        let places = layout::registry(size);
        match self.focus {
            Focus::Models => {
                let rows = usize::from(places.models.height.saturating_sub(2));
                let count = self.models.ready().map_or(0, Vec::len);
                let selected = moved(self.selected, command, rows, count);
                if selected != self.selected {
                    (self.selected, self.selected_version, self.version_offset) = (selected, 0, 0);
                    self.history = Load::Waiting;
                }
            }
            Focus::Versions => {
                let rows = layout::table_rows(places.versions);
                let count = self.versions().count();
                self.selected_version = moved(self.selected_version, command, rows, count);
            }
        }
    }

    /// Scrolls so that what is chosen is on the screen.
    pub(super) fn settle(&mut self, size: (u16, u16)) {
        let places = layout::registry(size);
        let versions = self.versions().count();
        self.selected_version = self.selected_version.min(versions.saturating_sub(1));
        let model_rows = usize::from(places.models.height.saturating_sub(2)).max(1);
        let version_rows = layout::table_rows(places.versions).max(1);
        let held =
            |offset: usize, selected: usize, rows: usize| offset.clamp((selected + 1).saturating_sub(rows), selected);
        self.offset = held(self.offset, self.selected, model_rows);
        self.version_offset = held(self.version_offset, self.selected_version, version_rows);
    }
}
