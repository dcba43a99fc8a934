//! Checkout: the work tree in line with the pointers.
//!
//! All artifacts are planned before anything is changed, so that an error leaves all as it was. A checkout that is
//! killed is taken up by the next: what it wrote is found to be as it should be.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::config;
use crate::files::{self, RelPath, UnsafePath, check_length, resolve_beneath};
use crate::id::Digest;
use crate::store::{Entry, Manifest, StoreError};

use super::compare::{Added, Comparison, Origin, by_path, path_of};
use super::content;
use super::folding;
use super::scan::{Found, Scan, Stat, What, place_of, scan};
use super::section::{Builder, KnownFile};
use super::stat_cache::StatCache;
use super::twins::Twins;
use super::unsettled::{Torn, Unsettled};
use super::workspace::{PATIENCE, Pointers, WorktreeLock, remove_draft};
use super::write::{FileWriter, ToWrite, check_unchanged};
use super::{Pointer, Progress, TrackError, Workspace};

/// How to check out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CheckoutOptions {
    /// Work that is stored nowhere is overwritten; without, it is an error before anything is changed.
    pub force: bool,
    /// Files that are written cannot be written to any more.
    pub read_only: bool,
    /// Files share their bytes with others of the repository's work trees that have the same content, where the file
    /// system can do that.
    pub link: bool,
}

impl From<&config::Checkout> for CheckoutOptions {
    fn from(settings: &config::Checkout) -> Self {
        Self { force: false, read_only: settings.read_only, link: settings.link }
    }
}

/// What a checkout did.
#[derive(Debug, Default)]
pub struct Done {
    /// What it did with each artifact, sorted by path.
    pub artifacts: Vec<CheckedOut>,
    /// The pointers that are not valid, with what is wrong.
    pub faulty: Vec<(RelPath, TrackError)>,
}

/// What a checkout did with an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedOut {
    /// Its path in the work tree.
    pub path: RelPath,
    /// Files written.
    pub written: usize,
    /// Files removed.
    pub removed: usize,
    /// Files that are no part of the artifact and were left, since they are stored nowhere.
    pub left: usize,
}

/// What is to be done with one artifact.
#[derive(Debug)]
struct Plan {
    path: RelPath,
    pointer: Pointer,
    place: PathBuf,
    /// Files to remove, with their stats when that was decided.
    remove: Vec<(OsString, Stat)>,
    /// Folders to remove, inner ones first, because files take their places.
    remove_folders: Vec<OsString>,
    /// Drafts that a killed process left.
    drafts: Vec<OsString>,
    /// Files to write, with the stats of those they replace.
    write: Vec<ToWrite>,
    /// Known files, by their numbers, that are not part of the artifact when all is done.
    dropped: Vec<u32>,
    /// Files that stay and had to be read to know that.
    read: Vec<KnownFile>,
    left: usize,
}

impl Plan {
    /// Nothing is to be done but to remember what was read.
    fn that_keeps(path: &RelPath, pointer: Pointer, place: PathBuf, comparison: Comparison<'_>) -> Self {
        let (remove, remove_folders, drafts, write) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let Comparison { dropped, read, .. } = comparison;
        Self { path: path.clone(), pointer, place, remove, remove_folders, drafts, write, dropped, read, left: 0 }
    }
}

impl Workspace {
    /// Brings artifacts in line with their pointers: those at or below `paths`, or all of them. Pointers that are not
    /// valid are told beside what was done with the others.
    pub fn checkout(
        &self,
        paths: &[RelPath],
        options: CheckoutOptions,
        progress: &dyn Progress,
    ) -> Result<Done, TrackError> {
        let lock = self.lock(PATIENCE)?;
        let mut cache = StatCache::load(self.repository.git_dir());
        let mut unsettled = Unsettled::load(self.repository.git_dir());
        let mut done = Vec::new();
        let mut plans = Vec::new();
        let Pointers { valid, faulty } = self.select_pointers(paths)?;
        for (path, pointer) in valid {
            match self.plan(&path, pointer, &cache, &unsettled, options)? {
                Some(plan) => plans.push(plan),
                None => done.push(CheckedOut { path, written: 0, removed: 0, left: 0 }),
            }
        }
        let written = plans.iter().filter(|plan| !plan.write.is_empty());
        unsettled.note(written.map(|plan| (plan.path.clone(), plan.pointer.id)), &lock)?;
        for mut plan in plans {
            let artifact_id = plan.pointer.id;
            let dropped = std::mem::take(&mut plan.dropped);
            let (checked_out, files) = self.carry_out(plan, options, &lock, progress)?;
            let body = Builder::merge(cache.section(&checked_out.path).as_ref(), &dropped, &files);
            cache.set(&checked_out.path, artifact_id, body);
            // A cache that cannot be written costs time and nothing else.
            let _ = cache.save(&lock);
            done.push(checked_out);
        }
        // A note that stays costs time only.
        let _ = unsettled.put_right(done.iter().map(|checked_out| &checked_out.path), &lock);
        done.sort_by(|left, right| left.path.cmp(&right.path));
        Ok(Done { artifacts: done, faulty })
    }

    /// Decides what is to be done; nothing, where the work tree holds what the pointer says.
    fn plan(
        &self,
        path: &RelPath,
        pointer: Pointer,
        cache: &StatCache,
        unsettled: &Unsettled,
        CheckoutOptions { force, .. }: CheckoutOptions,
    ) -> Result<Option<Plan>, TrackError> {
        let place = resolve_beneath(self.repository.work_dir()?, path)?;
        let section = cache.section(path);
        let scan = scan(&place, section.as_ref())?.unwrap_or_else(|| Scan::of_nothing(section.as_ref()));
        if let Some(section) = section.as_ref().filter(|section| section.artifact_id == pointer.id) {
            let comparison = Comparison::with_section(&place, &scan, section)?;
            if comparison.is_clean() && scan.drafts.is_empty() {
                let is_news = comparison.hashed > 0;
                return Ok(is_news.then(|| Plan::that_keeps(path, pointer, place, comparison)));
            }
        }
        let not_stored = || TrackError::NotStored { path: path.clone(), id: pointer.id };
        let manifest = match self.store.manifest(&pointer.id) {
            Err(StoreError::Missing { .. }) => return Err(not_stored()),
            manifest => manifest?,
        };
        let comparison = Comparison::with_manifest(&place, &scan, section.as_ref(), &manifest)?;
        let torn = unsettled.torn(&self.store, path);
        let sorted = self.sort_out(&place, &scan, &manifest, &comparison, &torn, force)?;
        if let (Some(first), false) = (sorted.at_risk.first(), force && !sorted.is_blocked) {
            let first = if first.is_empty() { path.file_name().to_owned() } else { first.clone() };
            return Err(TrackError::WouldOverwrite { path: path.clone(), count: sorted.at_risk.len(), first });
        }
        let Comparison { changed, missing, dropped, read, .. } = comparison;
        let replaced = changed.into_iter().map(|changed| (changed.wanted.into_owned(), Some(changed.found.stat)));
        let new = missing.into_iter().map(|entry| (entry.into_owned(), None));
        let write: Vec<ToWrite> = replaced.chain(new).collect();
        for path in write.iter().filter_map(|(entry, _)| entry.path.as_ref()) {
            check_length(&place, path)?;
        }
        let lacks = |(entry, _): &&ToWrite| self.store.contains(&entry.digest).map_or(true, |stored| !stored);
        if let Some((entry, _)) = write.par_iter().with_min_len(256).find_any(lacks) {
            // Where the index cannot be read, this says why.
            self.store.contains(&entry.digest)?;
            return Err(not_stored());
        }
        if !write.is_empty() {
            folding::check(path, &place, manifest.entries())?;
        }
        let Sorted { remove, left, .. } = sorted;
        let remove_folders = folders_in_the_way(&scan, &manifest);
        let path = path.clone();
        let drafts = scan.drafts;
        Ok(Some(Plan { path, pointer, place, remove, remove_folders, drafts, write, dropped, read, left }))
    }

    /// Decides about the files that are not as they should be.
    fn sort_out(
        &self,
        place: &Path,
        scan: &Scan,
        manifest: &Manifest,
        comparison: &Comparison<'_>,
        torn: &Torn<'_>,
        force: bool,
    ) -> Result<Sorted, TrackError> {
        let mut sorted = Sorted::default();
        for changed in &comparison.changed {
            let digest = match changed.digest {
                Some(digest) => Some(digest),
                None => digest_of(place, &changed.found)?,
            };
            if !self.has(digest)? && !torn.has(place, &changed.found) {
                sorted.at_risk.push(changed.found.shown());
                sorted.is_blocked |= changed.found.what == What::Repository;
            }
        }
        let shape = Shape::of(manifest);
        for Added { found, origin } in &comparison.added {
            let is_in_the_way = shape.is_blocked_by(scan, &found.path);
            let is_stored = match origin {
                // We did not put it there: it is the user's, and it can stay. (Unless a power cut cost what was known.)
                Origin::User if !is_in_the_way && !torn.names(found) => false,
                Origin::Artifact(Some(digest)) => self.has(Some(*digest))?,
                _ => self.has(digest_of(place, found)?)? || torn.has(place, found),
            };
            match found.what {
                What::Repository if is_in_the_way => {
                    sorted.at_risk.push(found.shown());
                    sorted.is_blocked = true;
                }
                What::Repository => sorted.left += 1,
                _ if is_stored || force => sorted.remove.push((found.path.clone(), found.stat)),
                _ if is_in_the_way => sorted.at_risk.push(found.shown()),
                _ => sorted.left += 1,
            }
        }
        Ok(sorted)
    }

    fn has(&self, digest: Option<Digest>) -> Result<bool, TrackError> {
        match digest {
            Some(digest) => Ok(self.store.contains(&digest)?),
            None => Ok(false),
        }
    }

    /// Does what was planned; the artifact's files as they stand then.
    fn carry_out(
        &self,
        plan: Plan,
        options: CheckoutOptions,
        lock: &WorktreeLock,
        progress: &dyn Progress,
    ) -> Result<(CheckedOut, Vec<KnownFile>), TrackError> {
        let Plan { path, place, remove, remove_folders, drafts, mut write, read, left, .. } = plan;
        let work_dir = self.repository.work_dir()?;
        for draft in &drafts {
            remove_draft(&place.join(draft))?;
        }
        for (name, stat) in &remove {
            check_unchanged(&place_of(&place, name), Some(*stat))?;
            files::remove_file(&place_of(&place, name))?;
            remove_empty_folders_above(&place, name);
        }
        for folder in &remove_folders {
            files::remove_empty_dir(&place_of(&place, folder))?;
        }
        let parent = place.parent().unwrap_or(work_dir);
        files::create_dir_all(parent)?;
        // Drafts in an artifact's own folder are found by the walk.
        let _drafts = if write.is_empty() { None } else { Some(lock.announce_drafts(parent)?) };
        let place_of_folder = |folder: &str| {
            let folder = if folder.is_empty() { path.clone() } else { path.join(&RelPath::new(folder)?) };
            let place = resolve_beneath(work_dir, &folder)?;
            if place.is_symlink() {
                let reason = "a folder on the way is a symbolic link";
                return Err(UnsafePath { path: folder.to_string(), reason }.into());
            }
            Ok(place)
        };
        progress.start(&format!("checking out {path}"), Some(write.iter().map(|(entry, _)| entry.size).sum()));
        let twins = match options.link {
            true => self.twins(write.iter().map(|(entry, _)| (entry.digest, entry.size)))?,
            false => Twins::default(),
        };
        let writer = FileWriter {
            store: &self.store,
            place_of_folder: &place_of_folder,
            read_only: options.read_only,
            twins,
            progress,
        };
        let written = match write.as_slice() {
            [file @ (Entry { path: None, .. }, _)] => writer.write_single(file, &place).map(|file| vec![file]),
            _ => writer.write_all(&mut write),
        };
        progress.finish();
        let written = written?;
        let checked_out = CheckedOut { path, written: written.len(), removed: remove.len(), left };
        let mut files = read;
        files.extend(written);
        files.sort_unstable_by(by_path);
        Ok((checked_out, files))
    }
}

/// What is decided about the files that are not as they should be.
#[derive(Debug, Default)]
struct Sorted {
    remove: Vec<(OsString, Stat)>,
    /// Files that are stored nowhere and would be overwritten.
    at_risk: Vec<String>,
    /// Whether something is in the way that is not removed even by force.
    is_blocked: bool,
    left: usize,
}

/// The files and folders of a manifest, to see what is in their way.
struct Shape<'a> {
    files: HashSet<&'a str>,
    folders: HashSet<&'a str>,
}

impl<'a> Shape<'a> {
    fn of(manifest: &'a Manifest) -> Self {
        let mut shape = Self { files: HashSet::new(), folders: HashSet::new() };
        for mut path in manifest.entries().iter().map(path_of) {
            shape.files.insert(path);
            while let Some((folder, _)) = path.rsplit_once('/') {
                shape.folders.insert(folder);
                path = folder;
            }
        }
        shape
    }

    /// Whether a file at `path`, where none should be, is where a folder should be or in a folder that has to go.
    fn is_blocked_by(&self, scan: &Scan, path: &OsStr) -> bool {
        if !scan.is_folder || self.files.contains("") {
            return true;
        }
        // A path that is not UTF-8 is below one that is, at least the artifact's place.
        let whole = path.to_string_lossy();
        let mut path = &*whole;
        if self.folders.contains(path) {
            return true;
        }
        while let Some((folder, _)) = path.rsplit_once('/') {
            if self.files.contains(folder) {
                return true;
            }
            path = folder;
        }
        false
    }
}

/// The folders that stand where files should, with those in them, inner ones first.
fn folders_in_the_way(scan: &Scan, manifest: &Manifest) -> Vec<OsString> {
    let files: HashSet<&str> = manifest.entries().iter().map(path_of).collect();
    let is_single = manifest.is_single_file();
    let is_in_the_way = |folder: &OsString| {
        is_single || Path::new(folder).ancestors().any(|path| path.to_str().is_some_and(|path| files.contains(path)))
    };
    let mut folders: Vec<OsString> =
        scan.folders.iter().rev().filter(|folder| is_in_the_way(folder)).cloned().collect();
    if is_single && scan.is_folder {
        folders.push(OsString::new());
    }
    folders
}

/// The digest of a file that is to be replaced; none for what has no content, or is being written.
fn digest_of(place: &Path, found: &Found) -> Result<Option<Digest>, TrackError> {
    if found.mode().is_none() {
        return Ok(None);
    }
    match content::hash(place, found) {
        Ok(known) => Ok(Some(known.digest)),
        Err(TrackError::Changed { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Removes the folders between `root` and a file that was removed, as far as they are empty.
fn remove_empty_folders_above(root: &Path, name: &OsStr) {
    for folder in Path::new(name).ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()) {
        // One that is not empty stays, and with it those above it.
        if files::remove_empty_dir(&root.join(folder)).is_err() {
            return;
        }
    }
}
