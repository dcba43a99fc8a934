//! Work trees beside the user's own, and `git bisect` in them.

use std::path::Path;

use gix::bstr::ByteSlice;

use super::error::OrFailed;
use super::{GitError, Repository};
use crate::id::CommitId;

/// Nobody's hooks run in a work tree that nobody sees.
const NO_HOOKS: [&str; 2] = ["-c", "core.hooksPath=/dev/null"];

/// How a search for a commit stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bisection {
    /// This commit, which is checked out now, is to be judged next.
    Next(CommitId),
    /// This is the first bad one.
    Found(CommitId),
    /// The first bad one is among these, of which nothing can be told.
    Among(Vec<CommitId>),
}

/// What a commit is found to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// As it should be.
    Good,
    /// Broken.
    Bad,
    /// It cannot be told.
    Skip,
}

impl Repository {
    /// Makes a work tree at `place`, with HEAD detached at `commit` and the files of `code`.
    pub fn add_worktree(&self, place: &Path, commit: &CommitId, code: &CommitId) -> Result<(), GitError> {
        let place_text = place.to_str().ok_or("it is not UTF-8").or_failed(|| "cannot name the work tree")?;
        let (commit, code) = (commit.to_string(), code.to_string());
        let add = ["worktree", "add", "--quiet", "--detach", "--no-checkout", "--", place_text, &commit];
        self.run_git(&[&NO_HOOKS[..], &add].concat())?;
        Self::discover(place)?.run_git(&[&NO_HOOKS[..], &["read-tree", "--reset", "-u", &code]].concat())?;
        Ok(())
    }

    /// Removes a work tree that was made so, with all that is in it; fine if there is none.
    pub fn remove_worktree(&self, place: &Path) -> Result<(), GitError> {
        let action = || format!("cannot remove {}", place.display());
        if place.exists() {
            let place_text = place.to_string_lossy();
            let arguments = ["worktree", "remove", "--force", "--force", "--", &place_text];
            if self.run_git(&arguments).is_err() {
                crate::files::remove_dir_all(place).or_failed(action)?;
            }
        }
        // One of which only git's own notes are left.
        self.run_git(&["worktree", "prune"]).map(drop)
    }

    /// Checks a commit out in this work tree, whatever stands there.
    pub fn switch_to(&self, commit: &CommitId) -> Result<(), GitError> {
        let checkout = ["checkout", "--quiet", "--force", "--detach", &commit.to_string()];
        self.run_git(&[&NO_HOOKS[..], &checkout].concat()).map(drop)
    }

    /// Removes what git does not track from this work tree, but for these paths.
    pub fn clean(&self, kept: &[String]) -> Result<(), GitError> {
        let mut arguments: Vec<String> = ["clean", "--quiet", "-ffdx"].map(str::to_owned).to_vec();
        let is_special = |c: char| "*?[]\\!# ".contains(c);
        let escaped = |path: &String| {
            path.chars().flat_map(|c| is_special(c).then_some('\\').into_iter().chain([c])).collect::<String>()
        };
        arguments.extend(kept.iter().map(|path| format!("--exclude=/{}", escaped(path))));
        self.run_git(&arguments.iter().map(String::as_str).collect::<Vec<_>>()).map(drop)
    }

    /// Begins to search this work tree's repository for the first bad commit.
    pub fn start_bisection(&self, good: &CommitId, bad: &CommitId) -> Result<Bisection, GitError> {
        let (good, bad) = (good.to_string(), bad.to_string());
        self.bisect(&["start", &bad, &good])
    }

    /// Says what the commit is that is checked out, and goes on.
    pub fn judge(&self, judgement: Judgement) -> Result<Bisection, GitError> {
        self.bisect(&[match judgement {
            Judgement::Good => "good",
            Judgement::Bad => "bad",
            Judgement::Skip => "skip",
        }])
    }

    fn bisect(&self, arguments: &[&str]) -> Result<Bisection, GitError> {
        let git = self.git().env("LC_ALL", "C");
        // What is written by a training may stand where the next commit has a file.
        self.run_git(&[&NO_HOOKS[..], &["reset", "--quiet", "--hard"]].concat())?;
        // Exit code 2 says that only commits are left that were skipped.
        let (code, output) = git.run_with_codes(&[&NO_HOOKS[..], &["bisect"], arguments].concat(), &[2])?;
        let lines = || output.lines().filter_map(|line| line.to_str().ok());
        if code == 2 {
            return Ok(Bisection::Among(lines().filter_map(|line| line.trim().parse().ok()).collect()));
        }
        let found = lines().find_map(|line| line.strip_suffix(" is the first bad commit")?.parse().ok());
        match found {
            Some(commit) => Ok(Bisection::Found(commit)),
            None => Ok(Bisection::Next(self.head()?.commit.ok_or(GitError::NoCommit)?)),
        }
    }
}
