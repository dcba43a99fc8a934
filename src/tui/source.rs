//! Where the dashboard's data comes from: a repository, or a made-up one in tests.

use std::cell::RefCell;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;

#[cfg(test)]
use crate::catalog::Table;
use crate::catalog::{Catalog, Names};
use crate::diff::{self, ArtifactChange};
use crate::files::{self, Durability, RelPath};
use crate::gate::{self, Checked, Guarded};
use crate::git::{ChangedFile, CodeChanges, CommitInfo, FilePatch};
use crate::id::{ArtifactId, CommitId, RunId};
use crate::query::Field;
use crate::registry::{AliasMove, EventKind, Model, Override, REGISTRY_REF, Registry, RegistryEvent, Version};
use crate::run::{LogPart, LogPlace, Run, Runs, Series};
use crate::track::{Silent, Workspace};
use crate::words::with_causes;

use super::content::preview::Preview;
use super::files::{self as artifact_files, FileKey, FileList};
use super::memory::{self, Memory};
use super::views::artifacts::{self, Standings, Tracked};
use super::views::registry::{Consider, Considered, Move, Origin};
use super::views::run::{self, Base, CodeDiff};
use super::views::runs::columns::{self, Kind};
use super::views::runs::{Sheet, TableRequest};
use super::views::sweeps::{self, Sweep};

/// What could not be loaded and why, in a line.
pub(super) type Problem = String;

/// What the dashboard reads, and what it changes. Its calls may be slow: they are made on threads of their own.
///
/// What a source does not have fails with [`Source::problem`].
pub(super) trait Source {
    /// Why there is nothing to be had.
    fn problem(&self) -> Problem;
    /// What is remembered of this repository.
    fn recall(&mut self) -> Memory {
        Memory::default()
    }
    /// Remembers something of it.
    fn remember(&mut self, _memory: &Memory) -> Result<(), Problem> {
        Err(self.problem())
    }
    /// The rows of the table of runs; none where they are those that were there already.
    fn sheet(&mut self, _request: &TableRequest) -> Result<Option<Sheet>, Problem> {
        Err(self.problem())
    }
    /// Those of these runs that there are, whole.
    fn records(&mut self, _run_ids: &[RunId]) -> Result<Vec<Run>, Problem> {
        Err(self.problem())
    }
    /// The names of metrics, parameters and tags.
    fn names(&mut self) -> Result<Names, Problem> {
        Err(self.problem())
    }
    /// The points of a run.
    fn series(&mut self, _run_id: &RunId) -> Result<Series, Problem> {
        Err(self.problem())
    }
    /// A part of a run's log: at most `limit` bytes.
    fn log_part(&mut self, _run_id: &RunId, _place: LogPlace, _limit: u64) -> Result<LogPart, Problem> {
        Err(self.problem())
    }
    /// What differs between the code of a run, which began at `commit` as `snapshot`, and other code.
    fn code(&mut self, _base: Base, _commit: &CommitId, _snapshot: &CommitId) -> Result<CodeDiff, Problem> {
        Err(self.problem())
    }
    /// The registered versions that a run made, for people.
    fn versions_of(&mut self, _run_id: &RunId) -> Result<Vec<String>, Problem> {
        Err(self.problem())
    }
    /// The files of an artifact.
    fn files(&mut self, _id: &ArtifactId) -> Result<FileList, Problem> {
        Err(self.problem())
    }
    /// What a file of an artifact looks like.
    fn preview(&mut self, _file: &FileKey) -> Result<Preview, Problem> {
        Err(self.problem())
    }
    /// All of a file of an artifact.
    fn file(&mut self, _file: &FileKey) -> Result<Vec<u8>, Problem> {
        Err(self.problem())
    }
    /// The sweeps; none if they are as they were at the last call.
    fn sweeps(&mut self) -> Result<Option<Vec<Sweep>>, Problem> {
        Err(self.problem())
    }
    /// The artifacts that the work tree has pointers for.
    fn tracked(&mut self) -> Result<Tracked, Problem> {
        Err(self.problem())
    }
    /// How they stand, and where they were pushed as far as is known here.
    fn standings(&mut self) -> Result<Standings, Problem> {
        Err(self.problem())
    }
    /// The versions of an artifact across commits.
    fn artifact_versions(&mut self, _path: &RelPath) -> Result<Vec<artifacts::Version>, Problem> {
        Err(self.problem())
    }
    /// What names an artifact.
    fn artifact_names(&mut self, _id: &ArtifactId) -> Result<artifacts::Names, Problem> {
        Err(self.problem())
    }
    /// What a commit says of itself.
    fn commit(&mut self, _commit_id: &CommitId) -> Result<CommitInfo, Problem> {
        Err(self.problem())
    }
    /// The models; none if they are as they were at the last call.
    fn models(&mut self) -> Result<Option<Vec<Model>>, Problem> {
        Err(self.problem())
    }
    /// What happened to a model, newest first.
    fn history(&mut self, _model: &str) -> Result<Vec<RegistryEvent>, Problem> {
        Err(self.problem())
    }
    /// The files that two commits do not have alike, at most `limit` of them.
    fn code_changes(&mut self, _old: &CommitId, _new: &CommitId, _limit: usize) -> Result<CodeChanges, Problem> {
        Err(self.problem())
    }
    /// How a file differs between two commits, in at most `limit` lines.
    fn file_patch(
        &mut self,
        _old: &CommitId,
        _new: &CommitId,
        _file: &ChangedFile,
        _limit: usize,
    ) -> Result<FilePatch, Problem> {
        Err(self.problem())
    }
    /// How two versions of an artifact differ; none where they do not.
    fn artifact_change(
        &mut self,
        _path: &RelPath,
        _before: &ArtifactId,
        _after: &ArtifactId,
    ) -> Result<Option<ArtifactChange>, Problem> {
        Err(self.problem())
    }
    /// The content of a file of an artifact, where it has such a file of at most `limit` bytes.
    fn artifact_file(&mut self, _artifact: &ArtifactId, _path: &str, _limit: u64) -> Result<Option<Vec<u8>>, Problem> {
        Err(self.problem())
    }
    /// What a version came from.
    fn origin(&mut self, _version: &Version) -> Result<Origin, Problem> {
        Err(self.problem())
    }
    /// What speaks for a move of an alias, and what against it.
    fn consider(&mut self, _wanted: &Consider) -> Result<Considered, Problem> {
        Err(self.problem())
    }
    /// Moves an alias, past a gate that refuses only for a reason, and says so in a few words.
    fn move_alias(&mut self, _wanted: &Move, _reason: Option<&str>) -> Result<String, Problem> {
        Err(self.problem())
    }
    /// Registers a target as a model's next version, and says so in a few words.
    fn register(&mut self, _target: &str, _model: &str) -> Result<String, Problem> {
        Err(self.problem())
    }
    /// Writes a note on a run, or removes it where the text is empty, and says so in a few words.
    fn set_note(&mut self, _run_id: &RunId, _text: &str) -> Result<String, Problem> {
        Err(self.problem())
    }
    /// Removes a run from the lists, and says so in a few words.
    fn remove_run(&mut self, _run_id: &RunId) -> Result<String, Problem> {
        Err(self.problem())
    }
}

/// A repository that could not be opened, and why.
#[derive(Debug)]
pub(super) struct Closed(pub(super) Problem);

impl Source for Closed {
    fn problem(&self) -> Problem {
        self.0.clone()
    }
}

/// How often crashed runs are looked for.
const RECOVERY_INTERVAL: Duration = Duration::from_secs(2);

/// A repository.
#[derive(Debug)]
pub(super) struct RepositorySource<'w> {
    workspace: &'w Workspace,
    /// Remembers how far it read the logs of live runs.
    runs: Runs<'w>,
    catalog: Catalog,
    /// The last sheet, and whether its columns were suggested.
    sheet: Sheet,
    suggests: bool,
    seen_models: Option<Option<CommitId>>,
    /// The models, and where the ref pointed when they were read.
    registered: Option<(Option<CommitId>, Vec<Model>)>,
    seen_sweeps: Option<Option<CommitId>>,
    recovered: Option<Instant>,
}

impl<'w> RepositorySource<'w> {
    /// A repository that is open.
    pub(super) fn new(workspace: &'w Workspace) -> Self {
        Self {
            workspace,
            runs: Runs::new(workspace),
            catalog: Catalog::open(workspace),
            sheet: Sheet::default(),
            suggests: false,
            seen_models: None,
            registered: None,
            seen_sweeps: None,
            recovered: None,
        }
    }

    /// Records runs whose parent died, so that they do not stand there as running forever. What cannot be recorded
    /// now is tried again, and listed as it is until then.
    fn recover(&mut self) {
        if self.recovered.is_none_or(|last| last.elapsed() >= RECOVERY_INTERVAL) {
            self.recovered = Some(Instant::now());
            let _ = self.runs.recover();
        }
    }

    /// The models, read anew where the registry moved.
    fn registered(&mut self) -> Result<&[Model], Problem> {
        let tip = self.read_ref(REGISTRY_REF)?;
        if self.registered.as_ref().is_none_or(|(seen, _)| *seen != tip) {
            let survey = Registry::new(self.workspace).survey().map_err(|error| with_causes(&error))?;
            self.registered = Some((tip, survey.models));
        }
        Ok(self.registered.as_ref().map_or(&[], |(_, models)| models))
    }

    fn read_ref(&self, reference: &str) -> Result<Option<CommitId>, Problem> {
        self.workspace.repository.read_ref(reference).map_err(|error| with_causes(&error))
    }

    fn memory_file(&self) -> PathBuf {
        self.workspace.store.root().join("ui.toml")
    }
}

/// The sheet of runs that are all at hand.
#[cfg(test)]
pub(super) fn sheet_of(runs: Vec<Run>, request: &TableRequest, number: u64) -> Sheet {
    let suggested = RefCell::default();
    let table = Table::of_runs(runs, &request.spec, &|sample| suggest(sample, request.suggests, &suggested));
    Sheet { number, table, suggested: suggested.into_inner() }
}

/// The fields of the columns that suit some runs; the columns are put beside.
fn suggest(sample: &[Run], suggests: bool, suggested: &RefCell<Vec<Kind>>) -> Vec<Field> {
    if !suggests {
        return Vec::new();
    }
    let kinds = columns::suggest(sample);
    let fields = kinds.iter().flat_map(Kind::fields).collect();
    suggested.replace(kinds);
    fields
}

impl Source for RepositorySource<'_> {
    fn problem(&self) -> Problem {
        "this is not to be had from a repository".to_owned()
    }

    fn recall(&mut self) -> Memory {
        let mut text = String::new();
        let read = File::open(self.memory_file()).and_then(|file| file.take(memory::LIMIT).read_to_string(&mut text));
        if read.is_ok() { Memory::parse(&text) } else { Memory::default() }
    }

    fn remember(&mut self, memory: &Memory) -> Result<(), Problem> {
        let text = memory.to_text();
        files::publish(&self.memory_file(), text.as_bytes(), Durability::Buffered).map_err(|error| with_causes(&error))
    }

    fn sheet(&mut self, request: &TableRequest) -> Result<Option<Sheet>, Problem> {
        let mut spec = request.spec.clone();
        if let Some(query) = &mut spec.query {
            query.resolve(&self.workspace.repository).map_err(|error| with_causes(&error))?;
        }
        if !self.sheet.table.live().is_empty() || self.sheet.number == 0 {
            self.recover();
        }
        let before = (self.sheet.number > 0 && self.suggests == request.suggests).then_some(&self.sheet.table);
        let suggested = RefCell::default();
        let choose = |sample: &[Run]| suggest(sample, request.suggests, &suggested);
        let table = self.catalog.tabulate(&self.runs, &spec, &choose, before).map_err(|error| with_causes(&error))?;
        if let Some(table) = table {
            let suggested = suggested.into_inner();
            // Where the recorded runs are the same, nothing was suggested anew.
            let suggested = if suggested.is_empty() { std::mem::take(&mut self.sheet.suggested) } else { suggested };
            self.sheet = Sheet { number: self.sheet.number + 1, table, suggested };
            self.suggests = request.suggests;
        }
        Ok((self.sheet.number != request.has).then(|| self.sheet.clone()))
    }

    fn records(&mut self, run_ids: &[RunId]) -> Result<Vec<Run>, Problem> {
        let mut runs = Vec::new();
        for run_id in run_ids {
            runs.extend(self.runs.get(run_id).map_err(|error| with_causes(&error))?);
        }
        Ok(runs)
    }

    fn names(&mut self) -> Result<Names, Problem> {
        let mut names = self.catalog.names(&self.runs).map_err(|error| with_causes(&error))?;
        for run in self.sheet.table.live() {
            names.metrics.extend(run.metrics.keys().cloned());
            names.params.extend(run.params.keys().cloned());
            names.tags.extend(run.tags.keys().cloned());
        }
        Ok(names)
    }

    fn series(&mut self, run_id: &RunId) -> Result<Series, Problem> {
        self.runs.series(run_id).map_err(|error| with_causes(&error))
    }

    fn log_part(&mut self, run_id: &RunId, place: LogPlace, limit: u64) -> Result<LogPart, Problem> {
        self.runs.log_part(run_id, place, limit).map_err(|error| with_causes(&error))
    }

    fn code(&mut self, base: Base, commit: &CommitId, snapshot: &CommitId) -> Result<CodeDiff, Problem> {
        run::code_of(&self.workspace.repository, base, commit, snapshot)
    }

    fn versions_of(&mut self, run_id: &RunId) -> Result<Vec<String>, Problem> {
        Ok(artifacts::versions_with(self.registered()?, |version| version.run == Some(*run_id)))
    }

    fn files(&mut self, id: &ArtifactId) -> Result<FileList, Problem> {
        artifact_files::list(&self.workspace.store, id)
    }

    fn preview(&mut self, file: &FileKey) -> Result<Preview, Problem> {
        artifact_files::look(&self.workspace.store, file)
    }

    fn file(&mut self, file: &FileKey) -> Result<Vec<u8>, Problem> {
        artifact_files::whole(&self.workspace.store, file)
    }

    fn sweeps(&mut self) -> Result<Option<Vec<Sweep>>, Problem> {
        let tip = self.runs.tip().map_err(|error| with_causes(&error))?;
        let (has_live, sweeps) = sweeps::find(&self.runs, &self.catalog)?;
        // Trials in progress change without the ref.
        let is_known = self.seen_sweeps == Some(tip) && !has_live;
        self.seen_sweeps = (!has_live).then_some(tip);
        Ok((!is_known).then_some(sweeps))
    }

    fn tracked(&mut self) -> Result<Tracked, Problem> {
        artifacts::tracked(self.workspace)
    }

    fn standings(&mut self) -> Result<Standings, Problem> {
        artifacts::standings(self.workspace)
    }

    fn artifact_versions(&mut self, path: &RelPath) -> Result<Vec<artifacts::Version>, Problem> {
        artifacts::versions(self.workspace, path)
    }

    fn artifact_names(&mut self, id: &ArtifactId) -> Result<artifacts::Names, Problem> {
        let models = self.registered()?.to_vec();
        artifacts::names_of(&self.runs, &self.catalog, &models, id)
    }

    fn commit(&mut self, commit_id: &CommitId) -> Result<CommitInfo, Problem> {
        self.workspace.repository.commit(commit_id).map_err(|error| with_causes(&error))
    }

    fn models(&mut self) -> Result<Option<Vec<Model>>, Problem> {
        let tip = self.read_ref(REGISTRY_REF)?;
        if self.seen_models == Some(tip) {
            return Ok(None);
        }
        // What is not valid is left out here; `git ml verify` names it.
        let survey = Registry::new(self.workspace).survey().map_err(|error| with_causes(&error))?;
        self.seen_models = Some(tip);
        Ok(Some(survey.models))
    }

    fn history(&mut self, model: &str) -> Result<Vec<RegistryEvent>, Problem> {
        Registry::new(self.workspace).history(model).map_err(|error| with_causes(&error))
    }
    fn code_changes(&mut self, old: &CommitId, new: &CommitId, limit: usize) -> Result<CodeChanges, Problem> {
        self.workspace.repository.code_changes(old, new, limit).map_err(|error| with_causes(&error))
    }

    fn file_patch(
        &mut self,
        old: &CommitId,
        new: &CommitId,
        file: &ChangedFile,
        limit: usize,
    ) -> Result<FilePatch, Problem> {
        self.workspace.repository.file_patch(old, new, file, limit).map_err(|error| with_causes(&error))
    }

    fn artifact_change(
        &mut self,
        path: &RelPath,
        before: &ArtifactId,
        after: &ArtifactId,
    ) -> Result<Option<ArtifactChange>, Problem> {
        let store = &self.workspace.store;
        let version = |id: &ArtifactId| {
            // What is not here is said by the comparison itself.
            let manifest = store.manifest(id).ok();
            diff::Version {
                id: *id,
                artifact_type: "dataset".to_owned(),
                files: manifest.as_ref().map_or(0, |manifest| manifest.entries().len() as u64),
                bytes: manifest.as_ref().map_or(0, |manifest| manifest.total_size()),
                is_listed: manifest.is_some(),
            }
        };
        let versions = [version(before), version(after)];
        diff::compare_versions(store, path, versions, &Silent).map_err(|error| with_causes(&error))
    }

    fn artifact_file(&mut self, artifact: &ArtifactId, path: &str, limit: u64) -> Result<Option<Vec<u8>>, Problem> {
        let store = &self.workspace.store;
        let manifest = store.manifest(artifact).map_err(|error| with_causes(&error))?;
        let entry = RelPath::new(path).ok().and_then(|path| manifest.find(&path).cloned());
        let Some(entry) = entry.filter(|entry| entry.size <= limit) else { return Ok(None) };
        store.read_to_vec(&entry.digest, limit).map(Some).map_err(|error| with_causes(&error))
    }

    fn origin(&mut self, version: &Version) -> Result<Origin, Problem> {
        let run = match &version.run {
            Some(run_id) => self.runs.get(run_id).map_err(|error| with_causes(&error))?,
            None => None,
        };
        // What is not here is said to be missing, and is no reason to show nothing.
        let commit = version.commit.and_then(|commit_id| self.workspace.repository.commit(&commit_id).ok());
        Ok(Origin { run, commit })
    }

    fn consider(&mut self, wanted: &Consider) -> Result<Considered, Problem> {
        let registry = Registry::new(self.workspace);
        let Consider { kind, model, alias, version } = wanted;
        let (from, to, outcome) = match (kind, version) {
            (EventKind::Rollback, _) => {
                let (from, to) = registry.before_rollback(model, alias).map_err(|error| with_causes(&error))?;
                (Some(from), Some(to), None)
            }
            (_, Some(version)) => {
                let guarded = gate::for_alias(self.workspace, model, alias, *version);
                let Guarded { expected, outcome } = guarded.map_err(|error| with_causes(&error))?;
                (expected, Some(*version), outcome)
            }
            (_, None) => {
                let model = registry.model(model).map_err(|error| with_causes(&error))?;
                (model.aliases.get(alias).copied(), None, None)
            }
        };
        let history = registry.history(model).map_err(|error| with_causes(&error))?;
        let failed = outcome.iter().flat_map(|outcome| outcome.failed()).map(Checked::to_string).collect();
        Ok(Considered {
            wanted: Move { kind: *kind, model: model.clone(), alias: alias.clone(), from, to, failed },
            gate: outcome,
            last: history.into_iter().find(|event| event.alias.as_ref() == Some(alias)),
        })
    }

    fn move_alias(&mut self, wanted: &Move, reason: Option<&str>) -> Result<String, Problem> {
        let Move { kind, model, alias, from, to, failed } = wanted;
        let overridden = match (failed.as_slice(), reason) {
            ([], _) => None,
            (_, Some(reason)) => Some(Override { reason: reason.to_owned(), failed: failed.clone() }),
            (_, None) => return Err(format!("the gate {alias} refuses v{}", to.unwrap_or_default())),
        };
        let wanted_move = AliasMove {
            kind: *kind,
            model,
            alias,
            expected: *from,
            version: *to,
            note: None,
            overridden: overridden.as_ref(),
        };
        Registry::new(self.workspace).move_alias_by(&wanted_move).map_err(|error| with_causes(&error))?;
        Ok(wanted.words())
    }

    fn register(&mut self, target: &str, model: &str) -> Result<String, Problem> {
        let registry = Registry::new(self.workspace);
        let top = self.workspace.repository.work_dir().map(Path::to_path_buf).unwrap_or_default();
        let artifact = registry.resolve(&top, target).map_err(|error| with_causes(&error))?;
        let registered = registry.register(model, &artifact, None).map_err(|error| with_causes(&error))?;
        let version = &registered.version;
        let words = if registered.is_new { "registered" } else { "it is there already:" };
        Ok(format!("{words} {}@v{}", version.model, version.version))
    }

    fn set_note(&mut self, run_id: &RunId, text: &str) -> Result<String, Problem> {
        let run = self.runs.get(run_id).map_err(|error| with_causes(&error))?;
        let run = run.ok_or_else(|| format!("run {} is not in this repository", run_id.short()))?;
        self.runs.set_note(&run, text.trim()).map_err(|error| with_causes(&error))?;
        let what = if text.trim().is_empty() { "removed the note on" } else { "noted on" };
        Ok(format!("{what} {}", run.name))
    }
    fn remove_run(&mut self, run_id: &RunId) -> Result<String, Problem> {
        let now = Timestamp::now();
        let remove = &mut |run: &mut Run| run.removed = run.removed.or(Some(now));
        let run = self.runs.amend(run_id, "removed", remove).map_err(|error| with_causes(&error))?;
        Ok(format!("removed {} from the lists; its record stays in git", run.name))
    }
}
