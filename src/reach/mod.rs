//! Reachability: every artifact that anything can still name, and what names it.
//!
//! Who throws bytes away asks here first, so doubt counts as a name: a pointer that is damaged keeps every artifact
//! whose id it spells, and what could hide a name (cut-off history, a pointer of a newer version) is an error.
//!
//! Architecture invariant: what is reachable is never missed for being malformed; at worst too much is reachable.

mod candidate;
mod live;
mod worktree;

use std::collections::BTreeMap;

use crate::git::{GitError, History, HistoryFile};
use crate::id::ArtifactId;
use crate::track::{POINTER_SUFFIX, TrackError, Workspace, last_checked_out};

use candidate::{Candidate, Reading};

/// Bytes that a file may have to be searched for ids: the most that any record may have.
const LIMIT: u64 = 16 << 20;
/// How many names of an artifact are kept.
const NAMES: usize = 8;

/// Why it cannot be known what is reachable.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    /// A pointer or a record that a newer git-ml wrote, which may name artifacts in a way of its own.
    #[error("{place} has version {version}, which this git-ml cannot read")]
    Newer {
        /// Where it is.
        place: String,
        /// Its version.
        version: u64,
    },
    /// A file that may name artifacts could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or folder.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The work tree failed.
    #[error(transparent)]
    Track(#[from] TrackError),
    /// git failed, or history is not whole.
    #[error(transparent)]
    Git(#[from] GitError),
}

/// What names one artifact.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Places, for people, the nearest first: `data/x`, `data/x at 0123abcd`, `run brave-otter-12`, `digits@v3`.
    pub places: Vec<String>,
    /// How many places there are; of many, not all are kept.
    pub count: u64,
}

impl Names {
    /// Adds a place, unless it is there.
    pub fn add(&mut self, place: &str) {
        if self.places.iter().any(|known| known == place) {
            return;
        }
        self.count += 1;
        if self.places.len() < NAMES {
            self.places.push(place.to_owned());
        }
    }
}

/// Something that should name an artifact and cannot be read. All ids that it spells count nevertheless.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Malformed {
    /// Where it is.
    pub place: String,
    /// What is wrong.
    pub problem: String,
}

/// Every artifact that anything in a repository names.
#[derive(Debug)]
pub struct Reach {
    names: BTreeMap<ArtifactId, Names>,
    malformed: Vec<Malformed>,
    history: History,
}

impl Reach {
    /// Looks at everything: work trees, indexes, live runs, then every commit that any ref or reflog leads to.
    pub fn of(workspace: &Workspace) -> Result<Self, ReachError> {
        let history = workspace.repository.history(LIMIT)?;
        let mut reach = Self { names: BTreeMap::new(), malformed: Vec::new(), history };
        reach.look(workspace)?;
        reach.malformed.sort();
        reach.malformed.dedup();
        Ok(reach)
    }

    /// Looks again for what is named since; the artifacts that nothing named before. History that was seen is not
    /// read again, so this is quick.
    pub fn look_again(&mut self, workspace: &Workspace) -> Result<Vec<ArtifactId>, ReachError> {
        let before: Vec<ArtifactId> = self.names.keys().copied().collect();
        self.look(workspace)?;
        Ok(self.names.keys().filter(|id| before.binary_search(id).is_err()).copied().collect())
    }

    /// The artifacts, sorted, each with what names it. The store need not have them.
    pub fn artifacts(&self) -> &BTreeMap<ArtifactId, Names> {
        &self.names
    }

    /// What could not be read.
    pub fn malformed(&self) -> &[Malformed] {
        &self.malformed
    }

    /// How many commits were looked at.
    pub fn commits(&self) -> u64 {
        self.history.commits()
    }

    /// What moves, moves from the work tree to a ref, so it is looked for in this order.
    fn look(&mut self, workspace: &Workspace) -> Result<(), ReachError> {
        let repository = &workspace.repository;
        let mut names = std::mem::take(&mut self.names);
        let mut gathered = Gathered { names: &mut names, malformed: &mut self.malformed, newer: None };
        let result = (|| -> Result<(), ReachError> {
            live::look(&workspace.store.root().join("live"), &mut gathered)?;
            let worktrees = repository.worktrees()?;
            for (number, worktree) in worktrees.iter().enumerate() {
                let suffix = match &worktree.top {
                    Some(top) if number > 0 => format!(" in {}", top.display()),
                    _ => String::new(),
                };
                if let Some(top) = &worktree.top {
                    worktree::look(top, &suffix, &mut gathered)?;
                }
                for (path, id) in last_checked_out(&worktree.git_dir) {
                    // Where the work tree is out of sight, this is all that is known of it.
                    let stands = worktree.top.as_ref().is_none_or(|top| path.under(top).symlink_metadata().is_ok());
                    if stands {
                        gathered.add(id, &format!("{path}{suffix}, as it was checked out"));
                    }
                }
                self.history.follow_index(worktree, &is_wanted, &mut |file| {
                    gathered.take(&format!("{}{suffix}, staged", file.path), Candidate::of(&file.path), file.content);
                })?;
            }
            for root in repository.roots()? {
                self.history.follow(&root, &is_wanted, &mut |file| {
                    gathered.take(&place_of(&file), Candidate::of(&file.path), file.content);
                })?;
            }
            match gathered.newer.take() {
                Some((place, version)) => Err(ReachError::Newer { place, version }),
                None => Ok(()),
            }
        })();
        self.names = names;
        result
    }
}

/// Where a file of history is, for people.
fn place_of(file: &HistoryFile<'_>) -> String {
    match (&file.commit, file.path.as_str()) {
        (Some(commit), path) => format!("{path} at {}", commit.short()),
        (None, "") => file.root.to_owned(),
        (None, path) => format!("{path} in {}", file.root),
    }
}

/// Whether a file of this name may name artifacts: a pointer, the record of a run or of a logged model, a version of the
/// registry.
fn is_wanted(name: &[u8]) -> bool {
    if name.ends_with(POINTER_SUFFIX.as_bytes()) || matches!(name, b"run.toml" | b"model.toml") {
        return true;
    }
    let number = name.strip_suffix(b".toml").unwrap_or_default();
    !number.is_empty() && number.iter().all(u8::is_ascii_digit)
}

/// What was found so far.
struct Gathered<'g> {
    names: &'g mut BTreeMap<ArtifactId, Names>,
    malformed: &'g mut Vec<Malformed>,
    /// The first thing that only a newer version can read.
    newer: Option<(String, u64)>,
}

impl Gathered<'_> {
    /// Takes in what a file names.
    fn take(&mut self, place: &str, candidate: Candidate, content: Option<&[u8]>) {
        let Some(content) = content else {
            // No version of git-ml reads so much, so nobody can have relied on it.
            return self.is_malformed(place, "it is larger than any that git-ml writes");
        };
        let Reading { ids, label, problem, newer } = candidate.read(content, place);
        for id in ids {
            self.add(id, &label);
        }
        if let Some(problem) = problem {
            self.is_malformed(place, &problem);
        }
        if let Some(version) = newer {
            self.newer.get_or_insert((place.to_owned(), version));
        }
    }

    fn add(&mut self, id: ArtifactId, place: &str) {
        self.names.entry(id).or_default().add(place);
    }

    fn is_malformed(&mut self, place: &str, problem: &str) {
        self.malformed.push(Malformed { place: place.to_owned(), problem: problem.to_owned() });
    }
}
