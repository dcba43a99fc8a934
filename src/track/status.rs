//! How artifacts in the work tree stand against their pointers.

use std::collections::BTreeSet;

use crate::files::{RelPath, Wait, resolve_beneath};
use crate::id::ArtifactId;
use crate::store::StoreError;

use super::compare::{Comparison, compare, wanted_by, wanted_by_section};
use super::pointer::POINTER_SUFFIX;
use super::scan::scan;
use super::stat_cache::{Section, StatCache};
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

/// How many differing files are named.
const NAMED_CHANGES: usize = 5;

impl Workspace {
    /// How artifacts stand: those at or below `paths`, or all of them.
    pub fn status(&self, paths: &[RelPath]) -> Result<Vec<Status>, TrackError> {
        let pointers = self.selected_pointers(paths)?;
        let in_git: BTreeSet<RelPath> = self.repository.tracked_with_suffix(POINTER_SUFFIX)?.into_iter().collect();
        let cache = StatCache::load(self.repository.git_dir());
        let mut learned_sections = Vec::new();
        let mut statuses = Vec::new();
        for (path, pointer) in pointers {
            let pointer_in_git = in_git.contains(&path.with_suffix(POINTER_SUFFIX)?);
            let (status, learned) = self.status_of(path, pointer, pointer_in_git, &cache)?;
            learned_sections.extend(learned.map(|section| (status.path.clone(), section)));
            statuses.push(status);
        }
        if !learned_sections.is_empty() {
            self.remember(&cache, learned_sections);
        }
        Ok(statuses)
    }

    /// How what stands at `path` compares with `pointer`, whatever the pointer there says now.
    pub fn state_against(&self, path: &RelPath, pointer: &Pointer) -> Result<State, TrackError> {
        let cache = StatCache::load(self.repository.git_dir());
        let (status, _) = self.status_of(path.clone(), pointer.clone(), true, &cache)?;
        Ok(status.state)
    }

    /// The artifact that was last tracked at `path` or checked out to it here.
    pub fn last_known(&self, path: &RelPath) -> Option<ArtifactId> {
        StatCache::load(self.repository.git_dir()).section(path).map(|section| section.artifact_id)
    }

    /// Remembers what had to be read. A cache that cannot be written, or that somebody else is writing, costs time,
    /// and status has done what it was asked.
    fn remember(&self, seen: &StatCache, learned: Vec<(RelPath, Section)>) {
        let Ok(lock) = self.lock(Wait::No) else { return };
        let mut cache = StatCache::load(self.repository.git_dir());
        for (path, section) in learned {
            if cache.section(&path) == seen.section(&path) {
                cache.set(&path, section);
            }
        }
        let _ = cache.save(&lock);
    }

    /// One artifact's status, and what was learned by reading.
    fn status_of(
        &self,
        path: RelPath,
        pointer: Pointer,
        pointer_in_git: bool,
        cache: &StatCache,
    ) -> Result<(Status, Option<Section>), TrackError> {
        let artifact_id = pointer.id;
        let is_stored = self.store.contains(&artifact_id.manifest_digest())?;
        let stored_or = |state| if is_stored { state } else { State::Unstored };
        let mut status =
            Status { path, pointer, state: State::Unstored, pointer_in_git, changes: Vec::new(), differing: 0 };
        let place = match resolve_beneath(self.repository.work_dir()?, &status.path) {
            Ok(place) => place,
            Err(error) => {
                status.state = stored_or(State::Modified);
                status.changes.push(error.reason.to_owned());
                return Ok((status, None));
            }
        };
        let Some(scan) = scan(&place)? else {
            status.state = stored_or(State::Missing);
            return Ok((status, None));
        };
        let section = cache.section(&status.path);
        let manifest;
        let wanted = match section {
            Some(section) if section.artifact_id == artifact_id => wanted_by_section(section),
            _ if is_stored => match self.store.manifest(&artifact_id) {
                Ok(stored) => {
                    manifest = stored;
                    wanted_by(&manifest)
                }
                Err(StoreError::Missing { .. }) => return Ok((status, None)),
                Err(error) => return Err(error.into()),
            },
            // There is nothing to compare with.
            _ => return Ok((status, None)),
        };
        let comparison = compare(&place, &scan, wanted, section)?;
        status.differing = comparison.changed.len() + comparison.added.len() + comparison.missing.len();
        status.changes = named_changes(&comparison);
        let is_clean = comparison.is_clean() && scan.is_folder == (status.pointer.kind == super::Kind::Folder);
        status.state = stored_or(if is_clean { State::Clean } else { State::Modified });
        let is_new = section.is_none_or(|section| section.artifact_id != artifact_id);
        let learned = (is_clean && (comparison.hashed > 0 || is_new)).then(|| Section {
            artifact_id,
            files: comparison.same.into_iter().filter_map(|pair| pair.known).collect(),
        });
        Ok((status, learned))
    }
}

fn named_changes(comparison: &Comparison<'_>) -> Vec<String> {
    let name = |path: &str| if path.is_empty() { String::new() } else { format!(" {path}") };
    let changed = comparison.changed.iter().map(|pair| format!("changed{}", name(pair.wanted.path)));
    let added = comparison.added.iter().map(|found| format!("added{}", name(&found.shown())));
    let missing = comparison.missing.iter().map(|wanted| format!("missing{}", name(wanted.path)));
    changed.chain(added).chain(missing).take(NAMED_CHANGES).collect()
}
