//! Following what a command writes for other tools: TensorBoard's event files and CSV logs, in folders that were named.
//!
//! What is new in them goes into the run's event log, with the steps and times that it has there. What the files held
//! before the run began is not the run's.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::RunError;
use super::event::OwnLine;
use super::live::{note_soon, now};
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
/// Lines that are added to the event log at once.
const LINES: usize = 1000;

/// What a followed folder holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    TensorBoard,
    Csv,
}

/// Follows the files of a run.
#[derive(Debug)]
pub(super) struct Followers {
    live: PathBuf,
    roots: Vec<(Kind, PathBuf)>,
    /// How long the files were that were there before the run.
    before: BTreeMap<PathBuf, u64>,
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
        let mut followers = Self {
            live: live.to_path_buf(),
            roots,
            before: BTreeMap::new(),
            files: BTreeMap::new(),
            first_folder: None,
            warnings: Vec::new(),
        };
        followers.before = followers.found().into_iter().map(|(_, _, path, length)| (path, length)).collect();
        followers
    }

    /// The files in the folders: kind, followed folder, path and length.
    fn found(&self) -> Vec<(Kind, PathBuf, PathBuf, u64)> {
        let mut found = Vec::new();
        for (kind, root) in &self.roots {
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
            let before = self.before.get(&path).copied().unwrap_or(0);
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

    fn take_events(&mut self, file: &mut Followed, root: &Path, path: &Path, before: u64) -> Result<(), String> {
        let mut source = File::open(path).map_err(|error| error.to_string())?;
        let length = source.metadata().map_err(|error| error.to_string())?.len();
        if length < file.events.fed() {
            // Another file of that name.
            file.events = EventFile::new();
            self.before.remove(path);
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
            self.note_events(std::mem::take(&mut scalars), root, path)?;
        }
        Ok(())
    }

    fn note_events(&mut self, logged: Vec<Logged>, root: &Path, path: &Path) -> Result<(), String> {
        let mut lines = Vec::new();
        for logged in logged {
            match logged {
                Logged::Scalar(scalar) => {
                    let name = self.name(root, path, scalar.tag);
                    let metrics = vec![(name, scalar.value.into())];
                    let (step, time) = (Some(scalar.step), Some(scalar.time));
                    lines.push(OwnLine { step, time, metrics, ..OwnLine::default() });
                }
                Logged::Params { params, .. } => {
                    let params = params.into_iter().collect();
                    lines.push(OwnLine { time: Some(now()), params, ..OwnLine::default() });
                }
                // The run's own end is what counts.
                Logged::End { .. } => {}
            }
        }
        self.note(&lines)
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
        let time = Some(now());
        let new = rows.split_off(file.rows.min(rows.len()));
        file.rows += new.len();
        let line = |row: crate::formats::csv_log::Row| OwnLine {
            step: Some(row.step),
            time,
            metrics: row.values.into_iter().map(|(name, value)| (name, value.into())).collect(),
            ..OwnLine::default()
        };
        if let Some(words) = log.losses().words() {
            self.warn(format!("of {} {words}", path.display()));
        }
        self.note(&new.into_iter().map(line).collect::<Vec<_>>())
    }

    fn note(&self, lines: &[OwnLine]) -> Result<(), String> {
        let noted: Result<(), RunError> = lines.chunks(LINES).try_for_each(|lines| note_soon(&self.live, lines));
        noted.map_err(|error| error.to_string())
    }
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
}
