//! Walking an artifact's place in the work tree: what is there, without reading any content.

use std::collections::HashSet;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use rayon::prelude::*;
use rustix::fs::{AtFlags, FileType, Mode as Permissions, OFlags};
use rustix::io::Errno;

use crate::files::{Draft, RelPath};
use crate::store::Mode;

use super::pointer::POINTER_SUFFIX;
use super::section::Section;
use super::{TrackError, Untrackable};

/// What the system says of a file without reading it: if none of it changed, the content did not either.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
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
    /// A folder.
    Folder,
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

/// All that stands at an artifact's place, told by what differs from what is known.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Whether the place is a folder.
    pub(super) is_folder: bool,
    /// The files that are not known, or not to be as they were; sorted by path as bytes.
    pub(super) files: Vec<Found>,
    /// The numbers of known files that are gone or not proved to be as they were, sorted.
    pub(super) stale: Vec<u32>,
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

    /// What stands at `place`, not following a link; none if there is nothing.
    pub(super) fn at(place: &Path) -> Result<Option<(Self, What)>, TrackError> {
        match rustix::fs::lstat(place) {
            Ok(stat) => Ok(Some(from_system(&stat))),
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => Ok(None),
            Err(error) => Err(TrackError::Read { path: place.to_path_buf(), source: error.into() }),
        }
    }
}

/// Looks at `place`, not following links; none if there is nothing. Files that stand as `section` knows them are left
/// out.
pub(super) fn scan(place: &Path, section: Option<&Section<'_>>) -> Result<Option<Scan>, TrackError> {
    let Some((stat, what)) = Stat::at(place)? else { return Ok(None) };
    if what == What::Folder {
        return Walk { place, handle: open_folder(place)?, section }.run().map(Some);
    }
    let mut scan = Scan::default();
    let single = section.filter(|section| section.cursor().path() == Some(""));
    if !single.is_some_and(|section| section.describes(0, &stat, what)) {
        scan.files.push(Found { path: OsString::new(), what, stat });
        scan.stale.extend(single.map(|_| 0));
    }
    if single.is_none() {
        scan.stale.extend(0..section.map_or(0, |section| section.len() as u32));
    }
    Ok(Some(scan))
}

fn open_folder(place: &Path) -> Result<OwnedFd, TrackError> {
    rustix::fs::open(place, FOLDER, Permissions::empty())
        .map_err(|error| TrackError::Read { path: place.to_path_buf(), source: error.into() })
}

/// How folders are opened.
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Files of one folder that one thread looks at before it lets others take some.
const PORTION: usize = 512;

/// A walk over the folders at a place, by all processors.
struct Walk<'a> {
    place: &'a Path,
    handle: OwnedFd,
    section: Option<&'a Section<'a>>,
}

/// What was found right in one folder.
#[derive(Default)]
struct Visit {
    files: Vec<Found>,
    stale: Vec<u32>,
    /// Known files that were looked for.
    asked: usize,
    folders: Vec<OsString>,
    drafts: Vec<OsString>,
}

/// The names in a folder, as the system lists them.
#[derive(Default)]
struct Listing {
    names: Vec<u8>,
    /// Where each name of a file ends in `names`, with its NUL.
    ends: Vec<usize>,
    sum: NameSum,
    folders: Vec<CString>,
    drafts: Vec<CString>,
}

impl Listing {
    fn names(&self) -> impl Iterator<Item = &CStr> {
        let starts = std::iter::once(&0).chain(&self.ends);
        starts.zip(&self.ends).filter_map(|(start, end)| CStr::from_bytes_with_nul(&self.names[*start..*end]).ok())
    }
}

impl Walk<'_> {
    fn run(self) -> Result<Scan, TrackError> {
        let mut scan = Scan { is_folder: true, ..Scan::default() };
        let mut level = vec![OsString::new()];
        let mut asked = 0;
        let mut visited: HashSet<OsString> = HashSet::new();
        while !level.is_empty() {
            let visits: Result<Vec<_>, TrackError> = level.par_iter().map(|folder| self.visit(folder)).collect();
            for (folder, visit) in std::mem::take(&mut level).into_iter().zip(visits?) {
                let Some(mut visit) = visit else { continue };
                visited.insert(folder);
                scan.files.append(&mut visit.files);
                scan.stale.append(&mut visit.stale);
                scan.drafts.append(&mut visit.drafts);
                asked += visit.asked;
                level.append(&mut visit.folders);
            }
            scan.folders.extend(level.iter().cloned());
        }
        if let Some(section) = self.section.filter(|section| section.len() > asked) {
            scan.stale.extend(section.files_outside(|folder| visited.contains(OsStr::new(folder))));
        }
        scan.files.par_sort_unstable_by(|left, right| left.path.cmp(&right.path));
        scan.stale.sort_unstable();
        scan.folders.sort_unstable();
        scan.drafts.sort_unstable();
        Ok(scan)
    }

    /// Looks at what is right in `folder`; none if it is gone.
    ///
    /// Known files are asked for by their names. Where these are all that the folder has, as their sum tells, names
    /// need not be compared one by one.
    fn visit(&self, folder: &OsStr) -> Result<Option<Visit>, TrackError> {
        let fail = |error: Errno| TrackError::Read { path: place_of(self.place, folder), source: error.into() };
        let name = if folder.is_empty() { OsStr::new(".") } else { folder };
        let handle = match rustix::fs::openat(&self.handle, name, FOLDER, Permissions::empty()) {
            // A folder that went away while we looked is a folder that is not there.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
            handle => handle.map_err(fail)?,
        };
        let listing = self.list(&handle).map_err(fail)?;
        let known = self.section.map_or(Vec::new(), |section| section.files_in(folder.as_bytes()));
        let mut visit = Visit { asked: known.len(), ..Visit::default() };
        let below = |name: &CStr| below(folder, name);
        visit.folders.extend(listing.folders.iter().map(|name| below(name)));
        visit.drafts.extend(listing.drafts.iter().map(|name| below(name)));
        let mut names = NameSum::default();
        known.iter().for_each(|(_, name)| names.add(name));
        let mut differing = Vec::new();
        if let Some(section) = self.section {
            let stats = in_portions(&known, |(number, name)| {
                let stat = self.stat(&handle, folder, name)?;
                let same = stat.is_some_and(|(stat, what)| section.describes(*number, &stat, what));
                Ok(if same { None } else { Some((*number, *name, stat)) })
            });
            differing = stats?;
        }
        for (number, name, stat) in differing {
            visit.stale.push(number);
            match stat {
                // What is a folder now is listed as one.
                Some((_, What::Folder)) | None => names.remove(name),
                Some((stat, what)) => visit.files.push(Found { path: below(name), what, stat }),
            }
        }
        if listing.sum != names {
            let names: HashSet<&CStr> = known.iter().map(|(_, name)| *name).collect();
            let new: Vec<&CStr> = listing.names().filter(|name| !names.contains(name)).collect();
            visit.files.append(&mut in_portions(&new, |name| {
                let found = self.stat(&handle, folder, name)?.filter(|(_, what)| *what != What::Folder);
                Ok(found.map(|(stat, what)| Found { path: below(name), what, stat }))
            })?);
        }
        Ok(Some(visit))
    }

    /// The names in a folder.
    fn list(&self, handle: &OwnedFd) -> rustix::io::Result<Listing> {
        let mut listing = Listing::default();
        for entry in rustix::fs::Dir::read_from(handle)? {
            let entry = entry?;
            let name = entry.file_name();
            match name.to_bytes() {
                b"." | b".." => continue,
                bytes if bytes.starts_with(Draft::PREFIX.as_bytes()) => listing.drafts.push(name.to_owned()),
                // It need not be a folder, and its inside is nothing of ours.
                b".git" => listing.push(name),
                _ => match entry.file_type() {
                    FileType::Directory => listing.folders.push(name.to_owned()),
                    FileType::Unknown => match rustix::fs::statat(handle, name, AtFlags::SYMLINK_NOFOLLOW) {
                        Ok(stat) if from_system(&stat).1 == What::Folder => listing.folders.push(name.to_owned()),
                        Ok(_) => listing.push(name),
                        Err(Errno::NOENT) => {}
                        Err(error) => return Err(error),
                    },
                    _ => listing.push(name),
                },
            }
        }
        Ok(listing)
    }

    fn stat(&self, handle: &OwnedFd, folder: &OsStr, name: &CStr) -> Result<Option<(Stat, What)>, TrackError> {
        match rustix::fs::statat(handle, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) if name.to_bytes() == b".git" => Ok(Some((Stat::default(), What::Repository))),
            Ok(stat) => Ok(Some(from_system(&stat))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => {
                Err(TrackError::Read { path: place_of(self.place, &below(folder, name)), source: error.into() })
            }
        }
    }
}

impl Listing {
    fn push(&mut self, name: &CStr) {
        self.names.extend_from_slice(name.to_bytes_with_nul());
        self.ends.push(self.names.len());
        self.sum.add(name);
    }
}

/// The sum of a set of names: the same for the same names in any order, and another for others.
#[derive(Debug, Default, PartialEq, Eq)]
struct NameSum(u64);

impl NameSum {
    fn add(&mut self, name: &CStr) {
        self.0 = self.0.wrapping_add(Self::of(name));
    }

    fn remove(&mut self, name: &CStr) {
        self.0 = self.0.wrapping_sub(Self::of(name));
    }

    fn of(name: &CStr) -> u64 {
        let mut hasher = DefaultHasher::new();
        hasher.write(name.to_bytes());
        hasher.finish()
    }
}

/// The path of what has `name` in `folder`.
fn below(folder: &OsStr, name: &CStr) -> OsString {
    let mut path = folder.as_bytes().to_vec();
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(name.to_bytes());
    OsString::from_vec(path)
}

/// What `look` makes of each of `items`, in their order; large numbers are shared out.
fn in_portions<T: Sync, R: Send>(
    items: &[T],
    look: impl Fn(&T) -> Result<Option<R>, TrackError> + Sync,
) -> Result<Vec<R>, TrackError> {
    if items.len() <= PORTION {
        return items.iter().filter_map(|item| look(item).transpose()).collect();
    }
    items.par_iter().with_min_len(PORTION).filter_map(|item| look(item).transpose()).collect()
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
        FileType::Directory => What::Folder,
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
            What::Folder | What::Special(_) | What::Repository => None,
        }
    }
}

impl Scan {
    /// That of a place where there is nothing.
    pub(super) fn of_nothing(section: Option<&Section<'_>>) -> Self {
        Self { stale: (0..section.map_or(0, |section| section.len() as u32)).collect(), ..Self::default() }
    }

    /// Whether what stands there is exactly what is known.
    pub(super) fn is_as_known(&self) -> bool {
        self.files.is_empty() && self.stale.is_empty()
    }

    /// Takes known files, by their numbers, for such as are not known.
    pub(super) fn doubt(&mut self, section: &Section<'_>, numbers: &[u32]) {
        if numbers.is_empty() {
            return;
        }
        let mut cursor = section.cursor();
        for number in numbers {
            let path = OsString::from(cursor.advance_to(*number));
            let what = What::Content(section.mode(*number));
            self.files.push(Found { path, what, stat: section.stat(*number) });
        }
        self.stale.extend(numbers);
        self.stale.sort_unstable();
        self.files.sort_unstable_by(|left, right| left.path.cmp(&right.path));
    }

    /// Whether all of it can be an artifact; `place` is for errors.
    pub(super) fn check(&self, place: &Path) -> Result<(), TrackError> {
        let refuse = |reason| Err(TrackError::NotTrackable { path: place.to_path_buf(), reason });
        if self.files.is_empty() {
            return refuse(Untrackable::EmptyFolder);
        }
        for found in &self.files {
            let inner = found.shown();
            match found.what {
                // It became one just now.
                What::Folder => {}
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
    use super::super::section::{Builder, KnownFile};
    use super::*;
    use crate::id::{ArtifactId, Digest};
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
        let scan = scan(root, None).unwrap().unwrap();
        assert_eq!(paths(&scan), ["a.txt", "a/b", "link", "run.sh", "z/deep/x"]);
        let modes: Vec<_> = scan.files.iter().filter_map(Found::mode).collect();
        assert_eq!(modes, [Mode::File, Mode::File, Mode::Symlink, Mode::Executable, Mode::File]);
        assert_eq!(scan.drafts, [".tmp-git-ml-1"]);
        assert!(scan.folders.contains(&OsString::from("empty")));
        assert!(scan.check(root).is_ok());
    }

    /// What is known of all files that stand at `root`, by a clock that has ticked since.
    fn known_files(root: &Path) -> Vec<KnownFile> {
        let files = scan(root, None).unwrap().unwrap().files;
        let known = |found: Found| KnownFile {
            path: found.shown(),
            mode: found.mode().unwrap(),
            stat: found.stat,
            digest: Digest::of(b""),
            checked_at: i64::MAX,
        };
        files.into_iter().map(known).collect()
    }

    #[test]
    fn what_is_known_is_left_out_and_every_change_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let names = ["a", "b", "b-c", "d/e", "d/f", "g/h/i", "j/k", "l"];
        for name in names {
            fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
            fs::write(root.join(name), "1").unwrap();
        }
        let body = Builder::merge(None, &[], &known_files(root));
        let section = Section::parse(ArtifactId::from_bytes([1; 32]), &body).unwrap();
        let look = || scan(root, Some(&section)).unwrap().unwrap();
        assert!(look().is_as_known());
        assert_eq!(look().folders, ["d", "g", "g/h", "j"]);

        fs::write(root.join("a"), "22").unwrap();
        fs::remove_file(root.join("b")).unwrap();
        fs::write(root.join("b0"), "in its place").unwrap();
        fs::remove_file(root.join("d/e")).unwrap();
        fs::create_dir(root.join("d/e")).unwrap();
        fs::write(root.join("d/e/new"), "1").unwrap();
        fs::set_permissions(root.join("d/f"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::remove_dir_all(root.join("g")).unwrap();
        fs::rename(root.join("j"), root.join("m")).unwrap();
        fs::remove_file(root.join("l")).unwrap();
        std::os::unix::fs::symlink("a", root.join("l")).unwrap();
        let mut changed = look();
        assert_eq!(paths(&changed), ["a", "b0", "d/e/new", "d/f", "l", "m/k"]);
        assert_eq!(changed.stale, [0, 1, 3, 4, 5, 6, 7], "all but b-c");
        changed.doubt(&section, &[2]);
        assert_eq!(paths(&changed), ["a", "b-c", "b0", "d/e/new", "d/f", "l", "m/k"]);
        assert_eq!(changed.stale, [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn a_large_folder_is_shared_out_and_told_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let count = 3 * PORTION;
        (0..count).for_each(|number| fs::write(folder.path().join(format!("{number:05}")), "").unwrap());
        let body = Builder::merge(None, &[], &known_files(folder.path()));
        let section = Section::parse(ArtifactId::from_bytes([1; 32]), &body).unwrap();
        assert_eq!(section.len(), count);
        assert!(scan(folder.path(), Some(&section)).unwrap().unwrap().is_as_known());
        fs::write(folder.path().join("00700"), "1").unwrap();
        let changed = scan(folder.path(), Some(&section)).unwrap().unwrap();
        assert_eq!((paths(&changed), changed.stale), (vec!["00700".to_owned()], vec![700]));
    }

    #[test]
    fn what_stands_where_a_single_file_was_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("x");
        fs::write(&place, "1").unwrap();
        let body = Builder::merge(None, &[], &known_files(&place));
        let section = Section::parse(ArtifactId::from_bytes([1; 32]), &body).unwrap();
        assert!(scan(&place, Some(&section)).unwrap().unwrap().is_as_known());
        fs::write(&place, "22").unwrap();
        let changed = scan(&place, Some(&section)).unwrap().unwrap();
        assert_eq!((paths(&changed), changed.stale), (vec![String::new()], vec![0]));
        fs::remove_file(&place).unwrap();
        fs::create_dir(&place).unwrap();
        fs::write(place.join("y"), "1").unwrap();
        let changed = scan(&place, Some(&section)).unwrap().unwrap();
        assert_eq!((paths(&changed), changed.stale), (vec!["y".to_owned()], vec![0]));
        // And a file where a folder was.
        let body = Builder::merge(None, &[], &known_files(&place));
        let section = Section::parse(ArtifactId::from_bytes([1; 32]), &body).unwrap();
        let changed = scan(&place.join("y"), Some(&section)).unwrap().unwrap();
        assert_eq!((paths(&changed), changed.stale), (vec![String::new()], vec![0]));
    }

    #[test]
    fn what_cannot_be_kept_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let reason = |root: &Path| match scan(root, None).unwrap().unwrap().check(root) {
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
        assert!(scan(&root.join("nothing"), None).unwrap().is_none());
    }
}
