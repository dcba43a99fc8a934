//! Reading files of the work tree that other programs may be writing.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use rustix::fs::{Mode as Permissions, OFlags};

use crate::files::fill;
use crate::id::Digest;
use crate::store::Mode;

use super::TrackError;
use super::scan::{Found, Stat, What, place_of};
use super::section::{KnownFile, now};

/// Bytes that are hashed at once.
const BUFFER: usize = 4 * 1024 * 1024;

/// What was read of a file, and how the file stood while it was read.
#[derive(Debug)]
pub(super) struct Steady<T> {
    pub(super) value: T,
    pub(super) mode: Mode,
    pub(super) stat: Stat,
    pub(super) checked_at: i64,
}

/// Reads a file of an artifact with `read`, which gets the content and its size, and returns how much it has read.
///
/// A file that changes meanwhile is read once more; one that goes on changing is an error.
pub(super) fn read_steadily<T>(
    place: &Path,
    found: &Found,
    mut read: impl FnMut(&mut dyn Read, u64) -> Result<(T, u64), TrackError>,
) -> Result<Steady<T>, TrackError> {
    let place = place_of(place, &found.path);
    let fail = |source: io::Error| TrackError::Read { path: place.clone(), source };
    if found.what == What::Content(Mode::Symlink) {
        let checked_at = now();
        let target = std::fs::read_link(&place).map_err(fail)?.into_os_string().into_vec();
        let (value, _) = read(&mut target.as_slice(), target.len() as u64)?;
        return Ok(Steady { value, mode: Mode::Symlink, stat: found.stat, checked_at });
    }
    for _ in 0..2 {
        let checked_at = now();
        let mut file = open(&place).map_err(fail)?;
        let (before, what) = Stat::of(&file).map_err(fail)?;
        let What::Content(mode) = what else {
            return Err(TrackError::Changed { path: place });
        };
        // A log that grows as fast as it is read would never end.
        let (value, length) = read(&mut (&mut file).take(before.size.saturating_add(1)), before.size)?;
        let (after, _) = Stat::of(&file).map_err(fail)?;
        if before == after && length == before.size {
            return Ok(Steady { value, mode, stat: after, checked_at });
        }
    }
    Err(TrackError::Changed { path: place })
}

/// Opens a file without following a link and without waiting for the other end of a pipe.
fn open(place: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::open(place, flags, Permissions::empty())?))
}

/// The digest of a file's content, with the file as it stood.
pub(super) fn hash(place: &Path, found: &Found) -> Result<KnownFile, TrackError> {
    let steady = read_steadily(place, found, |input, size| {
        let mut hasher = blake3::Hasher::new();
        let mut buffer = vec![0; BUFFER.min(usize::try_from(size).unwrap_or(BUFFER).max(1))];
        let mut length = 0;
        loop {
            match fill(input, &mut buffer).map_err(|source| read_error(place, found, source))? {
                0 => return Ok((Digest::from_bytes(*hasher.finalize().as_bytes()), length)),
                count => {
                    hasher.update_rayon(&buffer[..count]);
                    length += count as u64;
                }
            }
        }
    })?;
    Ok(steady.known(found, steady.value))
}

impl<T> Steady<T> {
    /// What is known of the file now that its digest is.
    pub(super) fn known(&self, found: &Found, digest: Digest) -> KnownFile {
        // Whoever keeps what is known has checked that names are UTF-8; for others the path is for show.
        let path = found.shown();
        KnownFile { path, mode: self.mode, stat: self.stat, digest, checked_at: self.checked_at }
    }
}

fn read_error(place: &Path, found: &Found, source: io::Error) -> TrackError {
    TrackError::Read { path: place_of(place, &OsString::from(&found.path)), source }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::super::scan::scan;
    use super::*;
    use std::fs;

    #[test]
    fn a_file_that_keeps_changing_is_an_error_and_one_that_changed_once_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("log");
        fs::write(&place, "1").unwrap();
        let found = scan(&place, None).unwrap().unwrap().files.remove(0);
        let mut rounds = 0;
        let mut read_and_grow = |times: usize| {
            rounds = 0;
            read_steadily(&place, &found, |input, _| {
                let mut text = String::new();
                input.read_to_string(&mut text).unwrap();
                rounds += 1;
                if rounds <= times {
                    fs::write(&place, format!("{text}+")).unwrap();
                }
                Ok((text.clone(), text.len() as u64))
            })
        };
        assert!(matches!(read_and_grow(9), Err(TrackError::Changed { .. })));
        assert_eq!(read_and_grow(1).unwrap().value, "1+++");
    }

    #[test]
    fn digests_are_those_of_the_bytes_and_of_a_links_target() {
        let folder = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..10_000_000u32).map(|i| (i / 3) as u8).collect();
        fs::write(folder.path().join("big"), &bytes).unwrap();
        std::os::unix::fs::symlink("/nowhere", folder.path().join("link")).unwrap();
        let found = scan(folder.path(), None).unwrap().unwrap().files;
        let digests: Vec<Digest> = found.iter().map(|found| hash(folder.path(), found).unwrap().digest).collect();
        assert_eq!(digests, [Digest::of(&bytes), Digest::of(b"/nowhere")]);
    }
}
