//! How artifacts in the work tree stand against their pointers.

use std::collections::BTreeSet;

use crate::files::{RelPath, Wait, resolve_beneath};
use crate::id::ArtifactId;
use crate::store::StoreError;

use super::compare::{Comparison, path_of};
use super::pointer::POINTER_SUFFIX;
use super::scan::scan;
use super::section::Builder;
use super::stat_cache::StatCache;
use super::workspace::Pointers;
use super::{Pointer, TrackError, Workspace};

/// How an artifact in the work tree stands against its pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// As the pointer says, and stored.
    Clean,
    /// It differs from the pointer.
    Modified,
    /// It is not in the work tree; the store has it.
    Missing,
    /// It is not in this store: it has to be pulled.
    Unstored,
}

impl State {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Modified => "modified",
            Self::Missing => "missing",
            Self::Unstored => "unstored",
        }
    }
}

/// One artifact's status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Its path in the work tree.
    pub path: RelPath,
    /// Its pointer.
    pub pointer: Pointer,
    /// How it stands.
    pub state: State,
    /// Whether git's index has the pointer.
    pub pointer_in_git: bool,
    /// Files that differ: changed, added and missing ones, up to a few, for people.
    pub changes: Vec<String>,
    /// How many files differ, where that is known.
    pub differing: usize,
}

/// How artifacts stand.
#[derive(Debug, Default)]
pub struct Statuses {
    /// Those whose pointers can be followed, sorted by path.
    pub artifacts: Vec<Status>,
    /// The pointers that are not valid, with what is wrong.
    pub faulty: Vec<(RelPath, TrackError)>,
}

/// A status in the making.
struct Survey<'a> {
    workspace: &'a Workspace,
    cache: &'a StatCache,
    /// The pointers that git has.
    tracked: &'a BTreeSet<RelPath>,
    statuses: Statuses,
    /// Sections of what had to be read.
    learned: Vec<(RelPath, ArtifactId, Vec<u8>)>,
}

impl Survey<'_> {
    fn add(&mut self, pointers: Pointers) -> Result<(), TrackError> {
        for (path, pointer) in pointers.valid {
            let pointer_in_git = self.tracked.contains(&path.with_suffix(POINTER_SUFFIX)?);
            let (status, learned) = self.workspace.status_of(path, pointer, pointer_in_git, self.cache)?;
            self.learned.extend(learned.map(|body| (status.path.clone(), status.pointer.id, body)));
            self.statuses.artifacts.push(status);
        }
        self.statuses.faulty.extend(pointers.faulty);
        Ok(())
    }
}

/// How many differing files are named.
const NAMED_CHANGES: usize = 5;

impl Workspace {
    /// How artifacts stand: those at or below `paths`, or all of them.
    pub fn status(&self, paths: &[RelPath]) -> Result<Statuses, TrackError> {
        self.repository.work_dir()?;
        let tracked: BTreeSet<RelPath> = self.repository.tracked_with_suffix(POINTER_SUFFIX)?.into_iter().collect();
        let cache = StatCache::load(self.repository.git_dir());
        let (statuses, learned) = (Statuses::default(), Vec::new());
        let mut survey = Survey { workspace: self, cache: &cache, tracked: &tracked, statuses, learned };
        if paths.is_empty() {
            let mut pointers = Pointers::default();
            tracked.iter().try_for_each(|path| pointers.read(self, path))?;
            // While git looks for those that it does not know, the others are compared.
            let (unknown, surveyed) = std::thread::scope(|scope| {
                let unknown = scope.spawn(|| self.pointers_unknown_to_git());
                let surveyed = survey.add(pointers);
                (unknown.join(), surveyed)
            });
            surveyed?;
            let unknown = unknown.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            let mut pointers = Pointers::default();
            unknown.iter().try_for_each(|path| pointers.read(self, path))?;
            survey.add(pointers)?;
        } else {
            survey.add(self.select_pointers(paths)?)?;
        }
        let Survey { mut statuses, learned, .. } = survey;
        if !learned.is_empty() {
            self.remember(&cache, learned);
        }
        statuses.artifacts.sort_by(|left, right| left.path.cmp(&right.path));
        Ok(statuses)
    }

    /// How what stands at `path` compares with `pointer`, whatever the pointer there says now.
    pub fn state_against(&self, path: &RelPath, pointer: &Pointer) -> Result<State, TrackError> {
        let cache = StatCache::load(self.repository.git_dir());
        let (status, _) = self.status_of(path.clone(), pointer.clone(), true, &cache)?;
        Ok(status.state)
    }

    /// Remembers what had to be read. A cache that cannot be written, or that somebody else is writing, costs time,
    /// and status has done what it was asked.
    fn remember(&self, seen: &StatCache, learned: Vec<(RelPath, ArtifactId, Vec<u8>)>) {
        let Ok(lock) = self.lock(Wait::No) else { return };
        let mut cache = StatCache::load(self.repository.git_dir());
        for (path, artifact_id, body) in learned {
            if cache.agrees(seen, &path) {
                cache.set(&path, artifact_id, body);
            }
        }
        let _ = cache.save(&lock);
    }

    /// One artifact's status, and the section of what was learned by reading.
    fn status_of(
        &self,
        path: RelPath,
        pointer: Pointer,
        pointer_in_git: bool,
        cache: &StatCache,
    ) -> Result<(Status, Option<Vec<u8>>), TrackError> {
        let artifact_id = pointer.id;
        let mut status =
            Status { path, pointer, state: State::Unstored, pointer_in_git, changes: Vec::new(), differing: 0 };
        let place = resolve_beneath(self.repository.work_dir()?, &status.path);
        let section = cache.section(&status.path);
        let (is_stored, scan) = rayon::join(
            || self.store.contains(&artifact_id.manifest_digest()),
            || place.as_ref().map_or(Ok(None), |place| scan(place, section.as_ref())),
        );
        let is_stored = is_stored?;
        let stored_or = |state| if is_stored { state } else { State::Unstored };
        let place = match place {
            Ok(place) => place,
            Err(error) => {
                status.state = stored_or(State::Modified);
                status.changes.push(error.reason.to_owned());
                return Ok((status, None));
            }
        };
        let Some(scan) = scan? else {
            status.state = stored_or(State::Missing);
            return Ok((status, None));
        };
        let manifest;
        let current = section.as_ref().filter(|section| section.artifact_id == artifact_id);
        let comparison = match current {
            Some(section) => Comparison::with_section(&place, &scan, section)?,
            None if is_stored => match self.store.manifest(&artifact_id) {
                Ok(stored) => {
                    manifest = stored;
                    Comparison::with_manifest(&place, &scan, section.as_ref(), &manifest)?
                }
                Err(StoreError::Missing { .. }) => return Ok((status, None)),
                Err(error) => return Err(error.into()),
            },
            // There is nothing to compare with.
            None => return Ok((status, None)),
        };
        status.differing = comparison.differing();
        status.changes = named_changes(&comparison);
        let is_clean = comparison.is_clean() && scan.is_folder == (status.pointer.kind == super::Kind::Folder);
        status.state = stored_or(if is_clean { State::Clean } else { State::Modified });
        let is_news = is_clean && (comparison.hashed > 0 || current.is_none());
        let learned = is_news.then(|| Builder::merge(section.as_ref(), &comparison.dropped, &comparison.read));
        Ok((status, learned))
    }
}

fn named_changes(comparison: &Comparison<'_>) -> Vec<String> {
    let name = |path: &str| if path.is_empty() { String::new() } else { format!(" {path}") };
    let changed = comparison.changed.iter().map(|changed| format!("changed{}", name(path_of(&changed.wanted))));
    let added = comparison.added.iter().map(|added| format!("added{}", name(&added.found.shown())));
    let missing = comparison.missing.iter().map(|wanted| format!("missing{}", name(path_of(wanted))));
    changed.chain(added).chain(missing).take(NAMED_CHANGES).collect()
}
