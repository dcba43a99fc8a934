//! A repository with its store, and the paths and pointers in its work tree.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use crate::files::{self, Draft, Durability, FileError, FileLock, RelPath, Wait, resolve_beneath};
use crate::git::Repository;
use crate::id::CommitId;
use crate::store::Store;

use super::pointer::{MAX_POINTER, POINTER_SUFFIX};
use super::{Pointer, PointerError, TrackError, Untrackable};

/// How long a command waits for another that is changing the same work tree.
pub(super) const PATIENCE: Wait = Wait::UpTo(Duration::from_secs(60));

/// A repository with its store: what every command about artifacts works on.
#[derive(Debug)]
pub struct Workspace {
    /// The repository.
    pub repository: Repository,
    /// Its store, in the common folder.
    pub store: Store,
}

/// This process alone changes artifacts and pointers in this work tree.
#[derive(Debug)]
#[must_use = "the lock is let go as soon as this is dropped"]
pub(super) struct WorktreeLock {
    _lock: FileLock,
    work_dir: PathBuf,
    /// Names the folder of the work tree in which drafts may be left if this process is killed.
    announcement: PathBuf,
    /// Where the holder makes drafts of what stands beside the lock.
    drafts: PathBuf,
}

impl WorktreeLock {
    /// Says where drafts are about to be made, until the value is dropped: git would show those that are left there.
    pub(super) fn announce_drafts(&self, folder: &Path) -> Result<Announcement<'_>, TrackError> {
        // Also after a power cut, or it may be the drafts that are there and not what leads to them.
        let folder = folder.strip_prefix(&self.work_dir).unwrap_or(folder);
        self.publish(&self.announcement, folder.as_os_str().as_bytes(), Durability::Synced)?;
        Ok(Announcement { lock: self })
    }

    /// Starts a draft of a file that only the holder of this lock writes.
    pub(super) fn draft(&self) -> Result<Draft, FileError> {
        Draft::new_in(&self.drafts)
    }

    /// Writes a file that only the holder of this lock writes.
    pub(super) fn publish(&self, place: &Path, bytes: &[u8], durability: Durability) -> Result<(), FileError> {
        let mut draft = self.draft()?;
        draft.write_all(bytes).map_err(|source| FileError::new("write", place, source))?;
        draft.publish(place, false, durability)
    }

    /// Removes the drafts of processes that were killed.
    fn sweep(&self) -> Result<(), TrackError> {
        for draft in drafts_in(&self.drafts) {
            remove_draft(&draft)?;
        }
        for draft in self.announcement.parent().into_iter().flat_map(drafts_in) {
            // Others write there without this lock, so only what is surely left over goes.
            let modified = draft.metadata().and_then(|metadata| metadata.modified());
            if modified.is_ok_and(|time| time.elapsed().is_ok_and(|age| age > LEFT_OVER)) {
                remove_draft(&draft)?;
            }
        }
        let Ok(folder) = fs::read(&self.announcement) else { return Ok(()) };
        for draft in drafts_in(&self.work_dir.join(OsStr::from_bytes(&folder))) {
            remove_draft(&draft)?;
        }
        Ok(files::remove_file(&self.announcement)?)
    }
}

/// The age of a draft whose process is not at work any more.
const LEFT_OVER: Duration = Duration::from_secs(3600);

/// Removes a draft: a file, or a folder with files in it.
pub(super) fn remove_draft(draft: &Path) -> Result<(), FileError> {
    let is_folder = draft.symlink_metadata().is_ok_and(|metadata| metadata.is_dir());
    if is_folder { files::remove_dir_all(draft) } else { files::remove_file(draft) }
}

fn drafts_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_draft = |entry: &fs::DirEntry| entry.file_name().as_bytes().starts_with(Draft::PREFIX.as_bytes());
    entries.filter(is_draft).map(|entry| entry.path()).collect()
}

/// Drafts may be left in a folder if this process is killed now.
#[derive(Debug)]
#[must_use = "it is withdrawn as soon as this is dropped"]
pub(super) struct Announcement<'l> {
    lock: &'l WorktreeLock,
}

impl Drop for Announcement<'_> {
    fn drop(&mut self) {
        // If it stays, the next command looks for drafts and finds none.
        let _ = files::remove_file(&self.lock.announcement);
    }
}

/// Pointers of a work tree.
#[derive(Debug, Default)]
pub struct Pointers {
    /// Those that can be followed, by the path of the data.
    pub valid: BTreeMap<RelPath, Pointer>,
    /// The paths of those that are not valid, with what is wrong.
    pub faulty: Vec<(RelPath, TrackError)>,
}

impl Pointers {
    /// Adds the one at `pointer_path`, if there is one.
    pub(super) fn read(&mut self, workspace: &Workspace, pointer_path: &RelPath) -> Result<(), TrackError> {
        let work_dir = workspace.repository.work_dir()?;
        let read = || -> Result<Option<(RelPath, Pointer)>, TrackError> {
            let Some(pointer) = read_pointer(work_dir, pointer_path)? else { return Ok(None) };
            Ok(Some((data_path(pointer_path, &pointer_path.under(work_dir))?, pointer)))
        };
        match read() {
            Ok(pointer) => self.valid.extend(pointer),
            Err(error @ (TrackError::Pointer { .. } | TrackError::UnsafePath(_) | TrackError::Read { .. })) => {
                self.faulty.push((pointer_path.clone(), error));
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The pointers, if all of them can be followed; the first fault otherwise.
    pub(super) fn unless_faulty(mut self) -> Result<BTreeMap<RelPath, Pointer>, TrackError> {
        match self.faulty.is_empty() {
            true => Ok(self.valid),
            false => Err(self.faulty.swap_remove(0).1),
        }
    }
}

/// What a user named in the work tree.
enum Place {
    Top,
    Below(RelPath),
}

impl Workspace {
    /// Opens the repository that `start` lies in, and its store.
    pub fn discover(start: &Path) -> Result<Self, TrackError> {
        let repository = Repository::discover(start)?;
        let store = Store::open(&repository.common_dir().join("ml"))?;
        Ok(Self { repository, store })
    }

    /// Takes the work tree's lock.
    pub(super) fn lock(&self, wait: Wait) -> Result<WorktreeLock, TrackError> {
        let folder = self.repository.git_dir().join("ml");
        let drafts = folder.join("drafts");
        files::create_dir_all(&drafts)?;
        let lock = FileLock::exclusive(&folder.join("worktree.lock"), wait)?;
        let work_dir = self.repository.work_dir()?.to_path_buf();
        let lock = WorktreeLock { _lock: lock, work_dir, announcement: folder.join("drafts-in"), drafts };
        lock.sweep()?;
        Ok(lock)
    }

    /// The path of the data that a user named, relative to `current`, the folder they are in. The name of a pointer
    /// stands for the data that it points to.
    pub fn rel_path(&self, current: &Path, path: &Path) -> Result<RelPath, TrackError> {
        let literal = self.literal_path(current, path)?;
        match literal.as_str().strip_suffix(POINTER_SUFFIX) {
            Some(data) if !data.is_empty() && !data.ends_with('/') => Ok(RelPath::new(data)?),
            _ => Ok(literal),
        }
    }

    /// The path that a user named, relative to `current`, also where it is that of a pointer.
    pub fn literal_path(&self, current: &Path, path: &Path) -> Result<RelPath, TrackError> {
        match self.locate(current, path)? {
            Place::Below(path) => Ok(path),
            Place::Top => Err(TrackError::NotTrackable { path: path.to_path_buf(), reason: Untrackable::Top }),
        }
    }

    /// The paths that a user named to choose artifacts. The work tree's top stands for all of them, which is the
    /// empty list, as when nothing is named.
    pub fn scope(&self, current: &Path, paths: &[PathBuf]) -> Result<Vec<RelPath>, TrackError> {
        let mut scope = Vec::new();
        for path in paths {
            match self.locate(current, path)? {
                Place::Top => return Ok(Vec::new()),
                Place::Below(_) => scope.push(self.rel_path(current, path)?),
            }
        }
        Ok(scope)
    }

    fn locate(&self, current: &Path, path: &Path) -> Result<Place, TrackError> {
        let work_dir = self.repository.work_dir()?;
        let outside = || TrackError::OutsideWorkTree { path: path.to_path_buf() };
        let read = |source| TrackError::Read { path: current.to_path_buf(), source };
        let whole = normalise(&current.canonicalize().map_err(read)?.join(path));
        let names = match whole.strip_prefix(work_dir) {
            Ok(names) => names.to_path_buf(),
            // The work tree may have been named through a link.
            Err(_) => strip_linked_prefix(&whole, work_dir).ok_or_else(outside)?,
        };
        if names.as_os_str().is_empty() {
            return Ok(Place::Top);
        }
        let Some(text) = names.to_str() else {
            let reason = Untrackable::NotUtf8 { name: format!("{names:?}") };
            return Err(TrackError::NotTrackable { path: path.to_path_buf(), reason });
        };
        let rel_path = RelPath::new(text)?;
        if let Err(error) = resolve_beneath(work_dir, &rel_path) {
            let parent = whole.parent().and_then(|parent| parent.canonicalize().ok());
            let leads_out = parent.is_some_and(|parent| !parent.starts_with(work_dir));
            return Err(if leads_out { outside() } else { error.into() });
        }
        Ok(Place::Below(rel_path))
    }

    /// Every pointer in the work tree that git knows, and those that it does not know yet, by the path of the data.
    pub fn pointers(&self) -> Result<BTreeMap<RelPath, Pointer>, TrackError> {
        self.all_pointers()?.unless_faulty()
    }

    /// The same, where a pointer that is not valid does not hide the others.
    pub fn all_pointers(&self) -> Result<Pointers, TrackError> {
        self.repository.work_dir()?;
        let mut paths: BTreeSet<RelPath> = self.repository.tracked_with_suffix(POINTER_SUFFIX)?.into_iter().collect();
        paths.extend(self.pointers_unknown_to_git()?);
        let mut pointers = Pointers::default();
        paths.iter().try_for_each(|path| pointers.read(self, path))?;
        Ok(pointers)
    }

    /// The paths of pointers in the work tree that git does not know yet.
    pub(super) fn pointers_unknown_to_git(&self) -> Result<Vec<RelPath>, TrackError> {
        let pattern = format!("*{POINTER_SUFFIX}");
        let names = self.repository.run_git(&["ls-files", "-z", "--others", "--exclude-standard", "--", &pattern])?;
        let names = names.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        // What no artifact can be called is no pointer of ours.
        Ok(names.filter_map(|name| RelPath::new(std::str::from_utf8(name).ok()?).ok()).collect())
    }

    /// The pointers at or below `paths`, or all of them; each path has to have one.
    pub fn selected_pointers(&self, paths: &[RelPath]) -> Result<BTreeMap<RelPath, Pointer>, TrackError> {
        self.select_pointers(paths)?.unless_faulty()
    }

    /// The same, where a pointer that is not valid does not hide the others, unless it is named.
    pub(super) fn select_pointers(&self, paths: &[RelPath]) -> Result<Pointers, TrackError> {
        if paths.is_empty() {
            return self.all_pointers();
        }
        let mut selected = Pointers::default();
        let mut folders = Vec::new();
        for path in paths {
            match self.pointer(path) {
                Ok(pointer) => {
                    selected.valid.insert(path.clone(), pointer);
                }
                Err(TrackError::NotTracked { .. }) => folders.push(path),
                Err(error) => return Err(error),
            }
        }
        if folders.is_empty() {
            return Ok(selected);
        }
        let Pointers { valid, faulty } = self.all_pointers()?;
        for folder in &folders {
            let below = valid.iter().filter(|(path, _)| path.starts_with(folder));
            selected.valid.extend(below.map(|(path, pointer)| (path.clone(), pointer.clone())));
            let is_there = |path: &RelPath| path.starts_with(folder);
            if !valid.keys().any(is_there) && !faulty.iter().any(|(path, _)| is_there(path)) {
                return Err(TrackError::NotTracked { path: (*folder).clone() });
            }
        }
        let is_below = |path: &RelPath| folders.iter().any(|folder| path.starts_with(folder));
        selected.faulty = faulty.into_iter().filter(|(path, _)| is_below(path)).collect();
        Ok(selected)
    }

    /// Every pointer in a commit, by the path of the data.
    pub fn pointers_at(&self, commit: &CommitId) -> Result<BTreeMap<RelPath, Pointer>, TrackError> {
        self.pointers_named(commit, self.repository.find_at(commit, POINTER_SUFFIX)?)
    }

    /// The pointer of a commit for the data at `path`, and those for data below it. No other is looked at.
    pub fn pointers_at_or_below(
        &self,
        commit: &CommitId,
        path: &RelPath,
    ) -> Result<BTreeMap<RelPath, Pointer>, TrackError> {
        let mut names = self.repository.find_below(commit, path.as_str(), POINTER_SUFFIX)?;
        names.push(path.with_suffix(POINTER_SUFFIX)?.to_string());
        self.pointers_named(commit, names)
    }

    /// The pointer of a commit for the data at `path`; none if it has none.
    pub fn pointer_at(&self, commit: &CommitId, path: &RelPath) -> Result<Option<Pointer>, TrackError> {
        let name = path.with_suffix(POINTER_SUFFIX)?.to_string();
        Ok(self.pointers_named(commit, vec![name])?.into_values().next())
    }

    fn pointers_named(&self, commit: &CommitId, names: Vec<String>) -> Result<BTreeMap<RelPath, Pointer>, TrackError> {
        let mut pointers = BTreeMap::new();
        for name in names {
            let Some(bytes) = self.repository.read_at(commit, &name, MAX_POINTER)? else { continue };
            let shown = PathBuf::from(&name);
            let path = data_path(&RelPath::new(name)?, &shown)?;
            let pointer = Pointer::parse(&bytes).map_err(|source| TrackError::Pointer { path: shown, source })?;
            pointers.insert(path, pointer);
        }
        Ok(pointers)
    }

    /// The paths of data whose pointers two commits do not have alike, each with the pointer in the first; none where
    /// that has none, or one that is not valid.
    pub fn pointers_changed(
        &self,
        old: &CommitId,
        new: &CommitId,
    ) -> Result<BTreeMap<RelPath, Option<Pointer>>, TrackError> {
        let mut changed = BTreeMap::new();
        for name in self.repository.changed_between(old, new, POINTER_SUFFIX)? {
            // What no artifact can be called is no pointer of ours.
            let Some(path) = name.strip_suffix(POINTER_SUFFIX).and_then(|path| RelPath::new(path).ok()) else {
                continue;
            };
            let bytes = self.repository.read_at(old, &name, MAX_POINTER)?;
            changed.insert(path, bytes.and_then(|bytes| Pointer::parse(&bytes).ok()));
        }
        Ok(changed)
    }

    /// The pointer of the data at `path`.
    pub fn pointer(&self, path: &RelPath) -> Result<Pointer, TrackError> {
        read_pointer(self.repository.work_dir()?, &path.with_suffix(POINTER_SUFFIX)?)?
            .ok_or_else(|| TrackError::NotTracked { path: path.clone() })
    }
}

/// Reads the pointer at `pointer_path`; none if there is none.
pub(super) fn read_pointer(work_dir: &Path, pointer_path: &RelPath) -> Result<Option<Pointer>, TrackError> {
    let place = resolve_beneath(work_dir, pointer_path)?;
    let fail = |problem: &str| TrackError::Pointer {
        path: PathBuf::from(pointer_path.as_str()),
        source: PointerError { problem: problem.to_owned() },
    };
    let read = |source| TrackError::Read { path: place.clone(), source };
    match fs::symlink_metadata(&place) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Err(fail("it is not an ordinary file")),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(read(error)),
    }
    let mut bytes = Vec::new();
    let file = fs::File::open(&place).map_err(read)?;
    file.take(MAX_POINTER + 1).read_to_end(&mut bytes).map_err(read)?;
    let pointer = Pointer::parse(&bytes);
    pointer.map(Some).map_err(|source| TrackError::Pointer { path: PathBuf::from(pointer_path.as_str()), source })
}

/// What a pointer points to.
fn data_path(pointer_path: &RelPath, shown: &Path) -> Result<RelPath, TrackError> {
    let data = pointer_path.as_str().strip_suffix(POINTER_SUFFIX).unwrap_or(pointer_path.as_str());
    RelPath::new(data).map_err(|error| TrackError::Pointer {
        path: shown.to_path_buf(),
        source: PointerError { problem: format!("it points to nothing that can be: {}", error.reason) },
    })
}

/// The path without `.` and `..`, as it reads: git too takes `link/..` for the folder that the link is in.
fn normalise(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}

/// What is left of `whole` below `work_dir` if some folder on the way is a link to it or into it.
fn strip_linked_prefix(whole: &Path, work_dir: &Path) -> Option<PathBuf> {
    let mut folders: Vec<&Path> = whole.ancestors().collect();
    folders.reverse();
    for folder in folders {
        let Ok(real) = folder.canonicalize() else { return None };
        let Ok(names) = real.strip_prefix(work_dir) else { continue };
        // The last name itself is not followed: the link is what the user named then, not its target.
        if folder == whole && !names.as_os_str().is_empty() {
            return None;
        }
        return Some(normalise(&names.join(whole.strip_prefix(folder).ok()?)));
    }
    None
}
