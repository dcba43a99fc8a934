//! Event files of TensorBoard's. A folder that has some is a run, as TensorBoard itself has it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::formats::tensorboard::{EventFile, Logged};
use crate::run::{Point, RunStatus};
use crate::track::{Progress, Workspace};

use super::ImportError;
use super::runs::{ImportedRuns, Recorder, RunImportOptions, SourceRun, derived_id};

/// What this import is called, in records and in ids.
const ORIGIN: &str = "tensorboard";
/// Bytes that are read at once.
const PIECE: usize = 1 << 20;
/// Bytes of a file that say whose it is: its first record, which has the time and never changes.
const FIRST: usize = 40;

/// Imports each folder with event files.
pub(super) fn import(
    workspace: &Workspace,
    source: &Path,
    options: &RunImportOptions,
    progress: &dyn Progress,
) -> Result<ImportedRuns, ImportError> {
    std::fs::metadata(source).map_err(|error| ImportError::Read { path: source.to_path_buf(), source: error })?;
    let mut recorder = Recorder::new(workspace, ORIGIN, options, progress)?;
    let folders = folders_with_events(source, &mut recorder);
    if folders.is_empty() {
        let problem = "it has no event files";
        return Err(ImportError::Unknown { path: source.to_path_buf(), tool: "TensorBoard", problem });
    }
    let bytes = folders.values().flatten().filter_map(|file| Some(std::fs::metadata(file).ok()?.len())).sum();
    progress.start("importing event files", Some(bytes));
    for (folder, files) in folders {
        if let Some(run) = read(source, &folder, &files, &mut recorder, progress) {
            recorder.take(run)?;
        }
    }
    recorder.finish()
}

/// The event files by the folders that they are in. Their names begin with the time, so they come in its order.
fn folders_with_events(source: &Path, recorder: &mut Recorder<'_>) -> BTreeMap<PathBuf, Vec<PathBuf>> {
    let mut folders: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    for entry in walkdir::WalkDir::new(source).sort_by_file_name() {
        match entry {
            Ok(entry) if entry.file_type().is_file() => {
                let is_events = entry.file_name().to_string_lossy().contains("tfevents");
                if is_events || entry.depth() == 0 {
                    let folder = entry.path().parent().unwrap_or(Path::new("")).to_path_buf();
                    folders.entry(folder).or_default().push(entry.into_path());
                }
            }
            Ok(_) => {}
            Err(error) => {
                let place = error.path().unwrap_or(source).display().to_string();
                recorder.leave_out(place, "it cannot be read");
            }
        }
    }
    folders
}

/// One run, out of all event files of a folder; none where they have nothing of a run.
fn read(
    source: &Path,
    folder: &Path,
    files: &[PathBuf],
    recorder: &mut Recorder<'_>,
    progress: &dyn Progress,
) -> Option<SourceRun> {
    // The id is known when the first file is read.
    let mut run = SourceRun::new(derived_id(ORIGIN, &[], Timestamp::UNIX_EPOCH), Timestamp::UNIX_EPOCH);
    let mut identity = None;
    let (mut first, mut last): (Option<Timestamp>, Option<Timestamp>) = (None, None);
    let (mut started, mut ended, mut success) = (None, None, None);
    let mut left_out: BTreeMap<String, u64> = BTreeMap::new();
    for file in files {
        let mut events = EventFile::new();
        let mut head = Vec::new();
        let result = feed(file, progress, &mut |bytes| {
            head.extend(bytes.iter().take(FIRST - head.len().min(FIRST)));
            events.feed(bytes, &mut |logged| match logged {
                Logged::Scalar(scalar) => {
                    first = Some(first.map_or(scalar.time, |time| time.min(scalar.time)));
                    last = Some(last.map_or(scalar.time, |time| time.max(scalar.time)));
                    run.add_point(&scalar.tag, Point { step: scalar.step, time: scalar.time, value: scalar.value });
                }
                Logged::Params { params, started: time } => {
                    run.run.params.extend(params);
                    started = time.or(started);
                }
                Logged::End { success: how, ended: time } => {
                    success = how.or(success);
                    ended = time.or(ended);
                }
            });
        });
        let shown = file.strip_prefix(source).ok().filter(|path| !path.as_os_str().is_empty()).unwrap_or(file);
        if let Err(error) = result {
            recorder.leave_out(shown.display().to_string(), error.to_string());
        }
        if let Some(words) = events.losses().words() {
            recorder.leave_out(shown.display().to_string(), words);
        }
        for (plugin, count) in events.left_out() {
            *left_out.entry(plugin.clone()).or_default() += count;
        }
        if identity.is_none() && head.len() >= FIRST {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            identity = Some((name, head));
        }
    }
    let name = name_of_folder(source, folder);
    for (plugin, count) in left_out {
        recorder.leave_out(name.clone(), format!("{count} that are no scalars: {plugin}"));
    }
    let (file, head) = identity?;
    let start = started.or(first)?;
    run.run.started = start;
    // Parts of the beginning of a file that no later line of it changes; the time in the id is that of the file.
    run.run.id = derived_id(ORIGIN, &[file.as_bytes(), &head], time_of_file(&head).unwrap_or(start));
    run.run.ended = ended.or(last).map(|end| end.max(start));
    run.run.status = if success == Some(false) { RunStatus::Failed } else { RunStatus::Finished };
    run.run.name = name;
    Some(run)
}

/// When a file was begun: the wall time of its first record, which is the first field of it.
fn time_of_file(head: &[u8]) -> Option<Timestamp> {
    let seconds = head.get(12..).filter(|record| record.first() == Some(&0x09))?.get(1..9)?;
    let seconds = f64::from_le_bytes(seconds.try_into().ok()?);
    (seconds > 0.0).then(|| crate::formats::moment(seconds))
}

/// A run is called as its folder below the one that was named, or as that.
fn name_of_folder(source: &Path, folder: &Path) -> String {
    let below = folder.strip_prefix(source).map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
    if !below.is_empty() {
        return below;
    }
    let whole = std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf());
    whole.file_name().map_or_else(|| ORIGIN.to_owned(), |name| name.to_string_lossy().into_owned())
}

/// Gives out a file's bytes, piece by piece.
pub(super) fn feed(file: &Path, progress: &dyn Progress, take: &mut dyn FnMut(&[u8])) -> std::io::Result<()> {
    let mut file = File::open(file)?;
    let mut piece = vec![0; PIECE];
    loop {
        let count = file.read(&mut piece)?;
        if count == 0 {
            return Ok(());
        }
        take(&piece[..count]);
        progress.advance(count as u64);
    }
}
