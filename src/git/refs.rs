//! HEAD and refs.

use super::error::OrFailed;
use super::repository::from_bytes;
use super::{GitError, Repository};
use crate::id::CommitId;

/// Where HEAD is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The branch's short name; none when detached.
    pub branch: Option<String>,
    /// The commit; none before the first.
    pub commit: Option<CommitId>,
}

impl Repository {
    /// Where HEAD is.
    pub fn head(&self) -> Result<Head, GitError> {
        let action = || "cannot read HEAD";
        let repository = self.gix();
        let mut head = repository.head().or_failed(action)?;
        let branch = head.referent_name().map(|name| name.shorten().to_string());
        let commit = head.try_peel_to_id().or_failed(action)?.map(|id| from_bytes(id.as_bytes())).transpose()?;
        Ok(Head { branch, commit })
    }

    /// The commit a ref points to, by its whole name; none if there is no such ref.
    pub fn read_ref(&self, reference: &str) -> Result<Option<CommitId>, GitError> {
        let action = || format!("cannot read {reference}");
        let repository = self.gix();
        let Some(mut found) = repository.try_find_reference(reference).or_failed(action)? else {
            return Ok(None);
        };
        // gix completes names as `git rev-parse` does, and only the whole name is meant.
        if found.name().as_bstr() != reference {
            return Ok(None);
        }
        let commit = found.peel_to_commit().or_failed(action)?;
        from_bytes(commit.id.as_slice()).map(Some)
    }

    /// The refs whose whole names start with `prefix` and that point to commits, sorted.
    pub fn refs(&self, prefix: &str) -> Result<Vec<(String, CommitId)>, GitError> {
        let action = || format!("cannot list {prefix}*");
        let repository = self.gix();
        let platform = repository.references().or_failed(action)?;
        // The iterator holds what peeling needs, so it comes to its end first.
        let found = platform.prefixed(prefix).or_failed(action)?.collect::<Result<Vec<_>, _>>().or_failed(action)?;
        let mut refs = Vec::new();
        for mut reference in found {
            let name = reference.name().as_bstr().to_string();
            if let Ok(commit) = reference.peel_to_commit() {
                refs.push((name, from_bytes(commit.id.as_slice())?));
            }
        }
        refs.sort();
        Ok(refs)
    }
}
