//! What a command wrote to stdout and stderr, kept up to a bound: its beginning and its end.
//!
//! `log.txt` holds the beginning. What follows goes to `log-1.txt`, `log-2.txt` and so on, of which only the last few
//! stay, so that the disk is bounded while the command runs and a kill loses nothing that a bound would have kept.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::files::{self, Appender, FileError};

/// The file's name, in a live run's folder and in the record.
pub(super) const LOG: &str = "log.txt";

/// Sizes, which tests make small.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Bytes of the beginning.
    head: u64,
    /// Bytes of a piece after it.
    piece: u64,
    /// Pieces that stay, the one being written included.
    pieces: u64,
}

/// At most 16 MiB are recorded: the first 8 and the last 8.
pub(super) const BOUNDS: Bounds = Bounds { head: 8 << 20, piece: 4 << 20, pieces: 3 };

/// A log that is being written.
#[derive(Debug)]
pub(super) struct LogText {
    folder: PathBuf,
    bounds: Bounds,
    /// 0 is the beginning.
    piece: u64,
    length: u64,
    file: Appender,
}

impl LogText {
    /// Starts the log in a live run's folder.
    pub(super) fn start(folder: &Path, bounds: Bounds) -> Result<Self, FileError> {
        let file = Appender::open(&piece_path(folder, 0))?;
        Ok(Self { folder: folder.to_path_buf(), bounds, piece: 0, length: 0, file })
    }

    /// Adds bytes.
    pub(super) fn append(&mut self, mut bytes: &[u8]) -> Result<(), FileError> {
        while !bytes.is_empty() {
            let bound = if self.piece == 0 { self.bounds.head } else { self.bounds.piece };
            if self.length >= bound {
                self.next_piece()?;
                continue;
            }
            let room = usize::try_from(bound - self.length).unwrap_or(usize::MAX);
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.file.append(now)?;
            self.length += now.len() as u64;
            bytes = later;
        }
        Ok(())
    }

    fn next_piece(&mut self) -> Result<(), FileError> {
        self.file = Appender::open(&piece_path(&self.folder, self.piece + 1))?;
        self.piece += 1;
        self.length = 0;
        match self.piece.checked_sub(self.bounds.pieces) {
            Some(old) if old > 0 => files::remove_file(&piece_path(&self.folder, old)),
            _ => Ok(()),
        }
    }
}

fn piece_path(folder: &Path, piece: u64) -> PathBuf {
    match piece {
        0 => folder.join(LOG),
        _ => folder.join(format!("log-{piece}.txt")),
    }
}

/// The log in a live run's folder; where it was cut, a line says so.
pub(super) fn read(folder: &Path, bounds: Bounds) -> std::io::Result<Vec<u8>> {
    let mut text = read_end(&piece_path(folder, 0), u64::MAX)?.unwrap_or_default();
    let pieces = pieces(folder)?;
    let (Some(first), Some(last)) = (pieces.first(), pieces.last()) else {
        return Ok(text);
    };
    let mut end = Vec::new();
    for piece in &pieces {
        end.extend(read_end(&piece_path(folder, *piece), u64::MAX)?.unwrap_or_default());
    }
    let kept = usize::try_from(bounds.piece * (bounds.pieces - 1)).unwrap_or(usize::MAX);
    let cut = end.len().saturating_sub(kept);
    let missing = (first - 1) * bounds.piece + cut as u64;
    debug_assert!(last >= first);
    if missing > 0 {
        text.extend_from_slice(format!("\n[git-ml: {missing} bytes are cut out here]\n").as_bytes());
    }
    text.extend_from_slice(&end[cut..]);
    Ok(text)
}

/// The files of the log in a live run's folder, in order, each with the place where it begins in all that was written.
pub(super) fn files(folder: &Path, bounds: Bounds) -> std::io::Result<Vec<(u64, PathBuf)>> {
    let start = |piece: u64| if piece == 0 { 0 } else { bounds.head + (piece - 1) * bounds.piece };
    Ok(std::iter::once(0).chain(pieces(folder)?).map(|piece| (start(piece), piece_path(folder, piece))).collect())
}

/// The last `limit` bytes of the log in a live run's folder.
pub(super) fn tail(folder: &Path, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut parts = Vec::new();
    let mut wanted = limit;
    for piece in pieces(folder)?.into_iter().rev().chain([0]) {
        if wanted == 0 {
            break;
        }
        let part = read_end(&piece_path(folder, piece), wanted)?.unwrap_or_default();
        wanted -= part.len() as u64;
        parts.push(part);
    }
    parts.reverse();
    Ok(parts.concat())
}

/// The numbers of the pieces after the beginning, in order.
fn pieces(folder: &Path) -> std::io::Result<Vec<u64>> {
    let number = |name: &str| name.strip_prefix("log-")?.strip_suffix(".txt")?.parse::<u64>().ok();
    let mut pieces = Vec::new();
    for entry in fs::read_dir(folder)? {
        pieces.extend(entry?.file_name().to_str().and_then(number));
    }
    pieces.sort_unstable();
    Ok(pieces)
}

/// The last `limit` bytes of a file; none if there is none.
fn read_end(path: &Path, limit: u64) -> std::io::Result<Option<Vec<u8>>> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(limit)))?;
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

#[cfg(test)]
impl Bounds {
    /// Bounds that a few words go beyond.
    pub(super) const SMALL: Self = Self { head: 10, piece: 4, pieces: 3 };
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Bounds = Bounds::SMALL;

    fn written(text: &str, step: usize) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let mut log = LogText::start(folder.path(), SMALL).unwrap();
        text.as_bytes().chunks(step).for_each(|chunk| log.append(chunk).unwrap());
        folder
    }

    fn text_of(folder: &tempfile::TempDir) -> String {
        String::from_utf8(read(folder.path(), SMALL).unwrap()).unwrap()
    }

    #[test]
    fn a_short_log_is_kept_whole() {
        for text in ["", "short", "0123456789", "0123456789abcdefgh"] {
            assert_eq!(text_of(&written(text, 3)), text);
        }
    }

    #[test]
    fn a_long_log_keeps_its_ends_and_says_what_is_missing() {
        let text = "0123456789abcdefghijklmnopqrstuvwxyz";
        for step in [1, 7, 100] {
            let folder = written(text, step);
            assert_eq!(text_of(&folder), "0123456789\n[git-ml: 18 bytes are cut out here]\nstuvwxyz", "{step}");
            assert!(fs::read_dir(folder.path()).unwrap().count() <= 4);
        }
    }

    #[test]
    fn the_tail_spans_pieces() {
        let folder = written("0123456789abcdefgh", 5);
        assert_eq!(tail(folder.path(), 6).unwrap(), b"cdefgh");
        assert_eq!(tail(folder.path(), 100).unwrap(), b"0123456789abcdefgh");
    }
}
