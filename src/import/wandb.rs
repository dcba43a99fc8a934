//! Runs of W&B that were logged offline: a file `run-<id>.wandb` each, with the files that were saved beside it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::Value;

use crate::formats::wandb::{Entry, RunFile, RunInfo, apply};
use crate::run::{Point, RunStatus};
use crate::track::{Progress, Workspace};

use super::ImportError;
use super::runs::{ImportedRuns, Recorder, RunImportOptions, SourceRun, artifacts_in, derived_id};
use super::tensorboard::feed;

/// What this import is called, in records and in ids.
const ORIGIN: &str = "wandb";
/// What W&B itself saves, and says in the log too.
const OWN_FILES: [&str; 7] = [
    "config.yaml",
    "output.log",
    "requirements.txt",
    "wandb-metadata.json",
    "wandb-summary.json",
    "conda-environment.yaml",
    "diff.patch",
];
/// Bytes of a command's output that are kept.
const MAX_LOG: usize = 8 << 20;

/// Imports the runs below a folder, or the one in a file.
pub(super) fn import(
    workspace: &Workspace,
    source: &Path,
    options: &RunImportOptions,
    progress: &dyn Progress,
) -> Result<ImportedRuns, ImportError> {
    std::fs::metadata(source).map_err(|error| ImportError::Read { path: source.to_path_buf(), source: error })?;
    let mut recorder = Recorder::new(workspace, ORIGIN, options, progress)?;
    let files = run_files(source, &mut recorder);
    if files.is_empty() {
        let problem = "it has no files that end in .wandb";
        return Err(ImportError::Unknown { path: source.to_path_buf(), tool: "W&B", problem });
    }
    let bytes = files.iter().filter_map(|file| Some(std::fs::metadata(file).ok()?.len())).sum();
    progress.start("importing runs", Some(bytes));
    for file in files {
        if let Some(run) = read(source, &file, &mut recorder, progress) {
            recorder.take(run)?;
        }
    }
    recorder.finish()
}

fn run_files(source: &Path, recorder: &mut Recorder<'_>) -> Vec<PathBuf> {
    let mut files = Vec::new();
    // `latest-run` is a link to one of the folders, and links are not followed.
    for entry in walkdir::WalkDir::new(source).sort_by_file_name() {
        match entry {
            Ok(entry) if entry.file_type().is_file() => {
                if entry.depth() == 0 || entry.path().extension().is_some_and(|suffix| suffix == "wandb") {
                    files.push(entry.into_path());
                }
            }
            Ok(_) => {}
            Err(error) => {
                let place = error.path().unwrap_or(source).display().to_string();
                recorder.leave_out(place, "it cannot be read");
            }
        }
    }
    files
}

/// What a file says, as it is read.
#[derive(Debug, Default)]
struct Reading {
    info: RunInfo,
    params: BTreeMap<String, String>,
    summary: BTreeMap<String, f64>,
    environment: BTreeMap<String, String>,
    last_step: i64,
    last_time: Option<Timestamp>,
    log: Vec<u8>,
    exit_code: Option<i32>,
}

/// The run of a file; none where it does not even say which.
fn read(source: &Path, file: &Path, recorder: &mut Recorder<'_>, progress: &dyn Progress) -> Option<SourceRun> {
    let mut run = SourceRun::new(derived_id(ORIGIN, &[], Timestamp::UNIX_EPOCH), Timestamp::UNIX_EPOCH);
    let mut reading = Reading::default();
    let mut run_file = RunFile::new();
    let result = feed(file, progress, &mut |bytes| run_file.feed(bytes, &mut |entry| reading.take(entry, &mut run)));
    let shown = file.strip_prefix(source).ok().filter(|path| !path.as_os_str().is_empty()).unwrap_or(file);
    if let Err(error) = result {
        recorder.leave_out(shown.display().to_string(), error.to_string());
    }
    if let Some(words) = run_file.losses().words() {
        recorder.leave_out(shown.display().to_string(), words);
    }
    if reading.info.id.is_empty() {
        recorder.leave_out(shown.display().to_string(), "it does not say which run it is of");
        return None;
    }
    reading.complete(&mut run);
    if let Some(folder) = file.parent() {
        run.artifacts = artifacts_in(&folder.join("files"), &OWN_FILES);
    }
    Some(run)
}

impl Reading {
    fn take(&mut self, entry: Entry, run: &mut SourceRun) {
        match entry {
            Entry::Run(info) => {
                apply(info.config.clone(), &mut self.params);
                // Later records of a run say again what it is, and a resumed one may start later.
                let started = self.info.started.or(info.started);
                self.info = RunInfo { started, ..*info };
            }
            Entry::Config(changes) => apply(changes, &mut self.params),
            Entry::History { step, time, values } => {
                self.last_step = step.unwrap_or(self.last_step.saturating_add(1));
                self.last_time = time.or(self.last_time);
                let time = self.last_time.or(self.info.started).unwrap_or_default();
                for (name, value) in values {
                    self.summary.remove(&name);
                    run.add_point(&name, Point { step: self.last_step, time, value });
                }
            }
            Entry::Summary(changes) => {
                for (path, value) in changes.set {
                    let name = path.join(".");
                    match value {
                        _ if name.starts_with('_') => {}
                        Value::Number(number) => {
                            self.summary.extend(number.as_f64().map(|number| (name, number)));
                        }
                        _ => drop(self.summary.remove(&name)),
                    }
                }
                for path in changes.removed {
                    self.summary.remove(&path.join("."));
                }
            }
            Entry::Output { text, .. } => {
                let room = MAX_LOG.saturating_sub(self.log.len());
                self.log.extend(text.bytes().take(room));
            }
            Entry::Stats { time, values } => {
                self.last_time = time.max(self.last_time);
                let time = time.or(self.info.started).unwrap_or_default();
                for (name, value) in values {
                    let name = format!("system.{name}");
                    let step = run.series.get(&name).map_or(0, |points| points.len() as i64);
                    run.add_point(&name, Point { step, time, value });
                }
            }
            Entry::Environment(facts) => {
                self.environment.extend(facts.into_iter().map(|(name, value)| (name.to_owned(), value)));
            }
            Entry::Files(_) => {}
            Entry::Exit { code } => self.exit_code = Some(code),
        }
    }

    fn complete(self, source: &mut SourceRun) {
        let Self { info, params, summary, mut environment, last_step, last_time, log, exit_code } = self;
        let started = info.started.unwrap_or_default();
        source.log = log;
        // What only the summary has is a value of the end.
        for (name, value) in summary {
            if !source.series.contains_key(&name) {
                source.add_point(&name, Point { step: last_step, time: last_time.unwrap_or(started), value });
            }
        }
        let run = &mut source.run;
        run.id = derived_id(ORIGIN, &[info.project.as_bytes(), info.id.as_bytes()], started);
        run.name = if info.name.is_empty() { info.id.clone() } else { info.name };
        run.started = started;
        run.ended = last_time.map(|time| time.max(started));
        run.exit_code = exit_code;
        run.status = match exit_code {
            Some(0) => RunStatus::Finished,
            Some(_) => RunStatus::Failed,
            None => RunStatus::Crashed,
        };
        run.experiment = (!info.project.is_empty()).then(|| info.project.clone());
        run.note = (!info.notes.is_empty()).then_some(info.notes);
        run.params = params;
        run.user = environment.remove("user").unwrap_or_default();
        run.host = environment.remove("host").unwrap_or(info.host);
        run.command = environment.remove("program").into_iter().collect();
        run.environment = environment;
        let (remote, commit) = info.git.unwrap_or_default();
        let facts = [
            ("wandb.id", info.id),
            ("wandb.entity", info.entity),
            ("wandb.group", info.group),
            ("wandb.job_type", info.job_type),
            ("wandb.sweep", info.sweep),
            ("wandb.git.remote", remote),
            ("wandb.git.commit", commit),
        ];
        let own = info.tags.into_iter().map(|tag| (tag, "true".to_owned()));
        let facts = facts.into_iter().map(|(name, value)| (name.to_owned(), value));
        run.tags = own.chain(facts).filter(|(name, value)| !name.is_empty() && !value.is_empty()).collect();
    }
}
