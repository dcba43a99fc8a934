//! The registry's history: each change of a version or an alias is an event, and events say what they changed.
//!
//! What counts is how a thing came to be what it is now. So whoever sets an alias right, with an event, ends the finding.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;
use toml::Table;

use crate::git::{CommitInfo, GitError};
use crate::id::CommitId;
use crate::registry::{EventKind, Model, RegistryError, RegistryEvent, parse_version};

use super::registry::who;
use super::{Code, Inspection};

/// Bytes that a file of the registry may have.
const MAX_FILE: u64 = 1 << 20;
/// How a trailer begins that says what kind of event a commit is.
const EVENT: &str = "Git-ML-Event: ";
/// What a merge of two registries says that it is.
const MERGE: &str = "merge";
/// How a trailer begins that says which artifact was registered.
const ARTIFACT: &str = "Git-ML-Artifact: ";

/// What a commit changed in the tree.
#[derive(Debug, Default)]
struct Step {
    /// Aliases by model and name, with the versions they pointed to before and after.
    aliases: BTreeMap<(String, String), (Option<u64>, Option<u64>)>,
    /// Versions by model and number that were not there before, with their files.
    versions: BTreeMap<(String, u64), Vec<u8>>,
}

/// What was looked at, from the newest commit on: older changes of the same say nothing about how it stands.
#[derive(Debug, Default)]
struct Seen {
    aliases: BTreeSet<(String, String)>,
    versions: BTreeSet<(String, u64)>,
    /// The names that models have now, by those they had before they were renamed.
    renamed: BTreeMap<String, String>,
}

impl Seen {
    fn name_now(&self, model: &str) -> String {
        self.renamed.get(model).map_or_else(|| model.to_owned(), Clone::clone)
    }
}

impl Inspection<'_> {
    /// Compares each commit of the registry with what it says.
    pub(super) fn check_events(&mut self, tip: &CommitId, models: &[Model]) -> Result<(), RegistryError> {
        let commits = self.workspace.repository.first_parents_since(tip, None)?;
        let this = &*self;
        let steps: Vec<Step> = commits.par_iter().map(|commit| this.step(commit)).collect::<Result<_, _>>()?;
        let mut seen = Seen::default();
        for (commit, step) in commits.into_iter().zip(&steps) {
            let event = RegistryEvent::of(commit.clone());
            // Events of a newer version are not for us to judge. What a merge made is compared with both sides.
            let says = commit.message.lines().find_map(|line| line.strip_prefix(EVENT));
            let is_foreign = event.is_none() && commit.parents.len() < 2 && says.is_some_and(|kind| kind != MERGE);
            if let Some(RegistryEvent { kind: EventKind::Rename, model, renamed_from: Some(from), .. }) = &event {
                let now = seen.name_now(model);
                seen.renamed.insert(from.clone(), now);
            }
            for ((model, alias), (before, after)) in &step.aliases {
                let is_newest = seen.aliases.insert((seen.name_now(model), alias.clone()));
                if is_newest && !is_foreign {
                    self.check_alias_move(&commit, event.as_ref(), (model, alias), (*before, *after))?;
                }
            }
            for ((model, number), file) in &step.versions {
                let name = seen.name_now(model);
                let is_there = models.iter().any(|now| now.name == name && now.find(*number).is_some());
                if seen.versions.insert((name, *number)) && is_there && !is_foreign {
                    self.check_new_version(&commit, event.as_ref(), (model, *number), file)?;
                }
            }
            if let Some(event) = &event {
                self.check_claim(event, step, &mut seen, models);
            }
        }
        Ok(())
    }

    /// What a commit changed against its first parent; nothing beyond a shallow clone's depth.
    fn step(&self, commit: &CommitInfo) -> Result<Step, GitError> {
        let repository = &self.workspace.repository;
        let mut step = Step::default();
        let (parent, paths) = match commit.parents.first() {
            None => (None, repository.find_at(&commit.id, "")?),
            Some(parent) if repository.has_commit(parent) => {
                (Some(parent), repository.changed_between(parent, &commit.id, "")?)
            }
            Some(_) => return Ok(step),
        };
        for path in paths {
            let parts: Vec<&str> = path.split('/').collect();
            let before = || parent.map(|parent| repository.read_at(parent, &path, MAX_FILE)).transpose();
            let after = || repository.read_at(&commit.id, &path, MAX_FILE);
            match parts.as_slice() {
                [model, "aliases", alias] => {
                    let version = |bytes: Option<Vec<u8>>| parse_version(std::str::from_utf8(&bytes?).ok()?.trim_end());
                    let moved = (version(before()?.flatten()), version(after()?));
                    step.aliases.insert(((*model).to_owned(), (*alias).to_owned()), moved);
                }
                [model, "versions", file] => {
                    let number = file.strip_suffix(".toml").and_then(parse_version);
                    if let (Some(number), None, Some(after)) = (number, before()?.flatten(), after()?) {
                        step.versions.insert(((*model).to_owned(), number), after);
                    }
                }
                _ => {}
            }
        }
        Ok(step)
    }

    /// Whether an event explains where an alias points since.
    fn check_alias_move(
        &mut self,
        commit: &CommitInfo,
        event: Option<&RegistryEvent>,
        (model, alias): (&str, &str),
        (before, after): (Option<u64>, Option<u64>),
    ) -> Result<(), RegistryError> {
        let words = |version: Option<u64>| version.map_or("nothing".to_owned(), |version| format!("v{version}"));
        let label = format!("{model}@{alias}");
        let who_did = format!("commit {} by {}", commit.id.short(), commit.author);
        if let Some(event) = event.filter(|event| is_about(event, model)) {
            let of_alias =
                matches!(event.kind, EventKind::Alias | EventKind::Promote | EventKind::Rollback | EventKind::Unalias);
            if of_alias && event.alias.as_deref() == Some(alias) {
                let said = (event.previous, event.version.filter(|_| event.kind != EventKind::Unalias));
                if said != (before, after) {
                    let (from, to) = (words(before), words(after));
                    let message = format!(
                        "{who_did} says that {label} moved from {} to {}, and it moved from {from} to {to}",
                        words(said.0),
                        words(said.1)
                    );
                    self.report(Code::EventMismatch, label, message, who());
                }
                return Ok(());
            }
            if !of_alias && !matches!(event.kind, EventKind::Register | EventKind::Create | EventKind::Describe) {
                // A model that is renamed or removed takes its aliases along.
                return Ok(());
            }
        }
        if commit.parents.len() > 1 && self.is_merged_alias(commit, model, alias, after)? {
            return Ok(());
        }
        let (from, to) = (words(before), words(after));
        let message = format!("{label} was moved from {from} to {to} by {who_did}, without an event");
        let hint = format!("{}; then point it where it belongs: `git ml model alias {model} {alias} vN`", who());
        self.report(Code::MovedAlias, label, message, hint);
        Ok(())
    }

    /// Whether an alias points after a merge to what it points to on one side, whatever its number is now.
    fn is_merged_alias(
        &self,
        merge: &CommitInfo,
        model: &str,
        alias: &str,
        after: Option<u64>,
    ) -> Result<bool, GitError> {
        let repository = &self.workspace.repository;
        let meant = |commit: &CommitId, model: &str, number: u64| -> Result<Option<Table>, GitError> {
            let file = repository.read_at(commit, &format!("{model}/versions/{number}.toml"), MAX_FILE)?;
            Ok(file.as_deref().and_then(without_number))
        };
        let now = after.map(|number| meant(&merge.id, model, number)).transpose()?;
        for parent in &merge.parents {
            // On one side the model may have had another name.
            for folder in repository.list_at(parent, "")?.into_iter().filter(|entry| entry.is_folder) {
                let bytes = repository.read_at(parent, &format!("{}/aliases/{alias}", folder.name), MAX_FILE)?;
                let number = bytes.and_then(|bytes| parse_version(std::str::from_utf8(&bytes).ok()?.trim_end()));
                let then = number.map(|number| meant(parent, &folder.name, number)).transpose()?;
                if then == now && (then.is_some() || folder.name == model) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Whether an event registered a version that is there since a commit.
    fn check_new_version(
        &mut self,
        commit: &CommitInfo,
        event: Option<&RegistryEvent>,
        (model, number): (&str, u64),
        file: &[u8],
    ) -> Result<(), RegistryError> {
        let label = format!("{model}@v{number}");
        let who_did = format!("commit {} by {}", commit.id.short(), commit.author);
        if let Some(event) = event.filter(|event| is_about(event, model)) {
            match event.kind {
                EventKind::Register if event.version == Some(number) => {
                    let trailers = commit.message.trim_end().rsplit("\n\n").next().unwrap_or_default();
                    let said = trailers.lines().find_map(|line| line.strip_prefix(ARTIFACT));
                    let table = std::str::from_utf8(file).ok().and_then(|text| text.parse::<Table>().ok());
                    let is = table.as_ref().and_then(|table| table.get("id")?.as_str()).unwrap_or_default();
                    if let Some(said) = said.filter(|said| *said != is) {
                        let short = |id: &str| id.chars().take(8).collect::<String>();
                        let message = format!(
                            "{who_did} says that it registered artifact {} as {label}, which is artifact {}",
                            short(said),
                            short(is)
                        );
                        self.report(Code::EventMismatch, label, message, who());
                    }
                    return Ok(());
                }
                EventKind::Rename => return Ok(()),
                _ => {}
            }
        }
        if commit.parents.len() > 1 && self.is_merged_version(commit, file)? {
            return Ok(());
        }
        let message = format!("{label} is there since {who_did}, and no event registered it");
        self.report(Code::UnrecordedVersion, label, message, who());
        Ok(())
    }

    /// Whether a side of a merge has a version, under whatever number.
    fn is_merged_version(&self, merge: &CommitInfo, file: &[u8]) -> Result<bool, GitError> {
        let repository = &self.workspace.repository;
        let Some(wanted) = without_number(file) else { return Ok(false) };
        for parent in merge.parents.iter().skip(1) {
            for model in repository.list_at(parent, "")?.into_iter().filter(|entry| entry.is_folder) {
                let folder = format!("{}/versions", model.name);
                for entry in repository.list_at(parent, &folder)? {
                    let other = repository.read_at(parent, &format!("{folder}/{}", entry.name), MAX_FILE)?;
                    if other.as_deref().and_then(without_number).as_ref() == Some(&wanted) {
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }

    /// Whether a commit did what its event says.
    fn check_claim(&mut self, event: &RegistryEvent, step: &Step, seen: &mut Seen, models: &[Model]) {
        let RegistryEvent { commit, model, kind, version, alias, .. } = event;
        let now = seen.name_now(model);
        let who_did = format!("commit {} by {}", commit.id.short(), commit.author);
        match (kind, alias, version) {
            (EventKind::Alias | EventKind::Promote | EventKind::Rollback | EventKind::Unalias, Some(alias), _) => {
                let key = (model.clone(), alias.clone());
                let is_newest = seen.aliases.insert((now, alias.clone()));
                // A merge of two clones that moved it alike changes nothing on the first side.
                if is_newest && !step.aliases.contains_key(&key) && commit.parents.len() < 2 {
                    let message = format!("{who_did} says that it moved {model}@{alias}, and did not");
                    self.report(Code::EventMismatch, format!("{model}@{alias}"), message, who());
                }
            }
            (EventKind::Register, _, Some(version)) => {
                let key = (model.clone(), *version);
                let is_newest = seen.versions.insert((now.clone(), *version));
                let is_there = models.iter().any(|model| model.name == now && model.find(*version).is_some());
                if is_newest && is_there && !step.versions.contains_key(&key) && commit.parents.len() < 2 {
                    let message = format!("{who_did} says that it registered {model}@v{version}, and did not");
                    self.report(Code::EventMismatch, format!("{model}@v{version}"), message, who());
                }
            }
            _ => {}
        }
    }
}

/// Whether an event is about a model, by its name now or before.
fn is_about(event: &RegistryEvent, model: &str) -> bool {
    event.model == model || event.renamed_from.as_deref() == Some(model)
}

/// A version's file but for its number and its model's name, which a merge may change.
fn without_number(file: &[u8]) -> Option<Table> {
    let mut table: Table = std::str::from_utf8(file).ok()?.parse().ok()?;
    table.remove("version");
    table.remove("model");
    Some(table)
}
