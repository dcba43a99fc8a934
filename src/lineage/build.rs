//! Following the graph from a target, in both directions.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::files::RelPath;
use crate::git::GitError;
use crate::id::{ArtifactId, CommitId, RunId};
use crate::registry::{Model, Registry, RegistryError, Version};
use crate::run::{Run, RunDataset};
use crate::track::{POINTER_SUFFIX, Pointer, Workspace};
use crate::words::{count, size};

use super::{Edge, EdgeKind, Graph, LineageError, Node, NodeKind, Part, RunSource, rows};

/// Nodes that a graph has at most.
const MAX_NODES: usize = 1000;
/// Runs of one artifact that are followed.
const MAX_RUNS: usize = 100;
/// Commits that are looked at for where a pointer came from.
const MAX_COMMITS: &str = "200";
/// Bytes a pointer may have.
const MAX_POINTER: u64 = 64 * 1024;

/// Where to begin.
#[derive(Debug, Clone, PartialEq)]
pub enum Start {
    /// A run.
    Run(RunId),
    /// A version of the registry.
    Version(Box<Version>),
    /// An artifact, and what the user called it.
    Artifact {
        /// Its id.
        id: ArtifactId,
        /// `data/x`, `run:@:model`.
        name: String,
    },
}

/// Follows the graph from `start`.
pub fn trace(workspace: &Workspace, source: &dyn RunSource, start: &Start) -> Result<Graph, LineageError> {
    let models = Registry::new(workspace).survey()?.models;
    let mut builder = Builder {
        workspace,
        source,
        models,
        paths: BTreeMap::new(),
        runs: BTreeMap::new(),
        nodes: Vec::new(),
        known: BTreeSet::new(),
        edges: BTreeSet::new(),
        left_out: 0,
    };
    builder.learn_paths()?;
    let thing = match start {
        Start::Run(run_id) => {
            let run = source.run(run_id)?.ok_or(LineageError::NoRun { run: *run_id })?;
            builder.add_run(&run);
            Thing::Run(*run_id)
        }
        Start::Version(version) => {
            builder.add_version(version);
            Thing::Version(version.model.clone(), version.version)
        }
        Start::Artifact { id, name } => {
            builder.add_artifact(id, Some(name), None);
            Thing::Artifact(*id)
        }
    };
    for direction in [Direction::Up, Direction::Down] {
        builder.follow(thing.clone(), direction)?;
    }
    let Builder { nodes, edges, left_out, .. } = builder;
    let target = nodes.first().map(|node| node.id.clone()).unwrap_or_default();
    Ok(Graph { target, nodes, edges: edges.into_iter().collect(), left_out })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    /// To what it came from.
    Up,
    /// To what came from it.
    Down,
}

/// What may be followed further.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Thing {
    Artifact(ArtifactId),
    Run(RunId),
    Version(String, u64),
}

struct Builder<'b> {
    workspace: &'b Workspace,
    source: &'b dyn RunSource,
    models: Vec<Model>,
    /// The paths at which artifacts are known to have been tracked.
    paths: BTreeMap<ArtifactId, BTreeSet<RelPath>>,
    runs: BTreeMap<RunId, Run>,
    nodes: Vec<Node>,
    known: BTreeSet<String>,
    edges: BTreeSet<Edge>,
    left_out: usize,
}

impl Builder<'_> {
    /// The paths of what is tracked now.
    fn learn_paths(&mut self) -> Result<(), LineageError> {
        let workspace = self.workspace;
        if workspace.repository.work_dir().is_ok() {
            let found = workspace.all_pointers().map_err(RegistryError::from)?;
            for (path, pointer) in found.valid {
                self.paths.entry(pointer.id).or_default().insert(path);
            }
        }
        let Some(head) = workspace.repository.head().map_err(RegistryError::from)?.commit else { return Ok(()) };
        for file in workspace.repository.find_at(&head, POINTER_SUFFIX).map_err(RegistryError::from)? {
            let path = file.strip_suffix(POINTER_SUFFIX).and_then(|data| RelPath::new(data).ok());
            let pointer = self.pointer_at(&head, &file).map_err(RegistryError::from)?;
            if let (Some(path), Some(pointer)) = (path, pointer) {
                self.paths.entry(pointer.id).or_default().insert(path);
            }
        }
        Ok(())
    }

    fn pointer_at(&self, commit: &CommitId, file: &str) -> Result<Option<Pointer>, GitError> {
        let bytes = self.workspace.repository.read_at(commit, file, MAX_POINTER)?;
        Ok(bytes.and_then(|bytes| Pointer::parse(&bytes).ok()))
    }

    fn follow(&mut self, start: Thing, direction: Direction) -> Result<(), LineageError> {
        let mut seen = BTreeSet::from([start.clone()]);
        let mut pending = VecDeque::from([start.clone()]);
        while let Some(thing) = pending.pop_front() {
            let next = match (&thing, direction) {
                (Thing::Artifact(id), Direction::Up) => self.makers(id)?,
                (Thing::Artifact(id), Direction::Down) => self.users(id)?,
                (Thing::Run(run_id), Direction::Up) => self.inputs(run_id)?,
                (Thing::Run(run_id), Direction::Down) => self.outputs(run_id)?,
                (Thing::Version(model, number), Direction::Up) => self.registered(model, *number)?,
                (Thing::Version(model, number), Direction::Down) => {
                    self.aliases(model, *number);
                    // On the way from an artifact its readers are known already.
                    if thing == start { self.readers_of_version(model, *number)? } else { Vec::new() }
                }
            };
            pending.extend(next.into_iter().filter(|thing| seen.insert(thing.clone())));
        }
        Ok(())
    }

    /// Who made an artifact, and the commits that brought its pointers.
    fn makers(&mut self, id: &ArtifactId) -> Result<Vec<Thing>, LineageError> {
        let mut next = Vec::new();
        for run in self.runs_with(id, Part::Output)? {
            if self.add_run(&run) {
                self.edge(&id_of_run(&run.id), &id_of_artifact(id), EdgeKind::Made);
                next.push(Thing::Run(run.id));
            }
        }
        for path in self.paths.get(id).cloned().unwrap_or_default() {
            if let Some((commit, subject)) = self.commit_of(id, &path).map_err(RegistryError::from)?
                && self.add_commit(&commit, &subject)
            {
                self.edge(&id_of_commit(&commit), &id_of_artifact(id), EdgeKind::Tracked);
            }
        }
        Ok(next)
    }

    /// Who read an artifact, and as which versions it was registered.
    fn users(&mut self, id: &ArtifactId) -> Result<Vec<Thing>, LineageError> {
        let mut next = Vec::new();
        let versions: Vec<Version> =
            self.models.iter().flat_map(|model| &model.versions).filter(|version| version.id == *id).cloned().collect();
        for version in versions {
            if self.add_version(&version) {
                self.edge(&id_of_artifact(id), &id_of_version(&version.model, version.version), EdgeKind::Registered);
                next.push(Thing::Version(version.model, version.version));
            }
        }
        for run in self.runs_with(id, Part::Input)? {
            if self.add_run(&run) {
                self.edge(&id_of_artifact(id), &id_of_run(&run.id), EdgeKind::Read);
                next.push(Thing::Run(run.id));
            }
        }
        Ok(next)
    }

    /// What a run read, and the code that it ran.
    fn inputs(&mut self, run_id: &RunId) -> Result<Vec<Thing>, LineageError> {
        let Some(run) = self.run(run_id)? else { return Ok(Vec::new()) };
        let own = id_of_run(run_id);
        let mut next = Vec::new();
        for input in &run.inputs {
            self.paths.entry(input.id).or_default().insert(input.path.clone());
            if self.add_artifact(&input.id, Some(input.path.as_str()), None) {
                self.edge(&id_of_artifact(&input.id), &own, EdgeKind::Read);
                next.push(Thing::Artifact(input.id));
            }
        }
        for dataset in &run.datasets {
            if self.add_external(dataset) {
                self.edge(&id_of_external(dataset), &own, EdgeKind::Read);
            }
        }
        self.add_rows(&run);
        if let Some(commit) = run.snapshot.or(run.commit) {
            let subject = self.workspace.repository.commit(&commit).map(|info| info.subject().to_owned());
            if self.add_commit(&commit, &subject.unwrap_or_else(|_| "not here".to_owned())) {
                self.edge(&id_of_commit(&commit), &own, EdgeKind::Code);
            }
        }
        Ok(next)
    }

    /// The rows that a run learned from, where its model says so.
    fn add_rows(&mut self, run: &Run) {
        let models = run.outputs.iter().filter(|output| output.artifact_type == "model");
        let rows = models.filter_map(|model| rows::of_model(&self.workspace.store, &model.id)).next();
        let Some(rows) = rows else { return };
        let id = format!("rows:{}", run.id);
        if self.add(Node { id: id.clone(), kind: NodeKind::Rows, name: rows, detail: None }) {
            self.edge(&id, &id_of_run(&run.id), EdgeKind::Read);
            // Where a run read several, its model does not say of which they are.
            if let [only] = run.inputs.as_slice() {
                self.edge(&id_of_artifact(&only.id), &id, EdgeKind::Part);
            }
        }
    }

    /// What a run made.
    fn outputs(&mut self, run_id: &RunId) -> Result<Vec<Thing>, LineageError> {
        let Some(run) = self.run(run_id)? else { return Ok(Vec::new()) };
        let mut next = Vec::new();
        for output in &run.outputs {
            let detail = format!("{}, {}, {}", output.artifact_type, count(output.files, "file"), size(output.bytes));
            let name = format!("{} of {}", output.name, run.name);
            if self.add_artifact(&output.id, Some(&name), Some(detail)) {
                self.edge(&id_of_run(run_id), &id_of_artifact(&output.id), EdgeKind::Made);
                next.push(Thing::Artifact(output.id));
            }
        }
        Ok(next)
    }

    /// What was registered as a version.
    fn registered(&mut self, model: &str, number: u64) -> Result<Vec<Thing>, LineageError> {
        let Some(version) = self.version(model, number) else { return Ok(Vec::new()) };
        let mut name = None;
        if let Some(run_id) = version.run
            && let Some(run) = self.run(&run_id)?
        {
            let output = run.outputs.iter().find(|output| output.id == version.id);
            name = output.map(|output| format!("{} of {}", output.name, run.name));
        }
        if !self.add_artifact(&version.id, name.as_deref(), Some(version.artifact_type.clone())) {
            return Ok(Vec::new());
        }
        self.edge(&id_of_artifact(&version.id), &id_of_version(model, number), EdgeKind::Registered);
        Ok(vec![Thing::Artifact(version.id)])
    }

    /// The aliases of a version, with which nothing goes on.
    fn aliases(&mut self, model: &str, number: u64) {
        let Some(found) = self.models.iter().find(|found| found.name == model) else { return };
        let aliases: Vec<String> = found.aliases_of(number).into_iter().map(str::to_owned).collect();
        for alias in aliases {
            let name = format!("{model}@{alias}");
            let id = format!("alias:{name}");
            if self.add(Node { id: id.clone(), kind: NodeKind::Alias, name, detail: None }) {
                self.edge(&id_of_version(model, number), &id, EdgeKind::Alias);
            }
        }
    }

    /// The runs that read what was registered as a version.
    fn readers_of_version(&mut self, model: &str, number: u64) -> Result<Vec<Thing>, LineageError> {
        let Some(id) = self.version(model, number).map(|version| version.id) else { return Ok(Vec::new()) };
        let mut next = Vec::new();
        for run in self.runs_with(&id, Part::Input)? {
            if self.add_run(&run) {
                self.edge(&id_of_version(model, number), &id_of_run(&run.id), EdgeKind::Read);
                next.push(Thing::Run(run.id));
            }
        }
        Ok(next)
    }

    fn version(&self, model: &str, number: u64) -> Option<Version> {
        self.models.iter().find(|found| found.name == model)?.find(number).cloned()
    }

    fn run(&mut self, run_id: &RunId) -> Result<Option<Run>, LineageError> {
        if let Some(run) = self.runs.get(run_id) {
            return Ok(Some(run.clone()));
        }
        Ok(self.source.run(run_id)?)
    }

    /// The runs that made or read an artifact.
    fn runs_with(&mut self, id: &ArtifactId, part: Part) -> Result<Vec<Run>, LineageError> {
        let (runs, total) = self.source.runs_with(id, part, MAX_RUNS)?;
        self.left_out += total.saturating_sub(runs.len());
        Ok(runs)
    }

    /// The oldest of the latest commits in which the pointer at a path names an artifact, with its subject.
    fn commit_of(&self, id: &ArtifactId, path: &RelPath) -> Result<Option<(CommitId, String)>, GitError> {
        let repository = &self.workspace.repository;
        if repository.head()?.commit.is_none() {
            return Ok(None);
        }
        let file = format!("{path}{POINTER_SUFFIX}");
        let place = format!(":(literal,top){file}");
        let arguments =
            ["log", "--branches", "--tags", "--remotes", "HEAD", "--format=%H", "-n", MAX_COMMITS, "--", &place];
        let output = repository.run_git(&arguments)?;
        let commits = std::str::from_utf8(&output).unwrap_or_default().lines().filter_map(|line| line.parse().ok());
        let mut found = None;
        for commit in commits {
            if self.pointer_at(&commit, &file)?.is_some_and(|pointer| pointer.id == *id) {
                found = Some(commit);
            }
        }
        found.map(|commit| Ok((commit, repository.commit(&commit)?.subject().to_owned()))).transpose()
    }

    fn add_artifact(&mut self, id: &ArtifactId, name: Option<&str>, detail: Option<String>) -> bool {
        let path = self.paths.get(id).and_then(|paths| paths.first()).map(RelPath::to_string);
        let name = path.or(name.map(str::to_owned)).unwrap_or_else(|| format!("artifact {}", id.short()));
        let detail = match detail {
            Some(detail) => format!("artifact {}, {detail}", id.short()),
            None => format!("artifact {}", id.short()),
        };
        self.add(Node { id: id_of_artifact(id), kind: NodeKind::Data, name, detail: Some(detail) })
    }

    fn add_run(&mut self, run: &Run) -> bool {
        self.runs.entry(run.id).or_insert_with(|| run.clone());
        let mut detail = run.status.as_str().to_owned();
        if let Some(experiment) = &run.experiment {
            detail += &format!(", {experiment}");
        }
        detail += &format!(", {}", run.started.strftime("%Y-%m-%d %H:%M"));
        self.add(Node { id: id_of_run(&run.id), kind: NodeKind::Run, name: run.name.clone(), detail: Some(detail) })
    }

    fn add_version(&mut self, version: &Version) -> bool {
        let detail = format!("{}, {}", version.artifact_type, version.registered.strftime("%Y-%m-%d %H:%M"));
        let id = id_of_version(&version.model, version.version);
        self.add(Node { id, kind: NodeKind::Version, name: version.label(), detail: Some(detail) })
    }

    fn add_commit(&mut self, commit: &CommitId, subject: &str) -> bool {
        let (id, name, detail) = (id_of_commit(commit), commit.short(), Some(subject.to_owned()));
        self.add(Node { id, kind: NodeKind::Commit, name, detail })
    }

    fn add_external(&mut self, dataset: &RunDataset) -> bool {
        let detail = Some(format!("{}, digest {}", dataset.source_type, dataset.digest));
        let (id, name) = (id_of_external(dataset), dataset.name.clone());
        self.add(Node { id, kind: NodeKind::External, name, detail })
    }

    /// Adds a node unless it is there; false if there is no room for it.
    fn add(&mut self, node: Node) -> bool {
        if self.known.contains(&node.id) {
            return true;
        }
        if self.nodes.len() >= MAX_NODES {
            self.left_out += 1;
            return false;
        }
        self.known.insert(node.id.clone());
        self.nodes.push(node);
        true
    }

    fn edge(&mut self, from: &str, to: &str, kind: EdgeKind) {
        self.edges.insert(Edge { from: from.to_owned(), to: to.to_owned(), kind });
    }
}

fn id_of_artifact(id: &ArtifactId) -> String {
    format!("artifact:{id}")
}

fn id_of_run(run_id: &RunId) -> String {
    format!("run:{run_id}")
}

fn id_of_commit(commit: &CommitId) -> String {
    format!("commit:{commit}")
}

fn id_of_version(model: &str, number: u64) -> String {
    format!("version:{model}@v{number}")
}

fn id_of_external(dataset: &RunDataset) -> String {
    format!("external:{}:{}", dataset.name, dataset.digest)
}
