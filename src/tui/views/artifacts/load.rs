//! What the artifacts are asked for. Nothing here asks a network.

use std::collections::BTreeMap;

use crate::catalog::{Catalog, Search};
use crate::files::RelPath;
use crate::git::{CommitInfo, GitError};
use crate::id::{ArtifactId, CommitId, RunId};
use crate::query::Query;
use crate::registry::{self, Model};
use crate::remote::{Environment, Remote, configured};
use crate::run::{Run, RunStatus, Runs};
use crate::track::{POINTER_SUFFIX, Pointer, State, Status, Workspace};
use crate::tui::effects::{Kind, Lane};
use crate::tui::source::{Problem, Source};
use crate::words::with_causes;

/// Commits that are looked at for versions of an artifact.
const MAX_VERSIONS: usize = 200;
/// Runs that are named.
const MAX_RUNS: usize = 200;
/// Bytes that a pointer may have.
const MAX_POINTER: u64 = 1 << 20;

/// Something that is asked for.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) enum Request {
    /// The artifacts of the work tree.
    List,
    /// How they stand, which may take a while.
    Standings,
    /// The versions of one across commits.
    Versions(RelPath),
    /// What names one.
    Names(ArtifactId),
}

/// What came of it.
#[derive(Debug)]
pub(in crate::tui) enum Answer {
    List(Result<Tracked, Problem>),
    Standings(Result<Standings, Problem>),
    Versions(RelPath, Result<Vec<Version>, Problem>),
    Names(ArtifactId, Result<Names, Problem>),
}

/// The artifacts that the work tree has pointers for.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::tui) struct Tracked {
    /// Those whose pointers can be followed, sorted by path.
    pub(in crate::tui) artifacts: Vec<(RelPath, Pointer)>,
    /// Pointers that are not valid, and why.
    pub(in crate::tui) faulty: Vec<(String, Problem)>,
    /// Where HEAD was: with it the versions change.
    pub(in crate::tui) head: Option<CommitId>,
}

/// How an artifact stands against its pointer.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) struct Standing {
    pub(in crate::tui) state: State,
    /// Whether git's index has the pointer.
    pub(in crate::tui) pointer_in_git: bool,
    /// How many files differ.
    pub(in crate::tui) differing: usize,
    /// Whether each remote has it; none where that is not known here.
    pub(in crate::tui) pushed: Vec<Option<bool>>,
}

/// How all artifacts stand.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::tui) struct Standings {
    /// The names of the remotes.
    pub(in crate::tui) remotes: Vec<String>,
    pub(in crate::tui) by_path: BTreeMap<RelPath, Standing>,
}

/// What a commit made of an artifact.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) struct Version {
    pub(in crate::tui) commit: CommitInfo,
    /// The pointer from then on; none where it was removed.
    pub(in crate::tui) pointer: Result<Option<Pointer>, Problem>,
}

/// A run that names an artifact.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) struct NamedRun {
    pub(in crate::tui) run_id: RunId,
    pub(in crate::tui) name: String,
    pub(in crate::tui) status: RunStatus,
    /// What the run did with it: `read`, `made as model`.
    pub(in crate::tui) what: String,
}

/// Something that names an artifact.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::tui) enum Named {
    /// A run.
    Run(NamedRun),
    /// A version of the registry, for people.
    Version(String),
}

/// What names an artifact.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::tui) struct Names {
    /// Versions first, then runs, the newest first.
    pub(in crate::tui) all: Vec<Named>,
    /// How many runs there are beside those.
    pub(in crate::tui) more: usize,
}

impl Request {
    pub(in crate::tui) fn lane(&self) -> Lane {
        match self {
            Self::List => Lane::Lists,
            Self::Standings | Self::Versions(_) => Lane::Files,
            Self::Names(_) => Lane::Detail,
        }
    }

    pub(in crate::tui) fn kind(&self) -> Option<Kind> {
        match self {
            Self::List | Self::Standings => None,
            Self::Versions(_) => Some("versions of an artifact"),
            Self::Names(_) => Some("names of an artifact"),
        }
    }

    pub(in crate::tui) fn perform(self, source: &mut dyn Source) -> Answer {
        match self {
            Self::List => Answer::List(source.tracked()),
            Self::Standings => Answer::Standings(source.standings()),
            Self::Versions(path) => {
                let versions = source.artifact_versions(&path);
                Answer::Versions(path, versions)
            }
            Self::Names(id) => {
                let names = source.artifact_names(&id);
                Answer::Names(id, names)
            }
        }
    }
}

/// The artifacts of a work tree.
pub(in crate::tui) fn tracked(workspace: &Workspace) -> Result<Tracked, Problem> {
    let pointers = workspace.all_pointers().map_err(|error| with_causes(&error))?;
    let faulty = pointers.faulty.iter().map(|(path, error)| (path.to_string(), with_causes(error)));
    let faulty = faulty.collect();
    let head = workspace.repository.head().map_err(|error| with_causes(&error))?.commit;
    Ok(Tracked { faulty, artifacts: pointers.valid.into_iter().collect(), head })
}

/// How the artifacts of a work tree stand, and where they were pushed as far as is known here.
pub(in crate::tui) fn standings(workspace: &Workspace) -> Result<Standings, Problem> {
    let statuses = workspace.status(&[]).map_err(|error| with_causes(&error))?;
    // A remote that cannot be looked at is one of which nothing is known. Nothing of the environment is needed for
    // what is kept here, and no other place is asked.
    let environment = Environment::default();
    let configured = configured(workspace).unwrap_or_default();
    let known: Vec<(String, Option<Remote>)> = configured
        .into_iter()
        .map(|remote| {
            let opened = remote.recall(workspace, &environment).ok();
            (remote.name, opened.filter(|opened| opened.is_known().unwrap_or(false)))
        })
        .collect();
    let standing = |status: Status| {
        let id = status.pointer.id;
        let has = |remote: &Remote| remote.has(&workspace.store, &id).ok();
        let pushed = known.iter().map(|(_, remote)| remote.as_ref().and_then(has)).collect();
        let (state, pointer_in_git, differing) = (status.state, status.pointer_in_git, status.differing);
        (status.path, Standing { state, pointer_in_git, differing, pushed })
    };
    let by_path = statuses.artifacts.into_iter().map(standing).collect();
    Ok(Standings { remotes: known.iter().map(|(name, _)| name.clone()).collect(), by_path })
}

/// The versions of an artifact in the history of HEAD, the newest first.
pub(in crate::tui) fn versions(workspace: &Workspace, path: &RelPath) -> Result<Vec<Version>, Problem> {
    let repository = &workspace.repository;
    let fail = |error: GitError| with_causes(&error);
    let Some(head) = repository.head().map_err(fail)?.commit else { return Ok(Vec::new()) };
    let pointer_path = path.with_suffix(POINTER_SUFFIX).map_err(|error| error.to_string())?;
    let commits = repository.commits_of(&head, pointer_path.as_str(), MAX_VERSIONS).map_err(fail)?;
    let version = |commit: &CommitId| {
        let bytes = repository.read_at(commit, pointer_path.as_str(), MAX_POINTER).map_err(fail);
        let parse = |bytes: Option<Vec<u8>>| {
            bytes.map(|bytes| Pointer::parse(&bytes).map_err(|error| error.to_string())).transpose()
        };
        Ok(Version { commit: repository.commit(commit).map_err(fail)?, pointer: bytes.and_then(parse) })
    };
    commits.iter().map(version).collect()
}

/// What names an artifact, among runs and registered versions.
pub(in crate::tui) fn names_of(
    runs: &Runs<'_>,
    catalog: &Catalog,
    models: &[Model],
    id: &ArtifactId,
) -> Result<Names, Problem> {
    let query = Query::parse(&format!("input = '{id}' or output = '{id}'")).map_err(|error| error.to_string())?;
    let search = Search { query: Some(&query), limit: Some(MAX_RUNS), ..Search::default() };
    let found = catalog.search(runs, &search).map_err(|error| with_causes(&error))?;
    let mut all: Vec<Named> =
        versions_with(models, |version| version.id == *id).into_iter().map(Named::Version).collect();
    let more = found.total.saturating_sub(found.runs.len());
    all.extend(found.runs.iter().map(|run| Named::Run(named_run(run, id))));
    Ok(Names { all, more })
}

fn named_run(run: &Run, id: &ArtifactId) -> NamedRun {
    let made = run.outputs.iter().filter(|output| output.id == *id).map(|output| format!("made as {}", output.name));
    let read = run.inputs.iter().filter(|input| input.id == *id).map(|_| "read".to_owned());
    let what: Vec<String> = made.chain(read).take(2).collect();
    NamedRun { run_id: run.id, name: run.name.clone(), status: run.status, what: what.join(", ") }
}

/// The versions of the registry that are wanted, each with the aliases that point to it: `digits@v3 (production)`.
pub(in crate::tui) fn versions_with(models: &[Model], wanted: impl Fn(&registry::Version) -> bool) -> Vec<String> {
    let name = |model: &Model, version: &registry::Version| {
        let aliases = model.aliases_of(version.version);
        let aliases = if aliases.is_empty() { String::new() } else { format!(" ({})", aliases.join(", ")) };
        format!("{}@v{}{aliases}", model.name, version.version)
    };
    let of = |model: &Model| {
        model.versions.iter().filter(|version| wanted(version)).map(|version| name(model, version)).collect::<Vec<_>>()
    };
    models.iter().flat_map(of).collect()
}
