//! How the code of two commits differs: which files, and line by line.
//!
//! Architecture invariant: no filter, driver or program that a repository names takes part, and sizes are looked at
//! before contents are read.

use git2::{Delta, Diff, DiffFindOptions, DiffOptions, FileMode, Patch};
use gix::bstr::ByteSlice;

use super::error::OrFailed;
use super::repository::to_git2;
use super::{GitError, Repository};
use crate::id::CommitId;

/// Bytes that a file may have to be compared line by line.
const MAX_FILE: u64 = 2 << 20;
/// Bytes of files whose differing lines are counted for one list of changes.
const MAX_COUNTED: u64 = 16 << 20;
/// Files that are looked at for renames.
const RENAME_LIMIT: usize = 200;
/// Lines around a change.
const CONTEXT: u32 = 3;
/// Characters of a line that are kept.
const MAX_LINE: usize = 4096;

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileChange {
    /// Only the newer commit has it.
    Added,
    /// Only the older commit has it.
    Removed,
    /// Its content or its mode differs.
    Modified,
    /// The older commit has it under another path, with much the same content.
    Renamed {
        /// The path in the older commit.
        from: String,
    },
    /// It became something else: a link, a submodule.
    Retyped,
}

/// A file that two commits do not have alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedFile {
    /// Its path in the newer commit; in the older one where it was removed.
    pub path: String,
    /// What became of it.
    pub change: FileChange,
    /// Lines that were added and lines that were removed; none for what is no text, and for what is too large to be
    /// counted.
    pub lines: Option<(usize, usize)>,
}

/// The files that two commits do not have alike.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CodeChanges {
    /// The files, sorted by path.
    pub files: Vec<ChangedFile>,
    /// How many there are beside those.
    pub more: usize,
}

/// What a line of a patch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchLineKind {
    /// The heading of a stretch of changes.
    Hunk,
    /// A line that both have.
    Context,
    /// A line that the newer commit has.
    Added,
    /// A line that the older commit has.
    Removed,
    /// A remark: that a last line has no end.
    Remark,
}

/// A line of a patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatchLine {
    /// What it is.
    pub kind: PatchLineKind,
    /// Its number in the older file, from 1.
    pub old: Option<u32>,
    /// Its number in the newer file, from 1.
    pub new: Option<u32>,
    /// The line without its end, cut where it is very long.
    pub text: String,
}

/// How a file differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FilePatch {
    /// Line by line.
    Lines {
        /// The lines, with a few around them.
        lines: Vec<PatchLine>,
        /// Whether there are more.
        is_cut: bool,
    },
    /// One of the two is no text; the sizes in bytes.
    Binary {
        /// In the older commit.
        old: u64,
        /// In the newer commit.
        new: u64,
    },
    /// It is too large to be compared; the sizes in bytes.
    TooLarge {
        /// In the older commit.
        old: u64,
        /// In the newer commit.
        new: u64,
    },
}

impl Repository {
    /// The files that two commits do not have alike, at most `limit` of them. Renames are found among a few hundred.
    pub fn code_changes(&self, old: &CommitId, new: &CommitId, limit: usize) -> Result<CodeChanges, GitError> {
        let action = || format!("cannot compare {old} with {new}");
        let repository = self.git2()?;
        let diff = diff(&repository, old, new, &[]).or_failed(action)?;
        let sizes = Sizes(&repository);
        let mut budget = MAX_COUNTED;
        let mut changes = CodeChanges::default();
        for (index, delta) in diff.deltas().enumerate() {
            let Some(mut file) = changed_file(&delta) else { continue };
            if changes.files.len() == limit {
                changes.more += 1;
                continue;
            }
            let (before, after) = sizes.of(&delta);
            if before.max(after) <= MAX_FILE && before + after <= budget {
                budget -= before + after;
                let patch = Patch::from_diff(&diff, index).or_failed(action)?;
                let is_text = patch.as_ref().is_some_and(|patch| !patch.delta().flags().is_binary());
                if let Some(patch) = patch.filter(|_| is_text) {
                    let (_, added, removed) = patch.line_stats().or_failed(action)?;
                    file.lines = Some((added, removed));
                }
            }
            changes.files.push(file);
        }
        changes.files.sort_by(|left, right| left.path.cmp(&right.path));
        Ok(changes)
    }

    /// How a file differs between two commits, in at most `limit` lines.
    pub fn file_patch(
        &self,
        old: &CommitId,
        new: &CommitId,
        file: &ChangedFile,
        limit: usize,
    ) -> Result<FilePatch, GitError> {
        let action = || format!("cannot compare {} in {old} and {new}", file.path);
        let repository = self.git2()?;
        let mut paths = vec![file.path.as_str()];
        if let FileChange::Renamed { from } = &file.change {
            paths.push(from);
        }
        let diff = diff(&repository, old, new, &paths).or_failed(action)?;
        let none = FilePatch::Lines { lines: Vec::new(), is_cut: false };
        let is_wanted = |delta: &git2::DiffDelta<'_>| changed_file(delta).is_some_and(|found| found.path == file.path);
        let Some((index, delta)) = diff.deltas().enumerate().find(|(_, delta)| is_wanted(delta)) else {
            return Ok(none);
        };
        let (old, new) = Sizes(&repository).of(&delta);
        if old.max(new) > MAX_FILE {
            return Ok(FilePatch::TooLarge { old, new });
        }
        let Some(patch) = Patch::from_diff(&diff, index).or_failed(action)? else { return Ok(none) };
        if patch.delta().flags().is_binary() {
            return Ok(FilePatch::Binary { old, new });
        }
        let mut lines = Vec::new();
        for hunk in 0..patch.num_hunks() {
            let (heading, count) = patch.hunk(hunk).or_failed(action)?;
            lines.push(PatchLine {
                kind: PatchLineKind::Hunk,
                old: None,
                new: None,
                text: line_text(heading.header()),
            });
            for line in 0..count {
                if lines.len() >= limit {
                    return Ok(FilePatch::Lines { lines, is_cut: true });
                }
                let line = patch.line_in_hunk(hunk, line).or_failed(action)?;
                let kind = match line.origin() {
                    '+' => PatchLineKind::Added,
                    '-' => PatchLineKind::Removed,
                    ' ' => PatchLineKind::Context,
                    _ => PatchLineKind::Remark,
                };
                let text = line_text(line.content());
                let is_remark = kind == PatchLineKind::Remark;
                let number = |number: Option<u32>| number.filter(|_| !is_remark);
                lines.push(PatchLine { kind, old: number(line.old_lineno()), new: number(line.new_lineno()), text });
            }
        }
        Ok(FilePatch::Lines { lines, is_cut: false })
    }

    /// The commits in the history of `tip` that changed the file at `path`, the newest first, at most `limit`.
    pub fn commits_of(&self, tip: &CommitId, path: &str, limit: usize) -> Result<Vec<CommitId>, GitError> {
        let (count, path) = (format!("--max-count={limit}"), format!(":(literal,top){path}"));
        let output = self.git().run(&["log", &count, "--format=%H", &tip.to_string(), "--", &path])?;
        Ok(output.lines().filter_map(|line| line.to_str().ok()?.parse().ok()).collect())
    }

    /// The tip of the branch that work starts from: what `origin` calls its HEAD, else `main` or `master`, here or at
    /// `origin`; none where there is none of them.
    pub fn trunk(&self) -> Result<Option<CommitId>, GitError> {
        const TRUNKS: [&str; 5] = [
            "refs/remotes/origin/HEAD",
            "refs/heads/main",
            "refs/heads/master",
            "refs/remotes/origin/main",
            "refs/remotes/origin/master",
        ];
        for name in TRUNKS {
            if let Some(commit) = self.read_ref(name)? {
                return Ok(Some(commit));
            }
        }
        Ok(None)
    }
}

fn diff<'r>(
    repository: &'r git2::Repository,
    old: &CommitId,
    new: &CommitId,
    paths: &[&str],
) -> Result<Diff<'r>, Box<dyn std::error::Error + Send + Sync>> {
    let tree = |commit: &CommitId| {
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(repository.find_commit(to_git2(commit)?)?.tree()?)
    };
    let mut options = DiffOptions::new();
    options.context_lines(CONTEXT).max_size(i64::try_from(MAX_FILE).unwrap_or(i64::MAX)).include_typechange(true);
    options.disable_pathspec_match(true);
    for path in paths {
        options.pathspec(path);
    }
    let mut diff = repository.diff_tree_to_tree(Some(&tree(old)?), Some(&tree(new)?), Some(&mut options))?;
    diff.find_similar(Some(DiffFindOptions::new().renames(true).rename_limit(RENAME_LIMIT)))?;
    Ok(diff)
}

/// The change that a delta stands for; none for what is none.
fn changed_file(delta: &git2::DiffDelta<'_>) -> Option<ChangedFile> {
    let text = |path: Option<&[u8]>| path.map(|path| path.to_str_lossy().into_owned());
    let (old, new) = (text(delta.old_file().path_bytes()), text(delta.new_file().path_bytes()));
    let (path, change) = match delta.status() {
        Delta::Added | Delta::Copied => (new?, FileChange::Added),
        Delta::Deleted => (old?, FileChange::Removed),
        Delta::Modified => (new?, FileChange::Modified),
        Delta::Renamed => (new?, FileChange::Renamed { from: old? }),
        Delta::Typechange => (new?, FileChange::Retyped),
        _ => return None,
    };
    Some(ChangedFile { path, change, lines: None })
}

/// How large the files of a delta are, without reading them.
struct Sizes<'r>(&'r git2::Repository);

impl Sizes<'_> {
    fn of(&self, delta: &git2::DiffDelta<'_>) -> (u64, u64) {
        let size = |file: git2::DiffFile<'_>| {
            let is_file = matches!(file.mode(), FileMode::Blob | FileMode::BlobExecutable | FileMode::Link);
            if !is_file || file.id().is_zero() {
                return 0;
            }
            // What is not here is found missing where it is read.
            let header = self.0.odb().and_then(|objects| objects.read_header(file.id()));
            header.map_or(0, |(size, _)| size as u64)
        };
        (size(delta.old_file()), size(delta.new_file()))
    }
}

/// A line without its end, cut where it is very long.
fn line_text(bytes: &[u8]) -> String {
    // The remark about a last line without an end begins with that end.
    let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
    let start = bytes.iter().position(|byte| !is_end(byte)).unwrap_or(0);
    let end = bytes.iter().rposition(|byte| !is_end(byte)).map_or(0, |last| last + 1);
    bytes[start.min(end)..end].to_str_lossy().chars().take(MAX_LINE).collect()
}
