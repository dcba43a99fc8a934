//! Runs in progress: a folder each under `.git/ml/live`.
//!
//! | file | what it is |
//! | --- | --- |
//! | `run.toml` | the record as it was at the start |
//! | `events.jsonl` | what git-ml noted: values logged with `git ml metric`, outputs, the end |
//! | `log.jsonl` | what the command logged: the file named by `GIT_ML_LOG` |
//! | `log.txt`, `log-1.txt`, … | stdout and stderr |
//! | `lock` | held by the supervising process; free once that has died |
//! | `scratch/` | room for the command's own files |
//!
//! A folder appears under its final name when it is complete, and leaves it in one step when the run is recorded.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use super::collect::EVENTS;
use super::event::{Note, OwnLine, name_fault, value_fault};
use super::record::MAX_RECORD;
use super::recover::settle;
use super::supervise::{Outcome, shell_code, start};
use super::{Ended, Followed, Launch, Observer, Run, RunError, RunInput, RunOutput, Supervision, names, served};
use crate::files::{self, Draft, Durability, FileError, FileLock, LockError, RelPath, Wait};
use crate::git::{GitError, LeftOut};
use crate::id::RunId;
use crate::track::{ArtifactType, TrackError, Workspace};

/// The record as it was at the start.
pub(super) const RECORD: &str = "run.toml";
/// Held by the supervising process.
pub(super) const LOCK: &str = "lock";
/// What a command that is stopped leaves to go on from; the name and the type of the output that it becomes.
pub const CHECKPOINT: &str = "checkpoint";
/// Folders of runs that are being started.
const STARTING: &str = ".new-";
/// The start of the refs that hold the snapshots of live runs.
const HOLDS: &str = "refs/ml/live/";
/// Folders of runs that were recorded, or never ran.
const LEAVING: &str = ".gone-";

/// What a record ends with. One without it was torn by a power cut, before anything that was logged was acknowledged.
const WHOLE: &str = "# whole\n";

/// The folder of the live runs of a store.
pub(super) fn live_root(workspace: &Workspace) -> PathBuf {
    workspace.store.root().join("live")
}

/// The folder of a live run.
pub(super) fn folder_of(workspace: &Workspace, run_id: &RunId) -> PathBuf {
    live_root(workspace).join(run_id.to_string())
}

/// The ids of the runs that have a folder, in order.
pub(super) fn ids(workspace: &Workspace) -> Result<Vec<RunId>, RunError> {
    let root = live_root(workspace);
    let entries = match fs::read_dir(&root) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|source| RunError::Read { path: root, source })?,
    };
    let mut ids: Vec<RunId> = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    ids.sort_unstable();
    Ok(ids)
}

/// The record of a live run as it was at the start; none if the run was recorded meanwhile, or never was whole.
pub(super) fn read_start(folder: &Path, run_id: &RunId) -> Result<Option<Run>, RunError> {
    let path = folder.join(RECORD);
    let size = fs::metadata(&path).map(|metadata| metadata.len());
    if size.as_ref().is_ok_and(|size| *size > MAX_RECORD) {
        return Err(RunError::Malformed { id: run_id.to_string(), problem: "it is too large".to_owned() });
    }
    match fs::read(&path) {
        Ok(bytes) if !is_whole(&bytes) => Ok(None),
        Ok(bytes) => Run::parse(&bytes, run_id).map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(RunError::Read { path, source }),
    }
}

/// Whether a record is all there: what a power cut leaves is cut off or has zeros in it.
fn is_whole(record: &[u8]) -> bool {
    record.ends_with(WHOLE.as_bytes()) && !record.contains(&0)
}

/// Whether the folder is what a power cut left of a run that had just begun, or had just been opened again.
fn is_torn(folder: &Path) -> bool {
    folder.is_dir() && !fs::read(folder.join(RECORD)).is_ok_and(|record| is_whole(&record))
}

/// Whether somebody is at the run: supervises it, or serves it.
pub(super) fn is_open(folder: &Path) -> bool {
    is_supervised(folder) || served::is_open(folder)
}

/// Whether somebody supervises the run.
pub(super) fn is_supervised(folder: &Path) -> bool {
    // A shared lock, so that two that look do not take each other for the supervisor.
    matches!(FileLock::shared(&folder.join(LOCK), Wait::No), Err(LockError::Held { .. }))
}

/// Takes over a run that nobody supervises; none if somebody does, or if it was recorded meanwhile.
pub(super) fn take_over(folder: &Path) -> Result<Option<FileLock>, RunError> {
    if !folder.join(RECORD).exists() || served::is_open(folder) {
        return Ok(None);
    }
    match FileLock::exclusive(&folder.join(LOCK), Wait::No) {
        // Another process may have recorded the run between the look and the lock.
        Ok(lock) => Ok(folder.join(RECORD).exists().then_some(lock)),
        Err(LockError::Held { .. }) => Ok(None),
        Err(_) if !folder.exists() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Removes the folder of a run that was recorded, or that never ran.
pub(super) fn remove(folder: &Path) -> Result<(), RunError> {
    let (Some(root), Some(name)) = (folder.parent(), folder.file_name()) else {
        return Ok(());
    };
    let leaving = root.join(format!("{LEAVING}{}", name.to_string_lossy()));
    files::move_dir(folder, &leaving)?;
    files::remove_dir_all(&leaving)?;
    Ok(())
}

/// The ref that keeps the snapshot of a live run from git's garbage collection.
fn hold_of(run_id: &RunId) -> String {
    format!("{HOLDS}{run_id}")
}

/// Lets go of the snapshot of a run that was recorded: `refs/ml/runs` keeps it from then on.
pub(super) fn release(workspace: &Workspace, run: &Run) -> Result<(), GitError> {
    if run.dirty { workspace.repository.release(&hold_of(&run.id)) } else { Ok(()) }
}

/// Lets go of the snapshots of runs that are no longer live.
fn release_leftovers(workspace: &Workspace) {
    let Ok(holds) = workspace.repository.refs(HOLDS) else { return };
    for (reference, _) in holds {
        let run_id = reference.strip_prefix(HOLDS).and_then(|id| id.parse().ok());
        if run_id.is_some_and(|run_id: RunId| !folder_of(workspace, &run_id).exists()) {
            // What cannot be removed now is found next time.
            let _ = workspace.repository.release(&reference);
        }
    }
}

/// Removes what killed processes left of runs that never started or are recorded.
pub(super) fn sweep(workspace: &Workspace) {
    const LONG_ENOUGH: Duration = Duration::from_secs(600);
    release_leftovers(workspace);
    let Ok(entries) = fs::read_dir(live_root(workspace)) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let age = entry.metadata().and_then(|metadata| metadata.modified()).ok();
        let age = age.and_then(|time| SystemTime::now().duration_since(time).ok()).unwrap_or_default();
        let is_torn = || name.parse::<RunId>().is_ok() && is_torn(&entry.path());
        let is_old = age > LONG_ENOUGH;
        if name.starts_with(LEAVING) || is_old && (name.starts_with(STARTING) || is_torn()) {
            // Somebody else may be removing it too; what is left is found next time.
            let _ = files::remove_dir_all(&entry.path());
        }
    }
}

/// A run in progress: its folder under `.git/ml/live`, which is the truth until the run is recorded.
///
/// Dropped before its command has started, it leaves nothing behind.
#[derive(Debug)]
pub struct LiveRun {
    pub(super) folder: PathBuf,
    pub(super) run: Run,
    has_started: bool,
    /// Held as long as this process supervises the run.
    _lock: FileLock,
}

impl Drop for LiveRun {
    fn drop(&mut self) {
        if !self.has_started {
            // What cannot be removed now is found by the next command.
            let _ = remove(&self.folder);
        }
    }
}

impl LiveRun {
    /// Makes the snapshot and the run's folder and locks it.
    pub fn start(workspace: &Workspace, launch: &Launch) -> Result<Self, RunError> {
        Self::start_with(workspace, launch, || Ok(launch.inputs.clone()))
    }

    /// Does the same, and finds the run's inputs while the snapshot is made.
    pub fn start_with(
        workspace: &Workspace,
        launch: &Launch,
        inputs: impl FnOnce() -> Result<Vec<RunInput>, RunError> + Send,
    ) -> Result<Self, RunError> {
        check(launch)?;
        let repository = &workspace.repository;
        let head = repository.head()?;
        if head.commit.is_none() {
            return Err(GitError::NoCommit.into());
        }
        let run_id = RunId::generate();
        let name = launch.name.clone().unwrap_or_else(|| names::name_of(&run_id));
        let message = format!(
            "The code of run {name}\n\nHEAD with the changes to tracked files, as it was when {run_id} started.\n"
        );
        let identity = || repository.identity_or_host(&launch.user, &launch.host);
        // Each of these starts a git, which takes longer than all of the rest. Who commits is asked for now, for the end.
        let (snapshot, inputs) = std::thread::scope(|scope| {
            let author = scope.spawn(identity);
            let inputs = scope.spawn(inputs);
            let author = || author.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            (repository.snapshot(&message, &launch.untracked, author), inputs.join())
        });
        let inputs = inputs.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        let snapshot = snapshot?;
        let run = Run {
            name,
            experiment: launch.experiment.clone(),
            commit: Some(snapshot.head),
            snapshot: Some(snapshot.commit),
            dirty: snapshot.dirty,
            branch: head.branch,
            user: launch.user.clone(),
            host: launch.host.clone(),
            command: launch.shown_command.clone().unwrap_or_else(|| launch.command.clone()),
            folder: place_in(workspace, &launch.folder),
            seed: launch.seed,
            params: launch.params.clone(),
            tags: launch.tags.clone(),
            inputs,
            environment: launch.environment.clone(),
            left_out: snapshot.left_out,
            followed: followed(workspace, &launch.supervision),
            ..Run::begun(run_id, now())
        };
        Self::begin(workspace, run)
    }

    /// Makes the folder of a run that begins, and locks it.
    pub(super) fn begin(workspace: &Workspace, run: Run) -> Result<Self, RunError> {
        let root = live_root(workspace);
        make_root(&root)?;
        let starting = root.join(format!("{STARTING}{}", run.id));
        let folder = root.join(run.id.to_string());
        let lock = match make_folder(&starting, &folder, &run, &[]) {
            Ok(lock) => lock,
            Err(error) => {
                let _ = files::remove_dir_all(&starting);
                return Err(error);
            }
        };
        let live = Self { folder, run, has_started: false, _lock: lock };
        if let Some(snapshot) = live.run.snapshot.filter(|_| live.run.dirty) {
            workspace.repository.hold(&hold_of(&live.run.id), &snapshot)?;
        }
        Ok(live)
    }

    /// The id.
    pub fn id(&self) -> RunId {
        self.run.id
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.run.name
    }

    /// What of the work tree its snapshot does not hold.
    pub fn left_out(&self) -> &LeftOut {
        &self.run.left_out
    }

    /// The folder that the run may fill and that goes when it is recorded.
    pub fn scratch(&self) -> PathBuf {
        self.folder.join("scratch")
    }

    /// The folder for what is needed to go on if the run does not finish. It becomes an output then.
    pub fn checkpoint(&self) -> PathBuf {
        self.folder.join(CHECKPOINT)
    }
}

impl LiveRun {
    /// Runs the command to its end, passing signals on, then records the run.
    pub fn supervise(
        mut self,
        workspace: &Workspace,
        launch: &Launch,
        observer: &mut dyn Observer,
    ) -> Result<Ended, RunError> {
        let child = start(&self.folder, &self.run, launch)?;
        self.has_started = true;
        observer.started(&self.run);
        let Outcome { end, collector, mut warnings } = child.supervise(&self.folder, launch, observer)?;
        warnings.extend(self.keep_outputs(workspace, launch, end.exit_code == Some(0)));
        let exit_code = shell_code(&end);
        let end = Note { end: Some(end), ..Note::default() };
        // The record, which follows at once, is what is kept.
        let end = OwnLine { git_ml: Some(end), ..OwnLine::default() };
        let recorded = note_soon(&self.folder, &[end]).and_then(|()| {
            settle(workspace, &self.folder, self.run.clone(), collector, &mut |line| observer.logged(line))
        });
        let unrecorded = |source| RunError::Unrecorded { name: self.run.name.clone(), source: Box::new(source) };
        let (run, more) = recorded.map_err(unrecorded)?;
        warnings.extend(more);
        Ok(Ended { run, exit_code, warnings })
    }

    /// Stores the outputs that were declared, also after a failure; returns what went wrong.
    fn keep_outputs(&self, workspace: &Workspace, launch: &Launch, succeeded: bool) -> Vec<String> {
        let keep = |(name, artifact_type, place): &(String, String, PathBuf)| {
            let place = self.scratch().join(place);
            if place.symlink_metadata().is_err() {
                return succeeded.then(|| format!("there is no output `{name}`: nothing is at {}", place.display()));
            }
            // Until it is noted, garbage collection must wait.
            let _hold = workspace.store.hold();
            let output = store_output(workspace, &place, name, artifact_type);
            let error = output.and_then(|output| note_output(&self.folder, &output)).err()?;
            Some(format!("the output `{name}` is not stored: {error}"))
        };
        launch.outputs.iter().filter_map(keep).collect()
    }
}

/// Makes a run's folder under another name, and gives it its own when all is in it and it is locked.
fn make_folder(starting: &Path, folder: &Path, run: &Run, marks: &[(&str, &[u8])]) -> Result<FileLock, RunError> {
    files::create_dir_all(&starting.join("scratch"))?;
    let lock = FileLock::exclusive(&starting.join(LOCK), Wait::No)?;
    let place = starting.join(RECORD);
    let mut record = Draft::new_in(starting)?;
    let text = run.to_toml()? + WHOLE;
    record.write_all(text.as_bytes()).map_err(|source| FileError::new("write", &place, source))?;
    record.publish(&place, false, Durability::Buffered)?;
    for (name, content) in marks {
        files::publish(&starting.join(name), content, Durability::Buffered)?;
    }
    files::move_dir(starting, folder)?;
    Ok(lock)
}

/// Makes the folder of the live runs, where it is not there yet.
fn make_root(root: &Path) -> Result<(), RunError> {
    if root.is_dir() {
        return Ok(());
    }
    files::create_dir_all(root)?;
    // Once for all runs. What is acknowledged later makes the run's own folder durable.
    let above: Vec<PathBuf> = root.ancestors().skip(1).take(2).map(Path::to_path_buf).collect();
    Ok(files::sync_all(&above)?)
}

/// Makes the folder of a run that has no process, with marks in it, and does not return before it is on the disk.
pub(super) fn make_served(workspace: &Workspace, run: &Run, marks: &[(&str, &[u8])]) -> Result<PathBuf, RunError> {
    let root = live_root(workspace);
    let starting = root.join(format!("{STARTING}{}", run.id));
    let folder = root.join(run.id.to_string());
    let make = || {
        make_root(&root)?;
        if is_torn(&folder) {
            // Nothing in it was acknowledged, and it would be in the way of a run that is opened again.
            remove(&folder)?;
        }
        let lock = make_folder(&starting, &folder, run, marks)?;
        drop(lock);
        keep(&folder)
    };
    make().inspect_err(|_: &RunError| drop(files::remove_dir_all(&starting)))?;
    Ok(folder)
}

/// The present, in microseconds, which is what series keep.
pub(super) fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

fn check(launch: &Launch) -> Result<(), RunError> {
    launch.name.as_deref().map_or(Ok(()), names::check)?;
    check_texts("parameter", &launch.params)?;
    check_texts("tag", &launch.tags)
}

/// Refuses names and values that a parameter or tag cannot have.
pub(super) fn check_texts(kind: &str, values: &BTreeMap<String, String>) -> Result<(), RunError> {
    for (name, value) in values {
        if let Some(fault) = name_fault(name).or_else(|| value_fault(value)) {
            let name: String = name.escape_debug().take(60).collect();
            return Err(RunError::BadValue { what: format!("the {kind} `{name}` {fault}") });
        }
    }
    Ok(())
}

/// Adds a line to the event log of a live run. When this returns, it survives a power cut.
pub(super) fn note(folder: &Path, line: &OwnLine) -> Result<(), RunError> {
    note_soon(folder, std::slice::from_ref(line))?;
    keep(folder)
}

/// Adds lines to the event log of a live run, all or none of them, as far as a kill goes.
pub(super) fn note_soon(folder: &Path, lines: &[OwnLine]) -> Result<(), RunError> {
    let mut text = String::new();
    for line in lines {
        text += &serde_json::to_string(line)
            .map_err(|error| RunError::BadValue { what: format!("this cannot be logged: {error}") })?;
        text.push('\n');
    }
    Ok(files::append_lines(&folder.join(EVENTS), &text)?)
}

/// Makes all that git-ml noted of a live run survive a power cut, and the folder that it is in.
pub(super) fn keep(folder: &Path) -> Result<(), RunError> {
    let mut places = vec![folder.join(EVENTS), folder.join(RECORD), folder.to_path_buf()];
    places.extend(folder.parent().map(Path::to_path_buf));
    Ok(files::sync_all(&places)?)
}

/// Notes an output of a live run.
pub(super) fn note_output(folder: &Path, output: &RunOutput) -> Result<(), RunError> {
    let output = Note { output: Some(output.clone()), ..Note::default() };
    note(folder, &OwnLine { time: Some(now()), git_ml: Some(output), ..OwnLine::default() })
}

/// The place in the work tree; none for its top, and for what is not in it.
fn place_in(workspace: &Workspace, place: &Path) -> Option<RelPath> {
    let place = place.canonicalize().ok()?;
    let inner = place.strip_prefix(workspace.repository.work_dir().ok()?).ok()?;
    RelPath::new(inner.to_str()?).ok()
}

/// The places in the work tree that are followed.
fn followed(workspace: &Workspace, supervision: &Supervision) -> Followed {
    let top = workspace.repository.work_dir().unwrap_or(Path::new(""));
    // They need not be there yet.
    let inside = |place: &PathBuf| {
        let inner = place.strip_prefix(top).ok()?.to_str()?;
        if inner.is_empty() {
            Some(Followed::TOP.to_owned())
        } else {
            RelPath::new(inner).ok().map(|path| path.to_string())
        }
    };
    let inside = |places: &[PathBuf]| places.iter().filter_map(inside).collect();
    Followed { tensorboard: inside(&supervision.tensorboard), csv_logs: inside(&supervision.csv_logs) }
}

/// Stores a file or folder as an output with this name and type.
pub(super) fn store_output(
    workspace: &Workspace,
    path: &Path,
    name: &str,
    artifact_type: &str,
) -> Result<RunOutput, RunError> {
    let artifact_type: ArtifactType =
        artifact_type.parse().map_err(|_| RunError::BadValue { what: format!("`{artifact_type}` is not a type") })?;
    if let Some(fault) = name_fault(name) {
        return Err(RunError::BadValue { what: format!("an output {fault}") });
    }
    let (id, manifest, _) = workspace.store_path(path)?;
    Ok(RunOutput {
        name: name.to_owned(),
        artifact_type: artifact_type.to_string(),
        id,
        files: manifest.entries().len() as u64,
        bytes: manifest.total_size(),
        path: place_in(workspace, path),
    })
}

/// Stores the checkpoint that a run left. Until its record names it, garbage collection must wait.
pub(super) fn store_checkpoint(workspace: &Workspace, folder: &Path) -> Result<Option<RunOutput>, RunError> {
    let place = folder.join(CHECKPOINT);
    let is_empty = std::fs::read_dir(&place).map_or(true, |mut files| files.next().is_none());
    if is_empty { Ok(None) } else { store_output(workspace, &place, CHECKPOINT, CHECKPOINT).map(Some) }
}

/// The folder of the live run that a command inside of it logs to (the variable `GIT_ML_RUN_DIR`).
#[derive(Debug, Clone)]
pub struct ActiveRun {
    folder: PathBuf,
}

impl ActiveRun {
    /// The run in `folder`.
    pub fn open(folder: &Path) -> Result<Self, RunError> {
        if !folder.join(RECORD).is_file() {
            return Err(RunError::NoActiveRun);
        }
        Ok(Self { folder: folder.to_path_buf() })
    }

    /// Logs metrics.
    pub fn metrics(&self, values: &BTreeMap<String, f64>, step: Option<i64>) -> Result<(), RunError> {
        if let Some(fault) = values.keys().find_map(|name| name_fault(name)) {
            return Err(RunError::BadValue { what: format!("a metric {fault}") });
        }
        let metrics = values.iter().map(|(name, value)| (name.clone(), (*value).into())).collect();
        note(&self.folder, &OwnLine { step, time: Some(now()), metrics, ..OwnLine::default() })
    }

    /// Logs parameters.
    pub fn params(&self, values: &BTreeMap<String, String>) -> Result<(), RunError> {
        check_texts("parameter", values)?;
        let params = values.clone().into_iter().collect();
        note(&self.folder, &OwnLine { time: Some(now()), params, ..OwnLine::default() })
    }

    /// Sets tags.
    pub fn tags(&self, values: &BTreeMap<String, String>) -> Result<(), RunError> {
        check_texts("tag", values)?;
        let tags = values.clone().into_iter().collect();
        note(&self.folder, &OwnLine { time: Some(now()), tags, ..OwnLine::default() })
    }

    /// Stores a file or folder at once and logs it as an output.
    pub fn output(
        &self,
        workspace: &Workspace,
        path: &Path,
        name: Option<&str>,
        artifact_type: &str,
    ) -> Result<RunOutput, RunError> {
        let own_name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        // Until it is noted, garbage collection must wait.
        let _hold = workspace.store.hold().map_err(TrackError::from)?;
        let output = store_output(workspace, path, name.unwrap_or(&own_name), artifact_type)?;
        note_output(&self.folder, &output)?;
        Ok(output)
    }
}
