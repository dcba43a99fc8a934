//! Changes of the registry, each one commit.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::git::{GitError, RefCommit, TreeEdit};
use crate::id::CommitId;
use crate::run::{Run, Runs, producer_of};

use super::describe::{model_edit, version_edit};
use super::events::{AliasChange, EventKind, Override, register_message};
use super::names::{MAX_VERSION, check_alias_name, check_model_name};
use super::target::UNKNOWN_TYPE;
use super::tree::{Tree, alias_path, version_path};
use super::{
    DataFacts, Kind, Model, ModelAbout, REGISTRY_REF, Registry, RegistryError, RegistryEvent, Resolved, Version,
    VersionAbout, history,
};

/// Bytes a remark may have.
const MAX_NOTE: usize = 16 * 1024;
/// How often a change that others overtake is tried again.
const ATTEMPTS: u32 = 200;

/// What came of a registration.
#[derive(Debug, Clone, PartialEq)]
pub struct Registered {
    /// The version.
    pub version: Version,
    /// Whether it was made now; otherwise the same artifact of the same run had been registered before.
    pub is_new: bool,
}

/// What goes with a version besides its artifact.
#[derive(Debug, Clone, Default)]
pub struct Details {
    /// A remark.
    pub note: Option<String>,
    /// Where it comes from, as a URI.
    pub source: Option<String>,
    /// What the name stands for.
    pub kind: Kind,
    /// What is known of its data.
    pub data: Option<DataFacts>,
    /// What the user said of the artifact.
    pub meta: BTreeMap<String, String>,
    /// What may change later.
    pub about: VersionAbout,
}

/// A move of an alias.
#[derive(Debug, Clone, Copy)]
pub struct AliasMove<'a> {
    /// What kind of move it is.
    pub kind: EventKind,
    /// The model.
    pub model: &'a str,
    /// The alias.
    pub alias: &'a str,
    /// Where the caller has seen it.
    pub expected: Option<u64>,
    /// Where it is to point to; none removes it.
    pub version: Option<u64>,
    /// A remark.
    pub note: Option<&'a str>,
    /// Why a gate is passed by.
    pub overridden: Option<&'a Override>,
}

/// A commit that a change wants.
pub(super) struct Wanted {
    pub(super) edits: Vec<TreeEdit>,
    pub(super) message: String,
}

/// Says what to commit, if anything, given the registry as it is now.
pub(super) type Decide<'d> = dyn FnMut(Option<Tree<'_>>) -> Result<Option<Wanted>, RegistryError> + 'd;

impl Registry<'_> {
    /// Registers an artifact as the model's next version, or returns the version that has it from the same run.
    pub fn register(&self, model: &str, artifact: &Resolved, note: Option<&str>) -> Result<Registered, RegistryError> {
        let details = Details { note: note.map(str::to_owned), ..Details::default() };
        self.register_version(model, artifact, &details, false)
    }

    /// Registers an artifact as the model's next version, whether or not it has been before.
    pub fn register_anew(
        &self,
        model: &str,
        artifact: &Resolved,
        details: &Details,
    ) -> Result<Registered, RegistryError> {
        self.register_version(model, artifact, details, true)
    }

    /// The same as [`Registry::register`] with what else goes with the version.
    pub fn register_with(
        &self,
        model: &str,
        artifact: &Resolved,
        details: &Details,
    ) -> Result<Registered, RegistryError> {
        self.register_version(model, artifact, details, false)
    }

    fn register_version(
        &self,
        model: &str,
        artifact: &Resolved,
        details: &Details,
        anew: bool,
    ) -> Result<Registered, RegistryError> {
        check_model_name(model)?;
        let note = check_note(details.note.as_deref())?;
        let workspace = self.workspace;
        if !workspace.store.has_artifact(&artifact.id)? {
            return Err(RegistryError::NotStored { target: artifact.target.clone() });
        }
        // Who makes a version anew names the run, and to look through all of them for one takes time.
        let run = if anew && artifact.run.is_none() { None } else { self.run_of(artifact)? };
        let identity = self.author()?;
        let mut version = Version {
            model: model.to_owned(),
            version: 0,
            id: artifact.id,
            artifact_type: match artifact.artifact_type.as_str() {
                UNKNOWN_TYPE => details.kind.as_str().to_owned(),
                known => known.to_owned(),
            },
            run: run.as_ref().map(|run| run.id).or(artifact.run),
            commit: run.as_ref().and_then(|run| run.snapshot).or(artifact.commit),
            registered: Timestamp::now(),
            by: format!("{} <{}>", identity.name, identity.email),
            note: note.map(str::to_owned),
            source: details.source.clone(),
            data: details.data.clone(),
            meta: details.meta.clone(),
            metrics: run.as_ref().map(|run| run.metrics.clone()).unwrap_or_default(),
        };
        let run_name = run.as_ref().map(|run| run.name.as_str());
        let mut found = None;
        self.change(&mut |tree| {
            let present = tree.map(|tree| tree.model(model)).transpose()?.flatten();
            if let Some(present) = present.as_ref().filter(|present| present.about.kind != details.kind) {
                let (is, asked) = (present.about.kind, details.kind);
                return Err(RegistryError::WrongKind { name: present.name.clone(), is, asked });
            }
            let versions = present.as_ref().map(|model| model.versions.as_slice()).unwrap_or_default();
            let same = |old: &&Version| !anew && old.id == version.id && old.run == version.run;
            found = versions.iter().rev().find(same).cloned();
            if found.is_some() {
                return Ok(None);
            }
            version.version = present.as_ref().map_or(1, Model::next_number);
            if version.version > MAX_VERSION {
                return Err(RegistryError::Malformed {
                    place: format!("{model}/versions"),
                    problem: "a model has at most a million versions".to_owned(),
                });
            }
            let path = version_path(model, version.version);
            let text =
                version.to_toml().map_err(|problem| RegistryError::Malformed { place: path.clone(), problem })?;
            let mut edits = vec![TreeEdit { path, content: Some(text.into_bytes()) }];
            if present.is_none() && details.kind != Kind::Model {
                let about =
                    ModelAbout { kind: details.kind, created: Some(version.registered), ..ModelAbout::default() };
                edits.push(model_edit(model, &about)?);
            }
            if details.about != VersionAbout::default() {
                edits.push(version_edit(model, version.version, &details.about)?);
            }
            Ok(Some(Wanted { edits, message: register_message(&version, run_name) }))
        })?;
        let is_new = found.is_none();
        Ok(Registered { version: found.unwrap_or(version), is_new })
    }

    /// Points an alias to a version; returns what it pointed to before.
    pub fn set_alias(
        &self,
        model: &str,
        alias: &str,
        version: u64,
        note: Option<&str>,
    ) -> Result<Option<u64>, RegistryError> {
        self.point_alias(EventKind::Alias, model, alias, version, note)
    }

    /// Points an alias to a version that is to take over; returns what it pointed to before.
    pub fn promote(
        &self,
        model: &str,
        alias: &str,
        version: u64,
        note: Option<&str>,
    ) -> Result<Option<u64>, RegistryError> {
        self.point_alias(EventKind::Promote, model, alias, version, note)
    }

    /// The version that an alias points to; an error if there is no such alias.
    fn present_alias(&self, model: &str, alias: &str) -> Result<u64, RegistryError> {
        let no_alias = || RegistryError::NoAlias { model: model.to_owned(), alias: alias.to_owned() };
        self.alias(model, alias)?.ok_or_else(no_alias)
    }

    /// Moves an alias from where it is now.
    fn point_alias(
        &self,
        kind: EventKind,
        model: &str,
        alias: &str,
        version: u64,
        note: Option<&str>,
    ) -> Result<Option<u64>, RegistryError> {
        let expected = self.alias(model, alias)?;
        self.move_alias(kind, model, alias, expected, Some(version), note)
    }

    /// Points an alias back to where it was before its last move; returns where that was from and to.
    ///
    /// Rolling back again goes one step further back, not forth.
    pub fn rollback(&self, model: &str, alias: &str, note: Option<&str>) -> Result<(u64, u64), RegistryError> {
        let (from, to) = self.before_rollback(model, alias)?;
        self.move_alias(EventKind::Rollback, model, alias, Some(from), Some(to), note)?;
        Ok((from, to))
    }

    /// From where and to where a rollback of an alias would go.
    pub fn before_rollback(&self, model: &str, alias: &str) -> Result<(u64, u64), RegistryError> {
        let from = self.present_alias(model, alias)?;
        let present = self.model(model)?;
        let is_there = |version| present.find(version).is_some();
        let to = match self.tree()? {
            Some(tree) => history::before(&tree, model, alias, from, &is_there)?,
            None => None,
        };
        let to = to.ok_or_else(|| RegistryError::NothingBefore { model: model.to_owned(), alias: alias.to_owned() })?;
        Ok((from, to))
    }

    /// Removes an alias; returns what it pointed to.
    pub fn remove_alias(&self, model: &str, alias: &str, note: Option<&str>) -> Result<u64, RegistryError> {
        let from = self.present_alias(model, alias)?;
        self.move_alias(EventKind::Unalias, model, alias, Some(from), None, note)?;
        Ok(from)
    }

    /// Moves an alias from `expected`, which the caller has seen, to `version`; returns `expected`.
    ///
    /// If it points elsewhere by now, nothing changes and the error says who moved it.
    pub fn move_alias(
        &self,
        kind: EventKind,
        model: &str,
        alias: &str,
        expected: Option<u64>,
        version: Option<u64>,
        note: Option<&str>,
    ) -> Result<Option<u64>, RegistryError> {
        self.move_alias_by(&AliasMove { kind, model, alias, expected, version, note, overridden: None })
    }

    /// The same, also past a gate that stays shut, which the history tells.
    pub fn move_alias_by(&self, wanted: &AliasMove<'_>) -> Result<Option<u64>, RegistryError> {
        let AliasMove { kind, model, alias, expected, version, note, overridden } = *wanted;
        check_model_name(model)?;
        check_alias_name(alias)?;
        let note = check_note(note)?;
        check_note(overridden.map(|overridden| overridden.reason.as_str()))?;
        self.change(&mut |tree| {
            let Some(tree) = tree else {
                return Err(RegistryError::NoModel { model: model.to_owned(), known: Vec::new() });
            };
            let present = tree.model(model)?.ok_or_else(|| tree.no_model(model))?;
            let now = present.aliases.get(alias).copied();
            if now == version {
                return Ok(None);
            }
            if now != expected {
                return Err(self.moved(model, alias, now));
            }
            if let Some(version) = version
                && present.find(version).is_none()
            {
                return Err(no_version(&present, version));
            }
            let content = version.map(|version| format!("v{version}\n").into_bytes());
            let message = AliasChange { kind, model, alias, version, previous: now, note, overridden }.message();
            Ok(Some(Wanted { edits: vec![TreeEdit { path: alias_path(model, alias), content }], message }))
        })?;
        Ok(expected)
    }

    /// What an alias points to.
    fn alias(&self, model: &str, alias: &str) -> Result<Option<u64>, RegistryError> {
        check_alias_name(alias)?;
        Ok(self.model(model)?.aliases.get(alias).copied())
    }

    /// Who moved an alias that is not where it was, when and to what.
    fn moved(&self, model: &str, alias: &str, now: Option<u64>) -> RegistryError {
        let history = self.history(model).unwrap_or_default();
        let is_move = |event: &RegistryEvent| event.alias.as_deref() == Some(alias) && event.kind.moves_alias();
        let event = history.into_iter().find(is_move);
        let now = match now {
            Some(version) => format!("points to v{version}"),
            None => "is gone".to_owned(),
        };
        let (by, when, note) = match event {
            Some(event) => (event.commit.author, event.commit.time.to_string(), event.note),
            None => ("somebody".to_owned(), "a moment ago".to_owned(), None),
        };
        let why = note.and_then(|note| note.lines().next().map(|line| format!(": {line}"))).unwrap_or_default();
        let by = super::names::escape(&format!("{by}{why}"));
        let (now, by, when) = (now.into(), by.into(), when.into());
        RegistryError::AliasMoved { model: model.to_owned(), alias: alias.to_owned(), now, by, when }
    }

    /// The run that made an artifact.
    fn run_of(&self, artifact: &Resolved) -> Result<Option<Run>, RegistryError> {
        let runs = Runs::new(self.workspace);
        match artifact.run {
            Some(id) => Ok(runs.get(&id)?),
            None => {
                let (list, _) = runs.list()?;
                let producer = producer_of(&list, &artifact.id);
                Ok(list.into_iter().find(|run| Some(run.id) == producer))
            }
        }
    }

    /// Commits what `decide` wants, asking it again whenever somebody else was faster.
    pub(super) fn change(&self, decide: &mut Decide<'_>) -> Result<Option<CommitId>, RegistryError> {
        let repository = &self.workspace.repository;
        let mut attempt = 0;
        loop {
            let expected = repository.read_ref(REGISTRY_REF)?;
            let Some(Wanted { edits, message }) = decide(expected.map(|tip| Tree { repository, tip }))? else {
                return Ok(None);
            };
            let author = self.author()?;
            let commit = RefCommit {
                reference: REGISTRY_REF,
                expected,
                edits,
                message: &message,
                extra_parents: Vec::new(),
                author: &author,
            };
            match repository.commit_to_ref_as_user(&commit) {
                Ok(id) => return Ok(Some(id)),
                Err(GitError::RefMoved { .. }) if attempt < ATTEMPTS => {
                    attempt += 1;
                    // Those who collide wait for different times, so that they do not collide again.
                    let spread = u64::from(std::process::id()) * 31
                        + u64::from(Timestamp::now().subsec_nanosecond().unsigned_abs()) / 1000;
                    std::thread::sleep(Duration::from_millis(spread % u64::from(attempt.min(20) + 1)));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

pub(super) fn no_version(model: &Model, version: u64) -> RegistryError {
    RegistryError::NoVersion { model: model.name.clone(), version }
}

pub(super) fn check_note(note: Option<&str>) -> Result<Option<&str>, RegistryError> {
    let Some(note) = note.map(str::trim).filter(|note| !note.is_empty()) else {
        return Ok(None);
    };
    if note.len() > MAX_NOTE {
        return Err(RegistryError::BadNote { reason: "it is longer than 16 KiB" });
    }
    if note.chars().any(|c| c.is_control() && c != '\n' && c != '\t') {
        return Err(RegistryError::BadNote { reason: "it has control characters" });
    }
    Ok(Some(note))
}
