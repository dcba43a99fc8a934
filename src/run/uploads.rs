//! Files that a client uploads to a run or to a logged model, over MLflow's protocol.
//!
//! As long as a run lives, or a model is not complete, they are plain files in `live/<id>/artifacts`. Then each of a
//! run's top-level names becomes an output, and a model's folder one artifact. What comes later changes those. Uploads
//! in the making are in `.git/ml/uploads`, so nobody sees half of a file.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rayon::prelude::*;
use walkdir::WalkDir;

use super::event::name_fault;
use super::models::{LoggedModel, LoggedModels, ModelFiles, ModelStatus};
use super::{RunError, RunOutput, Runs, ServedRun, live};
use crate::files::{self, Draft, Durability, FileError, FileLock, RelPath, Wait, check_length, resolve_beneath};
use crate::git::Identity;
use crate::id::{ArtifactId, Digest, LoggedModelId, RunId};
use crate::store::{Entry, Manifest, Mode, StoreError, StoreHold, Writer};
use crate::track::{TrackError, Workspace};

/// The folder of a run or model that has what was uploaded.
const ARTIFACTS: &str = "artifacts";
/// Held by whoever uploads, shared, and alone by whoever makes outputs of it.
const LOCK: &str = "artifacts.lock";
/// The file that makes a folder a model of MLflow's.
const MODEL_FILE: &str = "MLmodel";
/// How long an upload may be in the making before it is litter.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);
/// How long nothing may be uploaded to a model that is not complete before its client is taken for gone.
const MODEL_PATIENCE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What files are uploaded to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// A run.
    Run(RunId),
    /// A logged model.
    Model(LoggedModelId),
}

/// A name in a folder of uploads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Uploaded {
    /// The path, from the root of the run's or model's files.
    pub path: String,
    /// The size of a file; none of a folder.
    pub size: Option<u64>,
}

/// Where the content of an uploaded file is.
#[derive(Debug)]
pub enum Content {
    /// In a file, as long as its run lives or its model is not complete.
    File(File, u64),
    /// In the store.
    Stored(Digest, u64),
}

/// What is uploaded to a run or a model.
#[derive(Debug, Clone)]
pub struct Uploads<'w> {
    workspace: &'w Workspace,
    owner: Owner,
    /// Who changes the record of what is no longer live.
    author: Identity,
}

impl<'w> Uploads<'w> {
    /// Those of `owner`.
    pub fn new(workspace: &'w Workspace, owner: Owner, author: Identity) -> Self {
        Self { workspace, owner, author }
    }

    /// The folder for drafts of uploads.
    pub fn drafts(workspace: &Workspace) -> Result<PathBuf, FileError> {
        let folder = workspace.store.root().join("uploads");
        files::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// Removes drafts that nobody has worked on for a day, and ends the models that nobody has for a week.
    pub fn sweep(workspace: &'w Workspace, author: &Identity) {
        Self::end_forgotten(workspace, author);
        let Ok(folder) = Self::drafts(workspace) else { return };
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let modified = entry.metadata().and_then(|metadata| metadata.modified()).ok();
            let age = modified.and_then(|time| SystemTime::now().duration_since(time).ok()).unwrap_or_default();
            if age > PATIENCE {
                // What cannot be removed now is found next time.
                let path = entry.path();
                let _ = if path.is_dir() { files::remove_dir_all(&path) } else { files::remove_file(&path) };
            }
        }
    }

    /// Takes models for failed whose client began to upload them and never came back. What it did upload becomes their
    /// artifact, since it is all there is of them.
    fn end_forgotten(workspace: &'w Workspace, author: &Identity) {
        for entry in fs::read_dir(live::live_root(workspace)).into_iter().flatten().flatten() {
            let Some(model_id) = entry.file_name().to_str().and_then(|name| name.parse::<LoggedModelId>().ok()) else {
                continue;
            };
            let times = WalkDir::new(entry.path()).into_iter().flatten();
            let newest = times.filter_map(|file| file.metadata().ok()?.modified().ok()).max();
            let age = newest.and_then(|time| SystemTime::now().duration_since(time).ok()).unwrap_or_default();
            if age > MODEL_PATIENCE {
                // What cannot be ended now is found next time.
                let _ =
                    Self::new(workspace, Owner::Model(model_id), author.clone()).complete(&model_id, &mut |model| {
                        if model.status == ModelStatus::Pending {
                            model.status = ModelStatus::Failed;
                        }
                    });
            }
        }
    }

    /// Puts a complete draft at `path`, in the place of a file that may be there. It is durable then.
    pub fn put(&self, path: &RelPath, draft: Draft) -> Result<(), RunError> {
        let folder = self.folder();
        match self.lock(&folder)? {
            Some(_lock) => {
                let root = folder.join(ARTIFACTS);
                check_length(&root, path).map_err(TrackError::from)?;
                let place = resolve_beneath(&root, path).map_err(TrackError::from)?;
                make_folders(&folder, place.parent().unwrap_or(&root))?;
                Ok(draft.publish(&place, false, Durability::Synced)?)
            }
            None => {
                let mut file = File::open(draft.path())
                    .map_err(|source| RunError::Read { path: draft.path().to_path_buf(), source })?;
                self.change_stored(path, &mut |writer, files| {
                    let (digest, size) = writer.add(&mut file, path.as_str())?;
                    files.insert(path.clone(), (size, digest));
                    Ok(())
                })
            }
        }
    }

    /// Removes a file, or a folder with all that is in it; whether there was anything.
    pub fn remove(&self, path: &RelPath) -> Result<bool, RunError> {
        let folder = self.folder();
        if let Some(_lock) = self.lock(&folder)? {
            let place = resolve_beneath(&folder.join(ARTIFACTS), path).map_err(TrackError::from)?;
            let Ok(metadata) = place.symlink_metadata() else { return Ok(false) };
            if metadata.is_dir() {
                files::remove_dir_all(&place)?
            } else {
                files::remove_file(&place)?
            }
            place.parent().map_or(Ok(()), files::sync_dir)?;
            return Ok(true);
        }
        let mut found = false;
        self.change_stored(path, &mut |_, files| {
            let before = files.len();
            files.retain(|known, _| !known.starts_with(path));
            found = files.len() < before;
            Ok(())
        })?;
        Ok(found)
    }

    /// What lies directly in a folder, sorted; nothing where there is no such folder. Of a file, the file itself.
    pub fn list(&self, path: Option<&RelPath>) -> Result<Vec<Uploaded>, RunError> {
        let mut found: BTreeMap<String, Option<u64>> = BTreeMap::new();
        let mut take = |file: &RelPath, size: u64| {
            let below = match path {
                None => Some(file.as_str()),
                Some(path) if path == file => {
                    found.insert(file.to_string(), Some(size));
                    None
                }
                Some(path) => file.as_str().strip_prefix(path.as_str()).and_then(|rest| rest.strip_prefix('/')),
            };
            let Some(below) = below else { return };
            let name = below.split('/').next().unwrap_or(below);
            let full = path.map_or(name.to_owned(), |path| format!("{path}/{name}"));
            let is_folder = name.len() < below.len();
            found.insert(full, (!is_folder).then_some(size));
        };
        for (file, (size, _)) in self.stored()? {
            take(&file, size);
        }
        for (file, size) in walk(&self.folder().join(ARTIFACTS)) {
            take(&file, size);
        }
        Ok(found.into_iter().map(|(path, size)| Uploaded { path, size }).collect())
    }

    /// The content of a file; none if there is no such file.
    pub fn open(&self, path: &RelPath) -> Result<Option<Content>, RunError> {
        let place = resolve_beneath(&self.folder().join(ARTIFACTS), path).map_err(TrackError::from)?;
        // What is recorded meanwhile is found in the store, which is looked at second.
        match File::open(&place).and_then(|file| Ok((file.metadata()?, file))) {
            Ok((metadata, file)) if metadata.is_file() => return Ok(Some(Content::File(file, metadata.len()))),
            Ok(_) => return Ok(None),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(source) => return Err(RunError::Read { path: place, source }),
        }
        Ok(self.stored()?.remove(path).map(|(size, digest)| Content::Stored(digest, size)))
    }

    /// Stores what is at `path`, or all of it, as an artifact; none if nothing is there.
    ///
    /// Until it is named somewhere, the caller holds the store.
    pub fn store(&self, path: Option<&RelPath>) -> Result<Option<ModelFiles>, RunError> {
        let mut files = self.stored()?;
        let root = self.folder().join(ARTIFACTS);
        let writer = self.workspace.store.writer().map_err(TrackError::from)?;
        files.extend(add_all(&writer, &root, walk(&root))?);
        let stored = store_files(&writer, path, &files)?;
        writer.finish().map_err(TrackError::from)?;
        Ok(stored)
    }

    /// Makes an artifact of the files of a model that is complete. Returns the model as it is recorded then.
    pub fn complete(
        &self,
        model_id: &LoggedModelId,
        change: &mut dyn FnMut(&mut LoggedModel),
    ) -> Result<Option<LoggedModel>, RunError> {
        let folder = self.folder();
        let _alone = match folder.is_dir() {
            true => Some(FileLock::exclusive(&folder.join(LOCK), Wait::Forever)?),
            false => None,
        };
        let _hold = self.workspace.store.hold().map_err(TrackError::from)?;
        let stored = self.store(None)?;
        let models = LoggedModels::new(self.workspace);
        let changed = models.change(model_id, "complete", &self.author, &mut |model| {
            model.files = stored.clone().or(model.files.take());
            change(model);
        })?;
        if folder.is_dir() {
            live::remove(&folder)?;
        }
        Ok(changed)
    }

    /// The folder of the run or the model while it is live.
    fn folder(&self) -> PathBuf {
        let name = match self.owner {
            Owner::Run(run_id) => run_id.to_string(),
            Owner::Model(model_id) => model_id.to_string(),
        };
        live::live_root(self.workspace).join(name)
    }

    /// Keeps what is live from being recorded; none if it has been.
    fn lock(&self, folder: &Path) -> Result<Option<FileLock>, RunError> {
        match self.owner {
            Owner::Run(run_id) => {
                if live::read_start(folder, &run_id)?.is_none() {
                    return Ok(None);
                }
                let lock = FileLock::shared(&folder.join(LOCK), Wait::Forever)?;
                // Whoever had it alone has recorded the run.
                Ok(live::read_start(folder, &run_id)?.map(|_| lock))
            }
            Owner::Model(model_id) => {
                let models = LoggedModels::new(self.workspace);
                let is_open = || -> Result<bool, RunError> {
                    Ok(models.get(&model_id)?.is_some_and(|model| model.status == ModelStatus::Pending))
                };
                if !is_open()? {
                    return Ok(None);
                }
                let root = live::live_root(self.workspace);
                files::create_dir_all(&root)?;
                make_folders(&root, folder)?;
                let lock = FileLock::shared(&folder.join(LOCK), Wait::Forever)?;
                Ok(is_open()?.then_some(lock))
            }
        }
    }

    /// The files that are in the store.
    fn stored(&self) -> Result<Files, RunError> {
        let mut files = Files::new();
        match self.owner {
            Owner::Run(run_id) => {
                let run = Runs::new(self.workspace).get(&run_id)?;
                for output in run.into_iter().flat_map(|run| run.outputs) {
                    if let Ok(name) = RelPath::new(output.name) {
                        self.read_manifest(&output.id, Some(&name), &mut files)?;
                    }
                }
            }
            Owner::Model(model_id) => {
                let model = LoggedModels::new(self.workspace).get(&model_id)?;
                if let Some(stored) = model.and_then(|model| model.files) {
                    self.read_manifest(&stored.id, None, &mut files)?;
                }
            }
        }
        Ok(files)
    }

    /// Adds the files of an artifact; none of one whose bytes are not here.
    fn read_manifest(&self, id: &ArtifactId, below: Option<&RelPath>, files: &mut Files) -> Result<(), RunError> {
        let manifest = match self.workspace.store.manifest(id) {
            Err(StoreError::Missing { .. }) => return Ok(()),
            manifest => manifest.map_err(TrackError::from)?,
        };
        for entry in manifest.entries().iter().filter(|entry| entry.mode != Mode::Symlink) {
            let path = match (below, &entry.path) {
                (Some(below), Some(path)) => below.join(path),
                (Some(name), None) => name.clone(),
                (None, Some(path)) => path.clone(),
                (None, None) => continue,
            };
            files.insert(path, (entry.size, entry.digest));
        }
        Ok(())
    }

    /// Changes the files of what has been recorded, in a change of its own.
    fn change_stored(&self, path: &RelPath, change: &mut ChangeFiles<'_>) -> Result<(), RunError> {
        let drafts = Self::drafts(self.workspace)?;
        // One at a time, so that none is lost.
        let _turn = FileLock::exclusive(&drafts.join("turn.lock"), Wait::Forever)?;
        let _hold = self.workspace.store.hold().map_err(TrackError::from)?;
        let mut files = self.stored()?;
        let before = files.clone();
        let writer = self.workspace.store.writer().map_err(TrackError::from)?;
        change(&writer, &mut files)?;
        if files == before {
            return Ok(());
        }
        match self.owner {
            Owner::Run(run_id) => {
                let top = path.as_str().split('/').next().unwrap_or_default().to_owned();
                let name = RelPath::new(top.clone()).map_err(TrackError::from)?;
                let is_model = files.keys().any(|file| file.as_str() == format!("{top}/{MODEL_FILE}"));
                let stored = store_files(&writer, Some(&name), &files)?;
                writer.finish().map_err(TrackError::from)?;
                let output = stored.map(|stored| output_of(&top, is_model, &stored));
                let run = Runs::new(self.workspace).amend(&run_id, &format!("upload {top}"), &mut |run| {
                    let place = run.outputs.iter().position(|known| known.name == top);
                    match (place, output.clone()) {
                        (Some(place), Some(output)) => run.outputs[place] = output,
                        (None, Some(output)) => run.outputs.push(output),
                        (Some(place), None) => drop(run.outputs.remove(place)),
                        (None, None) => {}
                    }
                });
                run.map(drop)
            }
            Owner::Model(model_id) => {
                let stored = store_files(&writer, None, &files)?;
                writer.finish().map_err(TrackError::from)?;
                let models = LoggedModels::new(self.workspace);
                let model =
                    models.change(&model_id, "upload", &self.author, &mut |model| model.files.clone_from(&stored))?;
                model.map(drop).ok_or_else(|| RunError::NotFound { wanted: model_id.to_string() })
            }
        }
    }
}

/// Files by their paths: size and digest.
type Files = BTreeMap<RelPath, (u64, Digest)>;

/// Changes files, adding to the store what is new.
type ChangeFiles<'c> = dyn FnMut(&Writer<'_>, &mut Files) -> Result<(), TrackError> + 'c;

/// Adds an output to a run, live or recorded, under another name where its own is that of another artifact already;
/// false if there is no such run.
pub fn add_output(workspace: &Workspace, run_id: &RunId, output: &RunOutput) -> Result<bool, RunError> {
    let runs = Runs::new(workspace);
    let Some(run) = runs.get(run_id)? else { return Ok(false) };
    let mut output = output.clone();
    if run.outputs.iter().any(|known| known.id == output.id) {
        return Ok(true);
    }
    if name_fault(&output.name).is_some() || run.outputs.iter().any(|known| known.name == output.name) {
        let name: String = output.name.chars().filter(|c| !c.is_control()).take(50).collect();
        output.name = format!("{name}-{}", output.id.short());
    }
    if let Some(live) = ServedRun::open(workspace, run_id)?
        && live.add_output(&output)?
    {
        return Ok(true);
    }
    let subject = format!("output {}", output.name);
    runs.amend(run_id, &subject, &mut |run| run.outputs.push(output.clone()))?;
    Ok(true)
}

/// What [`keep`] holds until the run is recorded and its folder is gone.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) outputs: Vec<RunOutput>,
    _alone: FileLock,
    _hold: StoreHold,
}

/// Makes outputs of what was uploaded to a live run, one of each top-level name; none where nothing was.
pub(super) fn keep(workspace: &Workspace, folder: &Path) -> Result<Option<Kept>, RunError> {
    let root = folder.join(ARTIFACTS);
    if !root.is_dir() {
        return Ok(None);
    }
    let alone = FileLock::exclusive(&folder.join(LOCK), Wait::Forever)?;
    let hold = workspace.store.hold().map_err(TrackError::from)?;
    let writer = workspace.store.writer().map_err(TrackError::from)?;
    let files = add_all(&writer, &root, walk(&root))?;
    let tops: BTreeSet<&str> = files.keys().filter_map(|path| path.as_str().split('/').next()).collect();
    let mut outputs = Vec::new();
    for top in tops.into_iter().filter(|top| name_fault(top).is_none()) {
        let name = RelPath::new(top).map_err(TrackError::from)?;
        let is_model = files.keys().any(|file| file.as_str() == format!("{top}/{MODEL_FILE}"));
        outputs.extend(store_files(&writer, Some(&name), &files)?.map(|stored| output_of(top, is_model, &stored)));
    }
    writer.finish().map_err(TrackError::from)?;
    Ok(Some(Kept { outputs, _alone: alone, _hold: hold }))
}

fn output_of(name: &str, is_model: bool, stored: &ModelFiles) -> RunOutput {
    let artifact_type = if is_model { "model" } else { "artifact" };
    RunOutput {
        name: name.to_owned(),
        artifact_type: artifact_type.to_owned(),
        id: stored.id,
        files: stored.files,
        bytes: stored.bytes,
        path: None,
    }
}

/// Every plain file in a folder, with its size.
fn walk(root: &Path) -> Vec<(RelPath, u64)> {
    let entries = WalkDir::new(root).into_iter().filter_map(Result::ok);
    let files = entries.filter(|entry| entry.file_type().is_file());
    files
        .filter_map(|entry| {
            let path = entry.path().strip_prefix(root).ok()?.to_str()?;
            Some((RelPath::new(path).ok()?, entry.metadata().ok()?.len()))
        })
        .collect()
}

/// Adds files to the store.
fn add_all(writer: &Writer<'_>, root: &Path, files: Vec<(RelPath, u64)>) -> Result<Files, RunError> {
    let add = |(path, _): (RelPath, u64)| {
        let place = path.under(root);
        let mut file = File::open(&place).map_err(|source| RunError::Read { path: place.clone(), source })?;
        let (digest, size) = writer.add(&mut file, &place.display().to_string()).map_err(TrackError::from)?;
        Ok((path, (size, digest)))
    };
    files.into_par_iter().map(add).collect()
}

/// Adds the manifest of the files at and below `path`; none if there are none.
fn store_files(writer: &Writer<'_>, path: Option<&RelPath>, files: &Files) -> Result<Option<ModelFiles>, RunError> {
    let entry = |(file, (size, digest)): (&RelPath, &(u64, Digest))| {
        let inner = match path {
            None => Some(file.clone()),
            Some(path) if path == file => None,
            Some(path) => {
                let below = file.as_str().strip_prefix(path.as_str())?.strip_prefix('/')?;
                Some(RelPath::new(below).ok()?)
            }
        };
        Some(Entry { path: inner, mode: Mode::File, size: *size, digest: *digest })
    };
    let entries: Vec<Entry> = files.iter().filter_map(entry).collect();
    if entries.is_empty() {
        return Ok(None);
    }
    let manifest = Manifest::new(entries).map_err(TrackError::from)?;
    let id = writer.add_manifest(&manifest).map_err(TrackError::from)?;
    Ok(Some(ModelFiles { id, files: manifest.entries().len() as u64, bytes: manifest.total_size() }))
}

/// Creates a folder and what is missing above it, so that it survives a power cut; `top` is there.
fn make_folders(top: &Path, folder: &Path) -> Result<(), FileError> {
    if folder == top || folder.is_dir() {
        return Ok(());
    }
    let Some(parent) = folder.parent() else { return Ok(()) };
    make_folders(top, parent)?;
    files::ensure_dir(folder)?;
    files::sync_dir(parent)
}
