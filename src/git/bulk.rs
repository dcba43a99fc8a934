//! Many commits on a ref of ours at once.
//!
//! A commit by itself costs the new trees, each a file. `git fast-import` keeps the tree in memory and writes one pack,
//! so a thousand commits cost less than ten did. The ref is moved once, by ourselves, as for a single commit.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{GitError, Identity, Repository, TreeEdit};
use crate::id::{CommitId, RunId};

/// Where the commits are until the ref is moved to the last of them.
const DRAFTS: &str = "refs/ml/drafts/";

/// One of many commits to be made on a ref of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkCommit {
    /// The changes to the tree of the commit before; of several to one path the last counts.
    pub edits: Vec<TreeEdit>,
    /// The message.
    pub message: String,
    /// Parents after the commit before.
    pub extra_parents: Vec<CommitId>,
}

impl Repository {
    /// Makes commits on a ref of ours, each on top of the one before, and moves the ref to the last. As with a single
    /// commit, it is refused with [`GitError::RefMoved`] unless the ref is where it was expected.
    pub fn commit_all_to_ref(
        &self,
        reference: &str,
        expected: Option<CommitId>,
        commits: &[BulkCommit],
        author: &Identity,
    ) -> Result<(), GitError> {
        if commits.is_empty() {
            return Ok(());
        }
        let draft = format!("{DRAFTS}{}", RunId::generate());
        let stream = stream(&draft, expected.as_ref(), commits, author);
        let made = self
            .git()
            .input(stream)
            .run(&[
                "-c",
                "core.fsync=loose-object,pack,pack-metadata",
                "fast-import",
                "--quiet",
                "--done",
                "--date-format=raw",
            ])
            .and_then(|_| self.read_ref(&draft))
            .and_then(|tip| tip.ok_or_else(|| GitError::UnknownRevision { revision: draft.clone() }));
        let moved = made.and_then(|tip| self.move_ref(reference, expected.as_ref(), &tip));
        // What stays for want of a lock names commits that are whole, and nothing else.
        let released = self.release(&draft);
        moved.and(released)
    }
}

/// What `git fast-import` is told.
fn stream(draft: &str, expected: Option<&CommitId>, commits: &[BulkCommit], author: &Identity) -> Vec<u8> {
    let now = jiff::Timestamp::now().as_second();
    let plain = |text: &str| text.chars().filter(|c| !c.is_control() && !"<>".contains(*c)).collect::<String>();
    let committer = format!("{} <{}> {now} +0000", plain(&author.name), plain(&author.email));
    let mut stream = Vec::new();
    for (index, commit) in commits.iter().enumerate() {
        let mut head = format!("commit {draft}\ncommitter {committer}\ndata {}\n", commit.message.len());
        head += &commit.message;
        head.push('\n');
        // Writing to a string does not fail.
        if let Some(expected) = expected.filter(|_| index == 0) {
            let _ = writeln!(head, "from {expected}");
        }
        for parent in &commit.extra_parents {
            let _ = writeln!(head, "merge {parent}");
        }
        stream.extend(head.into_bytes());
        let last_edits: BTreeMap<&str, &TreeEdit> =
            commit.edits.iter().map(|edit| (edit.path.as_str(), edit)).collect();
        for (path, edit) in last_edits {
            let path = quoted(path);
            match &edit.content {
                Some(content) => {
                    stream.extend(format!("M 100644 inline {path}\ndata {}\n", content.len()).into_bytes());
                    stream.extend(content);
                    stream.push(b'\n');
                }
                None => stream.extend(format!("D {path}\n").into_bytes()),
            }
        }
    }
    stream.extend(b"done\n");
    stream
}

/// A path as `git fast-import` reads any path.
fn quoted(path: &str) -> String {
    format!("\"{}\"", path.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
