//! Before a commit: data whose changes it does not have, and files that belong into the store.

use std::collections::BTreeSet;
use std::path::Path;

use super::HookError;
use crate::config::{ChangedData, PreCommit};
use crate::files::RelPath;
use crate::track::{POINTER_SUFFIX, Pointer, State, Statuses, TrackError, Workspace, last_checked_out};

/// Bytes that a pointer may have.
const MAX_POINTER: u64 = 64 << 10;

/// Something about a commit that is about to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// What stands in the work tree is not what the pointer names.
    Changed {
        /// The path of the data.
        path: RelPath,
        /// What differs, a few files.
        changes: Vec<String>,
        /// How many files differ.
        differing: usize,
    },
    /// The pointer in the work tree is not the one that would be committed.
    NotStaged {
        /// The path of the data.
        path: RelPath,
        /// Whether git has no pointer for it at all.
        is_new: bool,
    },
    /// A pointer that would be committed is none.
    Faulty {
        /// The pointer's path.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A file that is too large for git.
    Large {
        /// Its path.
        path: String,
        /// Its size.
        bytes: u64,
        /// The size that it may have.
        limit: u64,
    },
}

impl Finding {
    /// Whether it is about data that the commit leaves behind, rather than about what is in the commit.
    pub fn is_about_data(&self) -> bool {
        matches!(self, Self::Changed { .. } | Self::NotStaged { .. })
    }
}

/// Looks at a commit that is about to be made of `index`, which is the one that git gives its hook.
///
/// Nothing is hashed that is known to be unchanged, and nothing of git's is changed.
pub fn before_commit(
    workspace: &Workspace,
    settings: &PreCommit,
    changed_data: ChangedData,
    index: Option<&Path>,
) -> Result<Vec<Finding>, HookError> {
    let repository = &workspace.repository;
    let limit = settings.max_file_size.unwrap_or(PreCommit::MAX_FILE_SIZE);
    let pointers = repository.indexed_files(index, POINTER_SUFFIX, MAX_POINTER)?;
    let paths = match changed_data {
        ChangedData::Ignore => Vec::new(),
        ChangedData::Warn | ChangedData::Refuse => artifacts(workspace, pointers.keys())?,
    };
    // The data and git's index are looked at side by side.
    let (statuses, staged) = rayon::join(
        || if paths.is_empty() { Ok(Statuses::default()) } else { workspace.status(&paths) },
        || repository.staged_files(index),
    );
    let staged = staged?;
    let mut findings = Vec::new();
    for file in &staged {
        if let Some(content) = pointers.get(&file.path) {
            let problem = match content {
                Some(content) => Pointer::parse(content).err().map(|error| error.problem),
                None => Some("it is larger than 64 KiB".to_owned()),
            };
            findings.extend(problem.map(|problem| Finding::Faulty { path: file.path.clone(), problem }));
        } else if file.bytes > limit {
            findings.push(Finding::Large { path: file.path.clone(), bytes: file.bytes, limit });
        }
    }
    for status in statuses?.artifacts {
        let pointer_path = status.path.with_suffix(POINTER_SUFFIX).map_err(TrackError::from)?;
        let in_index = pointers.get(pointer_path.as_str());
        let is_staged = in_index.is_some_and(|content| {
            content
                .as_deref()
                .is_some_and(|content| Pointer::parse(content).is_ok_and(|staged| staged == status.pointer))
        });
        if status.state == State::Modified {
            let (changes, differing) = (status.changes, status.differing);
            findings.push(Finding::Changed { path: status.path, changes, differing });
        } else if !is_staged {
            findings.push(Finding::NotStaged { path: status.path, is_new: in_index.is_none() });
        }
    }
    Ok(findings)
}

/// The artifacts whose pointers stand in the work tree: those that git has, and those that were tracked here and that git
/// has not got yet. To ask git what it does not know would take longer than all the rest.
fn artifacts<'p>(workspace: &Workspace, pointers: impl Iterator<Item = &'p String>) -> Result<Vec<RelPath>, HookError> {
    let in_git = pointers.filter_map(|name| RelPath::new(name.strip_suffix(POINTER_SUFFIX)?).ok());
    let known = last_checked_out(workspace.repository.git_dir()).into_iter().map(|(path, _)| path);
    let mut paths = BTreeSet::new();
    for path in in_git.chain(known) {
        match workspace.pointer(&path) {
            Ok(_) => {
                paths.insert(path);
            }
            // One that is gone, or is none, has no data to be looked at.
            Err(TrackError::NotTracked { .. } | TrackError::Pointer { .. } | TrackError::UnsafePath(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(paths.into_iter().collect())
}
