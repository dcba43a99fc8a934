//! Following what a command writes for other tools: TensorBoard's event files and CSV logs, in folders that were named.
//!
//! What is new in them goes into the run's event log, with the steps and times that it has there. What the files held
//! before the run began is not the run's.
//!
//! Which folders are followed stands in the live folder before the command starts, and each line of the event log that
//! has something of a file says how far that was taken. So when the wrapper is killed, whoever recovers the run takes
//! the rest, and nothing twice.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use walkdir::WalkDir;

use super::collect::Collector;
use super::event::{Note, OwnLine, Taken, name_fault, value_fault};
use super::live::{note_soon, now};
use super::{Point, RunChange, RunError};
use crate::files::{self, Durability};
use crate::formats::csv_log::CsvLog;
use crate::formats::tensorboard::{EventFile, Logged};

/// Files that are followed; in a folder with more, the rest is left out.
const MAX_FILES: usize = 1000;
/// Folders below a followed one that are looked into.
const MAX_DEPTH: usize = 6;
/// Bytes of an event file that are read at once.
const PIECE: usize = 1 << 20;
/// Bytes that a CSV log may have.
const MAX_CSV: u64 = 256 << 20;
/// Values of a CSV log that a line of the event log has, unless one row has more.
const VALUES: usize = 20_000;
/// In a live run's folder: what is followed.
const FOLLOWED: &str = "followed.json";

/// What a followed folder holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    TensorBoard,
    Csv,
}

/// What is known when the command starts.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Plan {
    roots: Vec<(Kind, PathBuf)>,
    /// How long the files were that were there before the run.
    before: BTreeMap<PathBuf, u64>,
}

/// Follows the files of a run.
#[derive(Debug)]
pub(super) struct Followers {
    live: PathBuf,
    plan: Plan,
    files: BTreeMap<PathBuf, Followed>,
    /// The folder whose event files came first: their tags are names of metrics as they are.
    first_folder: Option<PathBuf>,
    warnings: Vec<String>,
}

/// A file that has changed since the run began.
#[derive(Debug, Default)]
struct Followed {
    /// Its length when it was last read.
    length: u64,
    events: EventFile,
    /// Rows of a CSV log that were taken.
    rows: usize,
}

impl Followers {
    /// Looks at the folders before the command starts.
    pub(super) fn new(live: &Path, tensorboard: &[PathBuf], csv_logs: &[PathBuf]) -> Self {
        let roots = tensorboard.iter().map(|place| (Kind::TensorBoard, place.clone()));
        let roots: Vec<_> = roots.chain(csv_logs.iter().map(|place| (Kind::Csv, place.clone()))).collect();
        let mut followers = Self::with(live, Plan { roots, ..Plan::default() });
        if followers.plan.roots.is_empty() {
            return followers;
        }
        followers.plan.before = followers.found().into_iter().map(|(_, _, path, length)| (path, length)).collect();
        if let Err(problem) = followers.keep_plan() {
            followers.warn(format!("what is followed would be lost with a kill: {problem}"));
        }
        followers
    }

    fn with(live: &Path, plan: Plan) -> Self {
        let (files, warnings) = (BTreeMap::new(), Vec::new());
        Self { live: live.to_path_buf(), plan, files, first_folder: None, warnings }
    }

    fn keep_plan(&self) -> Result<(), String> {
        let plan = serde_json::to_vec(&self.plan).map_err(|error| error.to_string())?;
        files::publish(&self.live.join(FOLLOWED), &plan, Durability::Buffered).map_err(|error| error.to_string())
    }

    /// The followers of a run whose wrapper was killed, as far as they had come; none where it followed nothing, or to
    /// the end.
    fn resumed(live: &Path) -> Result<Option<Self>, RunError> {
        let Some(plan) = std::fs::read(live.join(FOLLOWED)).ok().and_then(|plan| serde_json::from_slice(&plan).ok())
        else {
            return Ok(None);
        };
        let mut log = Collector::short(live);
        log.advance(&mut |_| ())?;
        let content = log.content();
        if content.end.is_some() {
            return Ok(None);
        }
        let mut followers = Self::with(live, plan);
        followers.first_folder = content.first_events.as_ref().and_then(|path| Some(Path::new(path).parent()?.into()));
        for (path, taken) in &content.taken {
            let path = PathBuf::from(path);
            let mut file = Followed::default();
            match taken {
                Taken::Bytes(bytes) => drop(followers.plan.before.insert(path.clone(), *bytes)),
                Taken::Rows(rows) => file.rows = *rows,
            }
            followers.files.insert(path, file);
        }
        Ok(Some(followers))
    }

    /// The files in the folders: kind, followed folder, path and length.
    fn found(&self) -> Vec<(Kind, PathBuf, PathBuf, u64)> {
        let mut found = Vec::new();
        for (kind, root) in &self.plan.roots {
            let walk = WalkDir::new(root).max_depth(MAX_DEPTH).sort_by_file_name().into_iter().flatten();
            let files = walk.filter(|entry| {
                let name = entry.file_name().to_string_lossy();
                entry.file_type().is_file()
                    && match kind {
                        Kind::TensorBoard => name.contains("tfevents"),
                        Kind::Csv => name.ends_with(".csv") || entry.depth() == 0,
                    }
            });
            for file in files.take(MAX_FILES) {
                let length = file.metadata().map_or(0, |metadata| metadata.len());
                found.push((*kind, root.clone(), file.into_path(), length));
            }
        }
        found
    }

    /// Takes what was added; at the end of the run also a last line without a newline.
    pub(super) fn advance(&mut self, is_last: bool) {
        for (kind, root, path, length) in self.found() {
            let before = self.plan.before.get(&path).copied().unwrap_or(0);
            let known = self.files.get(&path).map(|file| file.length);
            let is_new = known.unwrap_or(before) != length;
            // The last line of a log that did not change since may be taken now.
            let has_more = is_last && kind == Kind::Csv && known.is_some();
            if !is_new && !has_more {
                continue;
            }
            let mut file = self.files.remove(&path).unwrap_or_default();
            let taken = match kind {
                Kind::TensorBoard => self.take_events(&mut file, &root, &path, before),
                Kind::Csv => self.take_rows(&mut file, &path, length, before, is_last),
            };
            if let Err(problem) = taken {
                self.warn(format!("{} is not followed: {problem}", path.display()));
            }
            file.length = length;
            self.files.insert(path, file);
        }
    }

    /// Lines for people, once the run has ended.
    pub(super) fn into_warnings(mut self) -> Vec<String> {
        for (path, file) in &self.files {
            if let Some(words) = file.events.losses().words() {
                self.warnings.push(format!("of {} {words}", path.display()));
            }
        }
        self.warnings
    }

    fn warn(&mut self, warning: String) {
        if !self.warnings.contains(&warning) && self.warnings.len() < 5 {
            self.warnings.push(warning);
        }
    }

    /// The name of a metric: the tag, after the folder where files in another folder came first.
    fn name(&mut self, root: &Path, path: &Path, tag: String) -> String {
        let folder = path.parent().unwrap_or(path);
        let first = self.first_folder.get_or_insert_with(|| folder.to_path_buf());
        match folder.strip_prefix(root) {
            Ok(below) if *first != folder && !below.as_os_str().is_empty() => format!("{}/{tag}", below.display()),
            _ => tag,
        }
    }

    fn take_events(&mut self, file: &mut Followed, root: &Path, path: &Path, mut before: u64) -> Result<(), String> {
        let mut source = File::open(path).map_err(|error| error.to_string())?;
        let length = source.metadata().map_err(|error| error.to_string())?.len();
        if length < file.events.fed().max(before) {
            // Another file of that name.
            file.events = EventFile::new();
            self.plan.before.remove(path);
            before = 0;
        }
        let mut scalars = Vec::new();
        source.seek(SeekFrom::Start(file.events.fed())).map_err(|error| error.to_string())?;
        let mut piece = vec![0; PIECE];
        loop {
            let start = file.events.fed();
            // What was there before is read for what it says about tags, and ends with a piece.
            let room = if start < before { usize::try_from(before - start).unwrap_or(PIECE).min(PIECE) } else { PIECE };
            let count = match source.read(&mut piece[..room]) {
                Ok(0) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                count => count.map_err(|error| error.to_string())?,
            };
            file.events.feed(&piece[..count], &mut |logged| {
                if start >= before {
                    scalars.push(logged);
                }
            });
            self.note_events(std::mem::take(&mut scalars), root, path, file.events.fed())?;
        }
        Ok(())
    }

    fn note_events(&mut self, logged: Vec<Logged>, root: &Path, path: &Path, fed: u64) -> Result<(), String> {
        let mut change = RunChange::default();
        for logged in logged {
            match logged {
                Logged::Scalar(scalar) => {
                    let point = Point { step: scalar.step, time: scalar.time, value: scalar.value };
                    change.add_point(&self.name(root, path, scalar.tag), point);
                }
                Logged::Params { params, .. } => change.params.extend(params),
                // The run's own end is what counts.
                Logged::End { .. } => {}
            }
        }
        self.note(change, now(), path, Taken::Bytes(fed))
    }

    /// Takes the rows that a CSV log did not have when it was last read. It is read as a whole: Lightning writes it anew
    /// when a column is added.
    fn take_rows(
        &mut self,
        file: &mut Followed,
        path: &Path,
        length: u64,
        before: u64,
        is_last: bool,
    ) -> Result<(), String> {
        if length > MAX_CSV {
            return Err("it is larger than 256 MiB".to_owned());
        }
        let mut bytes = Vec::new();
        let source = File::open(path).map_err(|error| error.to_string())?;
        source.take(MAX_CSV).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        let old = usize::try_from(before).ok().filter(|old| *old <= bytes.len()).unwrap_or(0);
        let (mut log, mut rows) = (CsvLog::new(), Vec::new());
        log.feed(&bytes[..old], &mut |_| ());
        log.feed(&bytes[old..], &mut |row| rows.push(row));
        if is_last {
            log.finish(&mut |row| rows.push(row));
        }
        if let Some(words) = log.losses().words() {
            self.warn(format!("of {} {words}", path.display()));
        }
        let (time, mut change, mut values) = (now(), RunChange::default(), 0);
        for row in rows.split_off(file.rows.min(rows.len())) {
            values += row.values.len();
            for (name, value) in row.values {
                change.add_point(&name, Point { step: row.step, time, value });
            }
            file.rows += 1;
            if values >= VALUES {
                self.note(std::mem::take(&mut change), time, path, Taken::Rows(file.rows))?;
                values = 0;
            }
        }
        self.note(change, time, path, Taken::Rows(file.rows))
    }

    /// Adds a line with what a file says, and how far it was taken: both are in the log then, or neither is.
    fn note(&mut self, mut change: RunChange, time: Timestamp, path: &Path, taken: Taken) -> Result<(), String> {
        let mut faults = Vec::new();
        let mut is_usable = |fault: Option<&'static str>| fault.inspect(|fault| faults.push(*fault)).is_none();
        change.points.retain(|(name, _)| is_usable(name_fault(name)));
        change.params.retain(|(name, value)| is_usable(name_fault(name).or_else(|| value_fault(value))));
        for fault in faults {
            self.warn(format!("something in {} {fault}, and is left out", path.display()));
        }
        if change == RunChange::default() {
            return Ok(());
        }
        let taken = Some((path.to_string_lossy().into_owned(), taken));
        let note = Note { change: Some(Box::new(change)), taken, ..Note::default() };
        let line = OwnLine { time: Some(time), git_ml: Some(note), ..OwnLine::default() };
        note_soon(&self.live, &[line]).map_err(|error| error.to_string())
    }
}

/// Takes what the files of a run have that its wrapper, which was killed, had not taken yet.
pub(super) fn recover(live: &Path) -> Result<(), RunError> {
    let Some(mut followers) = Followers::resumed(live)? else { return Ok(()) };
    followers.advance(true);
    Ok(())
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests write the files that other tools would")]
mod tests {
    use super::super::collect::{Collector, Content};
    use super::*;
    use crate::formats::tfrecord::framed;
    use std::fs;
    use std::io::Write;

    /// An event with a scalar, as PyTorch writes it.
    fn event(tag: &str, step: u8, value: f32) -> Vec<u8> {
        let field = |number: u8, bytes: &[u8]| [&[number << 3 | 2, bytes.len() as u8], bytes].concat();
        let scalar = [field(1, tag.as_bytes()), vec![2 << 3 | 5], value.to_le_bytes().to_vec()].concat();
        let time = 1_763_712_000.25_f64.to_le_bytes();
        framed(&[&[1 << 3 | 1][..], &time, &[2 << 3, step], &field(5, &field(1, &scalar))].concat())
    }

    fn add(path: &Path, bytes: &[u8]) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(bytes).unwrap();
    }

    fn collected(live: &Path) -> Content {
        Collector::new(live).finish(&mut |_| ()).unwrap()
    }

    #[test]
    fn event_files_are_followed_from_where_they_stood() {
        let folder = tempfile::tempdir().unwrap();
        let (live, runs) = (folder.path().join("live"), folder.path().join("runs"));
        fs::create_dir(&live).unwrap();
        add(&runs.join("old/events.out.tfevents.1"), &event("old", 1, 1.0));
        let mut followers = Followers::new(&live, std::slice::from_ref(&runs), &[]);
        followers.advance(false);
        let (train, validation) =
            (runs.join("train/events.out.tfevents.2"), runs.join("validation/events.out.tfevents.3"));
        let second = event("loss", 2, 0.25);
        add(&train, &[event("loss", 1, 0.5), second[..9].to_vec()].concat());
        followers.advance(false);
        let mut damaged = event("loss", 3, 0.125);
        let last = damaged.len() - 6;
        damaged[last] ^= 1;
        add(&train, &[second[9..].to_vec(), damaged, event("loss", 4, 1.0)].concat());
        add(&validation, &event("loss", 1, 0.75));
        add(&runs.join("old/events.out.tfevents.1"), &event("old", 2, 2.0));
        followers.advance(true);
        let content = collected(&live);
        let steps = |name: &str| content.series()[name].iter().map(|point| point.step).collect::<Vec<_>>();
        assert_eq!(steps("loss"), [1, 2, 4]);
        assert_eq!(content.series()["loss"][0].time.to_string(), "2025-11-21T08:00:00.25Z");
        assert_eq!((steps("validation/loss"), steps("old/old")), (vec![1], vec![2]));
        let warnings = followers.into_warnings();
        assert!(warnings.len() == 1 && warnings[0].contains("1 record is damaged"), "{warnings:?}");
    }

    #[test]
    fn rows_of_a_csv_log_are_taken_once_also_when_it_is_written_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (live, place) = (folder.path().join("live"), folder.path().join("logs/metrics.csv"));
        fs::create_dir(&live).unwrap();
        add(&place, b"epoch,loss\n0,9\n");
        let mut followers = Followers::new(&live, &[], &[folder.path().join("logs")]);
        fs::write(&place, "epoch,loss\n0,0.5\n1,0.25\n2,0.1").unwrap();
        followers.advance(false);
        fs::write(&place, "epoch,loss,accuracy\n0,0.5,\n1,0.25,\n2,0.125,0.75\n3,0.0625,0.875").unwrap();
        followers.advance(false);
        followers.advance(true);
        let content = collected(&live);
        let points =
            |name: &str| content.series()[name].iter().map(|point| (point.step, point.value)).collect::<Vec<_>>();
        assert_eq!(points("loss")[points("loss").len() - 2..], [(2, 0.125), (3, 0.0625)]);
        assert_eq!(points("accuracy"), [(2, 0.75), (3, 0.875)]);
    }

    /// The wrapper is killed once some of it was taken: what comes after is taken by whoever recovers the run, and what
    /// was taken is not taken again.
    #[test]
    fn what_was_not_taken_yet_is_taken_once_when_the_run_is_recovered() {
        let folder = tempfile::tempdir().unwrap();
        let (live, runs, logs) = (folder.path().join("live"), folder.path().join("runs"), folder.path().join("logs"));
        fs::create_dir(&live).unwrap();
        let (old, first, second) =
            (runs.join("old/events.tfevents.0"), runs.join("a/x.tfevents.1"), runs.join("b/y.tfevents.2"));
        add(&old, &event("old", 1, 1.0));
        add(&logs.join("old.csv"), b"epoch,acc\n0,9\n");
        let half = event("loss", 2, 0.25);
        let mut followers = Followers::new(&live, std::slice::from_ref(&runs), std::slice::from_ref(&logs));
        add(&first, &[event("loss", 1, 0.5), half[..9].to_vec()].concat());
        add(&logs.join("old.csv"), b"1,8\n2,");
        followers.advance(false);
        drop(followers);
        add(&first, &half[9..]);
        add(&old, &event("old", 2, 2.0));
        add(&second, &event("loss", 1, 0.75));
        add(&logs.join("old.csv"), b"7\n3,6");
        add(&logs.join("new.csv"), b"epoch,new\n0,1\n");
        for _ in 0..2 {
            recover(&live).unwrap();
            let content = collected(&live);
            let steps = |name: &str| content.series()[name].iter().map(|point| point.step).collect::<Vec<_>>();
            assert_eq!((steps("loss"), steps("old/old"), steps("b/loss")), (vec![1, 2], vec![2], vec![1]));
            assert_eq!((steps("acc"), steps("new")), (vec![1, 2, 3], vec![0]));
        }
    }
}
