//! Walking an artifact's place in the work tree: what is there, without reading any content.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rayon::prelude::*;
use rustix::fs::{AtFlags, FileType, Mode as Permissions, OFlags};
use walkdir::WalkDir;

use crate::files::{Draft, RelPath};
use crate::store::Mode;

use super::pointer::POINTER_SUFFIX;
use super::{TrackError, Untrackable};

/// What the system says of a file without reading it: if none of it changed, the content did not either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    /// Bytes of content; of a link, of its target's text.
    pub(super) size: u64,
    /// When the content was changed, in nanoseconds since 1970.
    pub(super) modified: i64,
    /// When anything about the file was changed, in nanoseconds since 1970. Programs cannot set it back.
    pub(super) changed: i64,
    /// The inode's number.
    pub(super) inode: u64,
}

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// Something an artifact can hold.
    Content(Mode),
    /// A pipe, socket or device.
    Special(&'static str),
    /// The `.git` of another repository.
    Repository,
}

/// A file that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// The path in the artifact, with `/` between names; empty for an artifact that is a single file.
    pub(super) path: OsString,
    /// What it is.
    pub(super) what: What,
    /// What the system says of it.
    pub(super) stat: Stat,
}

/// All that stands at an artifact's place.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Whether the place is a folder.
    pub(super) is_folder: bool,
    /// The files, sorted by path as bytes.
    pub(super) files: Vec<Found>,
    /// The folders below the place, sorted.
    pub(super) folders: Vec<OsString>,
    /// Drafts that a killed process left; they are no part of the artifact.
    pub(super) drafts: Vec<OsString>,
}

impl Stat {
    /// The stat of an open file.
    pub(super) fn of(file: &fs::File) -> io::Result<(Self, What)> {
        Ok(from_system(&rustix::fs::fstat(file)?))
    }
}

/// Looks at `place`, not following links; none if there is nothing.
pub(super) fn scan(place: &Path) -> Result<Option<Scan>, TrackError> {
    let fail = |path: &Path, source: io::Error| TrackError::Read { path: path.to_path_buf(), source };
    let (stat, what) = match rustix::fs::lstat(place) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Directory => {
            return scan_folder(place).map(Some);
        }
        Ok(stat) => from_system(&stat),
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Ok(None),
        Err(error) => return Err(fail(place, error.into())),
    };
    let file = Found { path: OsString::new(), what, stat };
    Ok(Some(Scan { files: vec![file], ..Scan::default() }))
}

fn scan_folder(place: &Path) -> Result<Scan, TrackError> {
    let fail = |path: &Path, source: io::Error| TrackError::Read { path: path.to_path_buf(), source };
    let handle = rustix::fs::open(place, OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Permissions::empty())
        .map_err(|error| fail(place, error.into()))?;
    let mut scan = Scan { is_folder: true, ..Scan::default() };
    let mut paths = Vec::new();
    let mut walk = WalkDir::new(place).min_depth(1).into_iter();
    while let Some(entry) = walk.next() {
        let entry = match entry {
            Ok(entry) => entry,
            // A folder that went away while we looked is a folder that is not there.
            Err(error) if error.io_error().is_some_and(|error| error.kind() == io::ErrorKind::NotFound) => continue,
            Err(error) => {
                let path = error.path().unwrap_or(place).to_path_buf();
                let source = error.into_io_error().unwrap_or_else(|| io::Error::other("the folders form a loop"));
                return Err(TrackError::Read { path, source });
            }
        };
        let path = entry.path().strip_prefix(place).unwrap_or(entry.path()).as_os_str().to_owned();
        let is_folder = entry.file_type().is_dir();
        if entry.file_name() == OsStr::new(".git") {
            if is_folder {
                walk.skip_current_dir();
            }
            paths.push(path);
        } else if is_folder {
            scan.folders.push(path);
        } else if entry.file_name().as_bytes().starts_with(Draft::PREFIX.as_bytes()) {
            scan.drafts.push(path);
        } else {
            paths.push(path);
        }
    }
    let files: Result<Vec<Option<Found>>, TrackError> = paths
        .into_par_iter()
        .with_min_len(256)
        .map(|path| match rustix::fs::statat(&handle, &path, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => {
                let (stat, mut what) = from_system(&stat);
                if Path::new(&path).file_name() == Some(OsStr::new(".git")) {
                    what = What::Repository;
                }
                Ok(Some(Found { path, what, stat }))
            }
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(error) => Err(fail(&place.join(&path), error.into())),
        })
        .collect();
    scan.files = files?.into_iter().flatten().collect();
    scan.files.par_sort_unstable_by(|left, right| left.path.cmp(&right.path));
    scan.folders.sort_unstable();
    Ok(scan)
}

#[allow(clippy::unnecessary_cast, clippy::useless_conversion, reason = "the fields have other types on other systems")]
fn from_system(stat: &rustix::fs::Stat) -> (Stat, What) {
    let nanoseconds = |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
    let what = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile if stat.st_mode & 0o100 != 0 => What::Content(Mode::Executable),
        FileType::RegularFile => What::Content(Mode::File),
        FileType::Symlink => What::Content(Mode::Symlink),
        FileType::Fifo => What::Special("named pipe"),
        FileType::Socket => What::Special("socket"),
        FileType::Directory => What::Special("folder"),
        _ => What::Special("device"),
    };
    let stat = Stat {
        size: u64::try_from(stat.st_size).unwrap_or(0),
        modified: nanoseconds(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
        changed: nanoseconds(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
        inode: stat.st_ino as u64,
    };
    (stat, what)
}

impl Found {
    /// The path for people.
    pub(super) fn shown(&self) -> String {
        self.path.to_string_lossy().into_owned()
    }

    /// How the file is made; none for what an artifact cannot hold.
    pub(super) fn mode(&self) -> Option<Mode> {
        match self.what {
            What::Content(mode) => Some(mode),
            What::Special(_) | What::Repository => None,
        }
    }
}

impl Scan {
    /// Whether all of it can be an artifact; `place` is for errors.
    pub(super) fn check(&self, place: &Path) -> Result<(), TrackError> {
        let refuse = |reason| Err(TrackError::NotTrackable { path: place.to_path_buf(), reason });
        if self.files.is_empty() {
            return refuse(Untrackable::EmptyFolder);
        }
        for found in &self.files {
            let inner = found.shown();
            match found.what {
                What::Special(kind) if !self.is_folder => return refuse(Untrackable::Special { kind }),
                What::Special(kind) => return refuse(Untrackable::HoldsSpecial { inner, kind }),
                What::Repository => return refuse(Untrackable::HoldsRepository { inner }),
                What::Content(Mode::Symlink) if !self.is_folder => return refuse(Untrackable::Link),
                What::Content(_) if !self.is_folder => {}
                What::Content(_) => {
                    let Some(path) = found.path.to_str() else {
                        let name = format!("{:?}", found.path);
                        return refuse(Untrackable::NotUtf8 { name });
                    };
                    RelPath::new(path)?;
                    if path.ends_with(POINTER_SUFFIX) {
                        return refuse(Untrackable::HoldsPointer { inner });
                    }
                }
            }
        }
        Ok(())
    }
}

/// Where a file of an artifact is, given the artifact's place.
pub(super) fn place_of(root: &Path, path: &OsStr) -> std::path::PathBuf {
    if path.is_empty() { root.to_path_buf() } else { root.join(path) }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn paths(scan: &Scan) -> Vec<String> {
        scan.files.iter().map(Found::shown).collect()
    }

    #[test]
    fn files_are_sorted_by_their_paths_as_bytes_and_links_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in ["a/b", "a.txt", "a", "z/deep/x"] {
            let _ = fs::create_dir_all(root.join(name).parent().unwrap());
            let _ = fs::write(root.join(name), "1");
        }
        fs::create_dir_all(root.join("empty")).unwrap();
        fs::write(root.join("run.sh"), "1").unwrap();
        fs::set_permissions(root.join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::symlink("/", root.join("link")).unwrap();
        fs::write(root.join(".tmp-git-ml-1"), "left over").unwrap();
        let scan = scan(root).unwrap().unwrap();
        assert_eq!(paths(&scan), ["a.txt", "a/b", "link", "run.sh", "z/deep/x"]);
        let modes: Vec<_> = scan.files.iter().filter_map(Found::mode).collect();
        assert_eq!(modes, [Mode::File, Mode::File, Mode::Symlink, Mode::Executable, Mode::File]);
        assert_eq!(scan.drafts, [".tmp-git-ml-1"]);
        assert!(scan.folders.contains(&OsString::from("empty")));
        assert!(scan.check(root).is_ok());
    }

    #[test]
    fn what_cannot_be_kept_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let reason = |root: &Path| match scan(root).unwrap().unwrap().check(root) {
            Err(TrackError::NotTrackable { reason, .. }) => reason.to_string(),
            other => format!("{other:?}"),
        };
        assert_eq!(reason(root), "it is an empty folder");
        let pipe = root.join("a/pipe");
        fs::create_dir(root.join("a")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, FileType::Fifo, Permissions::RUSR, 0).unwrap();
        assert_eq!(reason(root), "a/pipe in it is a named pipe");
        assert_eq!(reason(&pipe), "it is a named pipe");
        fs::remove_file(&pipe).unwrap();
        fs::write(root.join(OsStr::from_bytes(b"a/\xff")), "1").unwrap();
        assert_eq!(reason(root), "the name \"a/\\xFF\" is not UTF-8");
        fs::remove_file(root.join(OsStr::from_bytes(b"a/\xff"))).unwrap();
        fs::create_dir_all(root.join("a/.git/objects")).unwrap();
        assert_eq!(reason(root), "it holds another git repository, a/.git");
        fs::remove_dir_all(root.join("a/.git")).unwrap();
        fs::write(root.join("a/x.mlref"), "1").unwrap();
        assert_eq!(reason(root), "it holds the pointer a/x.mlref");
        assert!(scan(&root.join("nothing")).unwrap().is_none());
    }
}
