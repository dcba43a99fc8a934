//! Commits on refs of ours, made beside the index.

use super::error::OrFailed;
use super::repository::{from_bytes, to_gix};
use super::write::NewObjects;
use super::{GitError, Identity, Repository};
use crate::id::CommitId;

/// A change to the tree of a ref of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEdit {
    /// The path in the tree.
    pub path: String,
    /// The new content; none removes the file.
    pub content: Option<Vec<u8>>,
}

/// A commit to be made on a ref of ours.
#[derive(Debug, Clone)]
pub struct RefCommit<'a> {
    /// The whole name: `refs/ml/runs`.
    pub reference: &'a str,
    /// What the ref pointed to when `edits` were decided: the commit is refused with [`GitError::RefMoved`] if it
    /// has moved since. None means that the ref did not exist.
    pub expected: Option<CommitId>,
    /// The changes to the tip's tree; of several to one path the last counts.
    pub edits: Vec<TreeEdit>,
    /// The message.
    pub message: &'a str,
    /// Parents after the previous tip.
    pub extra_parents: Vec<CommitId>,
    /// Who makes it.
    pub author: &'a Identity,
}

impl Repository {
    /// Makes a commit on a ref of ours and moves the ref to it, if it is still where it was expected.
    ///
    /// When this returns, the commit and the ref survive a power cut, which git itself does not wait for.
    pub fn commit_to_ref(&self, commit: &RefCommit<'_>) -> Result<CommitId, GitError> {
        self.commit_to_ref_by(commit, false)
    }

    /// The same, where the commit is signed if the user's commits are.
    pub fn commit_to_ref_as_user(&self, commit: &RefCommit<'_>) -> Result<CommitId, GitError> {
        self.commit_to_ref_by(commit, self.signs_commits()?)
    }

    fn commit_to_ref_by(&self, commit: &RefCommit<'_>, is_signed: bool) -> Result<CommitId, GitError> {
        let reference = commit.reference;
        let moved = || GitError::RefMoved { reference: reference.to_owned() };
        if self.read_ref(reference)? != commit.expected {
            return Err(moved());
        }
        let mut objects = NewObjects::new(self)?;
        let base = commit.expected.map(|tip| self.tree_id_of(&tip)).transpose()?;
        let tree = objects.edit_tree(base, &commit.edits)?;
        let parents: Vec<_> = commit.expected.iter().chain(&commit.extra_parents).map(to_gix).collect();
        let id = match is_signed {
            false => objects.commit(tree, &parents, commit.author, commit.message)?,
            true => {
                // git makes the commit itself, of a tree that is there.
                objects.publish(None)?;
                objects = NewObjects::new(self)?;
                self.sign_commit(tree, &parents, commit.author, commit.message)?
            }
        };
        // Everything is written before the ref is locked, so that it is locked for an instant only.
        let claim = self.lock_ref(reference)?;
        if self.read_ref(reference)? != commit.expected {
            return Err(moved());
        }
        objects.publish(Some((claim, reference, id)))?;
        from_bytes(id.as_slice())
    }

    /// Makes a merge, on no ref: the tree of `first` with the edits. It survives a power cut, and is signed as the user's
    /// commits are.
    pub fn merge_commit(
        &self,
        first: &CommitId,
        second: &CommitId,
        edits: &[TreeEdit],
        message: &str,
        author: &Identity,
    ) -> Result<CommitId, GitError> {
        let mut objects = NewObjects::new(self)?;
        let tree = objects.edit_tree(Some(self.tree_id_of(first)?), edits)?;
        let parents = [to_gix(first), to_gix(second)];
        if self.signs_commits()? {
            objects.publish(None)?;
            return from_bytes(self.sign_commit(tree, &parents, author, message)?.as_slice());
        }
        let id = objects.commit(tree, &parents, author, message)?;
        objects.publish(None)?;
        from_bytes(id.as_slice())
    }

    /// Whether the user signs commits.
    fn signs_commits(&self) -> Result<bool, GitError> {
        // Exit code 1 says that there is no such key.
        let (code, output) = self.git().run_with_codes(&["config", "--type=bool", "--get", "commit.gpgSign"], &[1])?;
        Ok(code == 0 && output.trim_ascii() == b"true")
    }

    /// Makes a signed commit, on no ref, as the user's git signs: with the key and the program that it is set up with. It
    /// survives a power cut.
    fn sign_commit(
        &self,
        tree: gix::ObjectId,
        parents: &[gix::ObjectId],
        author: &Identity,
        message: &str,
    ) -> Result<gix::ObjectId, GitError> {
        let (tree, parents) = (tree.to_string(), parents.iter().map(ToString::to_string).collect::<Vec<_>>());
        let mut arguments = vec!["commit-tree", "-S", "-F", "-"];
        arguments.extend(parents.iter().flat_map(|parent| ["-p", parent]));
        arguments.push(&tree);
        let git = self.git().input(message.as_bytes().to_vec());
        let git = git.env("GIT_AUTHOR_NAME", &author.name).env("GIT_AUTHOR_EMAIL", &author.email);
        let git = git.env("GIT_COMMITTER_NAME", &author.name).env("GIT_COMMITTER_EMAIL", &author.email);
        let output = git.run(&arguments).map_err(|error| match error {
            GitError::Command { message, .. } => GitError::Unsigned { message },
            error => error,
        })?;
        let id = gix::ObjectId::from_hex(output.trim_ascii()).or_failed(|| "cannot make a signed commit")?;
        self.sync_commit(&from_bytes(id.as_slice())?)?;
        Ok(id)
    }

    /// Moves a ref of ours, if it is still where it was expected; none means that there was no such ref.
    ///
    /// The ref survives a power cut, and what its commit has that the first parent does not have.
    pub fn move_ref(&self, reference: &str, expected: Option<&CommitId>, target: &CommitId) -> Result<(), GitError> {
        self.sync_commit(target)?;
        let claim = self.lock_ref(reference)?;
        if self.read_ref(reference)?.as_ref() != expected {
            return Err(GitError::RefMoved { reference: reference.to_owned() });
        }
        NewObjects::new(self)?.publish(Some((claim, reference, to_gix(target))))
    }

    /// Makes a commit with a tree that is there, on no ref. It survives a power cut, with all that is new in it.
    pub(super) fn commit_tree(
        &self,
        tree: gix::ObjectId,
        parent: &CommitId,
        author: &Identity,
        message: &str,
    ) -> Result<CommitId, GitError> {
        let mut objects = NewObjects::new(self)?;
        let id = objects.commit(tree, &[to_gix(parent)], author, message)?;
        objects.publish(None)?;
        let commit = from_bytes(id.as_slice())?;
        self.sync_commit(&commit)?;
        Ok(commit)
    }

    /// Points a ref of ours to a commit, so that `git gc` keeps it.
    pub fn hold(&self, reference: &str, commit: &CommitId) -> Result<(), GitError> {
        let claim = self.lock_ref(reference)?;
        NewObjects::new(self)?.publish(Some((claim, reference, to_gix(commit))))
    }

    /// The id of a commit's tree.
    pub(super) fn tree_id_of(&self, commit: &CommitId) -> Result<gix::ObjectId, GitError> {
        let action = || format!("cannot read commit {commit}");
        let found = self.gix().find_commit(to_gix(commit)).or_failed(action)?.tree_id().or_failed(action)?.detach();
        Ok(found)
    }

    /// Removes a ref of ours; fine if there is none.
    pub fn release(&self, reference: &str) -> Result<(), GitError> {
        let action = || format!("cannot remove {reference}");
        match self.git2()?.find_reference(reference) {
            Ok(mut found) => found.delete().or_failed(action),
            Err(error) if error.code() == git2::ErrorCode::NotFound => Ok(()),
            Err(error) => Err(error).or_failed(action),
        }
    }
}
