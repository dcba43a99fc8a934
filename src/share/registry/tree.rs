//! The three-way merge of two registries: models one by one, and what is said about them.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use crate::git::{ObjectName, PartKind, Repository, TreeEdit, TreePart};
use crate::id::CommitId;
use crate::registry::{self, MergeStory, ModelAbout, NotTaken, Renumbered};

use super::super::ShareError;
use super::super::record;
use super::model::{self, Outcome, Side};

/// Bytes that a file of the registry may have.
const MAX_FILE: u64 = 1 << 20;

/// Two registries that become one.
pub(super) struct Trees<'r> {
    pub(super) repository: &'r Repository,
    pub(super) base: Option<CommitId>,
    /// The side that was first: the remote's.
    pub(super) first: CommitId,
    /// The side that comes in.
    pub(super) second: CommitId,
}

/// What makes the merged registry of the first side's.
#[derive(Debug, Default)]
pub(super) struct Merged {
    pub(super) edits: Vec<TreeEdit>,
    pub(super) story: MergeStory,
}

impl Trees<'_> {
    /// Merges all models.
    pub(super) fn merge(&self) -> Result<Merged, ShareError> {
        let base = match &self.base {
            Some(base) => self.folders(base)?,
            None => BTreeMap::new(),
        };
        let (first, second) = (self.folders(&self.first)?, self.folders(&self.second)?);
        let mut merged = Merged::default();
        let names: BTreeSet<&String> = base.keys().chain(second.keys()).collect();
        for name in names {
            let [was, ours, theirs] = [&base, &first, &second].map(|side| side.get(name));
            if theirs == was || theirs == ours {
                continue;
            }
            let [was, ours, theirs] = [was, ours, theirs].map(|folder| self.side(name, folder));
            let (was, ours, theirs) = (was?, ours?, theirs?);
            let outcome = model::merge(&was, &ours, &theirs, &mut |version| self.content_of(version));
            self.write(name, [&was, &ours, &theirs], &outcome, &mut merged)?;
        }
        Ok(merged)
    }

    /// The models' folders.
    fn folders(&self, commit: &CommitId) -> Result<BTreeMap<String, ObjectName>, ShareError> {
        let parts = self.repository.parts_of(&self.repository.tree_of(commit)?)?;
        let is_model =
            |part: &TreePart| part.kind == PartKind::Folder && registry::check_model_name(&part.name).is_ok();
        Ok(parts.into_iter().filter(is_model).map(|part| (part.name, part.id)).collect())
    }

    /// A model as a side has it. What no model has is passed over: on the first side it stays, from the second it does not
    /// come in.
    fn side(&self, name: &str, folder: Option<&ObjectName>) -> Result<Side, ShareError> {
        let mut side = Side::default();
        let Some(folder) = folder else { return Ok(side) };
        for part in self.repository.parts_of(folder)? {
            match (part.name.as_str(), part.kind) {
                ("versions", PartKind::Folder) => side.versions = self.numbered(&part.id)?,
                ("about", PartKind::Folder) => side.about_versions = self.numbered(&part.id)?,
                ("about.toml", PartKind::File) => side.about = Some(part.id),
                ("aliases", PartKind::Folder) => {
                    for alias in self.repository.parts_of(&part.id)? {
                        let is_alias = alias.kind == PartKind::File && registry::check_alias_name(&alias.name).is_ok();
                        let bytes = if is_alias { self.repository.read_file(&alias.id, MAX_FILE)? } else { None };
                        let version = bytes.as_deref().and_then(registry::parse_alias);
                        side.aliases.extend(version.map(|version| (alias.name, version)));
                    }
                }
                _ => {}
            }
        }
        if let Some(about) = self.about(name, side.about.as_ref())? {
            side.removed = about.removed.into_iter().collect();
        }
        Ok(side)
    }

    /// The files `1.toml`, `2.toml`, … of a folder.
    fn numbered(&self, folder: &ObjectName) -> Result<BTreeMap<u64, ObjectName>, ShareError> {
        let parts = self.repository.parts_of(folder)?.into_iter().filter(|part| part.kind == PartKind::File);
        let number = |part: TreePart| Some((registry::parse_number(part.name.strip_suffix(".toml")?)?, part.id));
        Ok(parts.filter_map(number).collect())
    }

    fn about(&self, name: &str, file: Option<&ObjectName>) -> Result<Option<ModelAbout>, ShareError> {
        let Some(bytes) = self.bytes(file)? else { return Ok(None) };
        let about = std::str::from_utf8(&bytes).ok().and_then(|text| toml::from_str(text).ok());
        about.map(Some).ok_or_else(|| self.unreadable(&format!("{name}/about.toml")))
    }

    fn bytes(&self, file: Option<&ObjectName>) -> Result<Option<Vec<u8>>, ShareError> {
        let Some(file) = file else { return Ok(None) };
        let bytes = self.repository.read_file(file, MAX_FILE)?;
        bytes.map(Some).ok_or_else(|| self.unreadable("a file of more than 1 MiB"))
    }

    fn unreadable(&self, what: &str) -> ShareError {
        ShareError::Unmergeable { problem: format!("{} cannot be read", what.escape_debug()) }
    }

    /// A version apart from its number.
    fn content_of(&self, version: &ObjectName) -> Option<String> {
        let bytes = self.repository.read_file(version, MAX_FILE).ok()??;
        let mut table: toml::Table = std::str::from_utf8(&bytes).ok()?.parse().ok()?;
        table.remove("version");
        Some(table.to_string())
    }

    /// Adds what of a model is not as the first side has it.
    fn write(
        &self,
        name: &str,
        [base, first, second]: [&Side; 3],
        outcome: &Outcome,
        merged: &mut Merged,
    ) -> Result<(), ShareError> {
        let mut edit = |path: String, content: Option<Vec<u8>>| merged.edits.push(TreeEdit { path, content });
        for version in &outcome.gone {
            edit(format!("{name}/versions/{version}.toml"), None);
            edit(format!("{name}/about/{version}.toml"), None);
        }
        for (now, then) in &outcome.taken {
            let mut bytes = self.bytes(second.versions.get(then))?.unwrap_or_default();
            if now != then {
                let place = format!("{name}/versions/{then}.toml");
                bytes = registry::renumber(&bytes, name, *then, *now).map_err(|_| self.unreadable(&place))?;
            }
            edit(format!("{name}/versions/{now}.toml"), Some(bytes));
            if let Some(about) = self.bytes(second.about_versions.get(then))? {
                edit(format!("{name}/about/{now}.toml"), Some(about));
            }
        }
        for (version, content) in &second.versions {
            let now = outcome.renumbered.get(version).copied().unwrap_or(*version);
            let is_shared = !outcome.taken.contains_key(&now) && !outcome.gone.contains(&now);
            let is_same = now != *version || first.versions.get(version) == Some(content);
            if is_shared && is_same && first.versions.contains_key(&now) {
                let files = [base, first, second].map(|side| &side.about_versions);
                let [was, ours, theirs] = [files[0].get(&now), files[1].get(&now), files[2].get(version)];
                if let Some(change) = self.merge_files(was, ours, theirs)? {
                    edit(format!("{name}/about/{now}.toml"), change);
                }
            }
        }
        for alias in first.aliases.keys().chain(outcome.aliases.keys()).collect::<BTreeSet<_>>() {
            let now = outcome.aliases.get(alias);
            if now != first.aliases.get(alias) {
                edit(format!("{name}/aliases/{alias}"), now.map(|version| format!("v{version}\n").into_bytes()));
            }
        }
        let is_there =
            !outcome.taken.is_empty() || first.versions.keys().any(|version| !outcome.gone.contains(version));
        self.write_about(name, [base, first, second], outcome, is_there, &mut edit)?;
        let renumbered = |(from, to): (&u64, &u64)| Renumbered { model: name.to_owned(), from: *from, to: *to };
        merged.story.renumbered.extend(outcome.renumbered.iter().map(renumbered));
        let not_taken = |(alias, wanted): (&String, &Option<u64>)| NotTaken {
            model: name.to_owned(),
            alias: alias.clone(),
            wanted: *wanted,
            stands: outcome.aliases.get(alias).copied(),
            first: None,
            second: None,
        };
        merged.story.not_taken.extend(outcome.not_taken.iter().map(not_taken));
        merged.story.kept.extend(outcome.kept.iter().map(|version| (name.to_owned(), *version)));
        Ok(())
    }

    /// What is said about the model, with the numbers that are not given again.
    fn write_about(
        &self,
        name: &str,
        [base, first, second]: [&Side; 3],
        outcome: &Outcome,
        is_there: bool,
        edit: &mut dyn FnMut(String, Option<Vec<u8>>),
    ) -> Result<(), ShareError> {
        let path = format!("{name}/about.toml");
        let before = self.bytes(first.about.as_ref())?;
        let merged = match self.merge_files(base.about.as_ref(), first.about.as_ref(), second.about.as_ref())? {
            Some(change) => change,
            None => before.clone(),
        };
        if !is_there && second.about.is_none() {
            // One side removed the model, and nothing of it is left.
            if before.is_some() && merged.is_none() {
                edit(path, None);
            }
            return Ok(());
        }
        let text = merged.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
        let mut about: ModelAbout = toml::from_str(&text).map_err(|_| self.unreadable(&path))?;
        let listed: BTreeSet<u64> = about.removed.iter().copied().collect();
        if listed != outcome.removed {
            about.removed = outcome.removed.iter().copied().collect();
        }
        let content = toml::to_string(&about).map_err(|_| self.unreadable(&path))?.into_bytes();
        let content = Some(content).filter(|content| !content.is_empty() || merged.is_some());
        if content != before {
            edit(path, content);
        }
        Ok(())
    }

    /// What a file about something becomes where that is not what the first side has: its content, or none where it goes.
    fn merge_files(
        &self,
        base: Option<&ObjectName>,
        first: Option<&ObjectName>,
        second: Option<&ObjectName>,
    ) -> Result<Option<Option<Vec<u8>>>, ShareError> {
        if second == base || second == first {
            return Ok(None);
        }
        let (was, ours, theirs) = (self.bytes(base)?, self.bytes(first)?, self.bytes(second)?);
        if first == base {
            return Ok(Some(theirs));
        }
        match (&ours, &theirs) {
            // What was said counts before that it was taken away.
            (None, _) => Ok(Some(theirs)),
            (_, None) => Ok(None),
            (Some(ours), Some(theirs)) => {
                let merged = record::merge(was.as_deref(), ours, theirs, &mut || Ordering::Greater);
                Ok(Some(Some(merged.ok_or_else(|| self.unreadable("what is said about a model"))?)))
            }
        }
    }
}
