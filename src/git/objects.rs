//! Reading commits, trees and files from the object database.

use std::collections::{BTreeMap, BTreeSet};

use gix::bstr::ByteSlice;
use gix::revision::walk::Sorting;
use gix::traverse::commit::simple::CommitTimeOrder;

use super::error::OrFailed;
use super::repository::{from_bytes, to_gix};
use super::trees::MAX_TREE;
use super::{GitError, Repository};
use crate::id::CommitId;

/// Names that are looked at to compare two commits.
const MAX_COMPARED: u64 = 10_000_000;

/// A commit, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitInfo {
    /// Its id.
    pub id: CommitId,
    /// Its first parent and the others.
    pub parents: Vec<CommitId>,
    /// The whole message.
    pub message: String,
    /// The author's name.
    pub author: String,
    /// The author's address.
    pub email: String,
    /// When it was committed.
    pub time: jiff::Timestamp,
}

impl CommitInfo {
    /// The first line of the message.
    pub fn subject(&self) -> &str {
        self.message.lines().next().unwrap_or_default()
    }
}

/// One name in a folder of a tree.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TreeEntry {
    /// The name.
    pub name: String,
    /// Whether it is a folder.
    pub is_folder: bool,
}

/// A file that some commits bring and others do not have yet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AddedFile {
    /// A path it has in one of the commits.
    pub path: String,
    /// The content; none where it is larger than was allowed.
    pub content: Option<Vec<u8>>,
}

impl Repository {
    /// The commit that `revision` names.
    pub fn resolve(&self, revision: &str) -> Result<CommitId, GitError> {
        let unknown = || GitError::UnknownRevision { revision: revision.to_owned() };
        let repository = self.gix();
        let Ok(id) = repository.rev_parse_single(revision) else {
            return match (revision, self.head()?.commit) {
                ("HEAD" | "@", None) => Err(GitError::NoCommit),
                _ => Err(unknown()),
            };
        };
        let commit = id.object().and_then(|object| object.peel_to_commit()).map_err(|_| unknown())?;
        from_bytes(commit.id.as_slice())
    }

    /// What a commit says of itself.
    pub fn commit(&self, id: &CommitId) -> Result<CommitInfo, GitError> {
        commit_info(&self.gix(), id)
    }

    /// Whether the object database has this commit.
    pub fn has_commit(&self, id: &CommitId) -> bool {
        self.gix().find_header(to_gix(id)).is_ok_and(|header| header.kind() == gix::objs::Kind::Commit)
    }

    /// The content of a file in a commit's tree; none if there is no such file. Refused above `limit` bytes.
    pub fn read_at(&self, commit: &CommitId, path: &str, limit: u64) -> Result<Option<Vec<u8>>, GitError> {
        let action = || format!("cannot read {path} in commit {commit}");
        let repository = self.gix();
        let tree = find_tree(&repository, commit)?;
        let Some(entry) = tree.lookup_entry(names(path)).or_failed(action)? else { return Ok(None) };
        if !entry.mode().is_blob() {
            return Ok(None);
        }
        let bytes = repository.find_header(entry.object_id()).or_failed(action)?.size();
        if bytes > limit {
            return Err(GitError::TooLarge { path: path.to_owned(), bytes, limit });
        }
        let mut object = entry.object().or_failed(action)?;
        Ok(Some(std::mem::take(&mut object.data)))
    }

    /// Whether a commit's tree has a file or a folder at a path.
    pub fn has_path(&self, commit: &CommitId, path: &str) -> Result<bool, GitError> {
        let entry = find_tree(&self.gix(), commit)?.lookup_entry(names(path)).map(|entry| entry.is_some());
        entry.or_failed(|| format!("cannot read {path} in commit {commit}"))
    }

    /// The names in a folder of a commit's tree (`""` is the root), sorted; empty if there is no such folder.
    pub fn list_at(&self, commit: &CommitId, folder: &str) -> Result<Vec<TreeEntry>, GitError> {
        let action = || format!("cannot read {folder}/ in commit {commit}");
        let repository = self.gix();
        let mut tree = find_tree(&repository, commit)?;
        if !folder.is_empty() {
            let entry = tree.lookup_entry(names(folder)).or_failed(action)?;
            let Some(entry) = entry.filter(|entry| entry.mode().is_tree()) else { return Ok(Vec::new()) };
            let bytes = repository.find_header(entry.object_id()).or_failed(action)?.size();
            if bytes > MAX_TREE {
                return Err(GitError::TooLarge { path: folder.to_owned(), bytes, limit: MAX_TREE });
            }
            tree = entry.object().map(gix::Object::into_tree).or_failed(action)?;
        }
        let mut entries = Vec::new();
        for entry in tree.iter() {
            let entry = entry.or_failed(action)?;
            let name = entry.filename().to_str_lossy().into_owned();
            entries.push(TreeEntry { name, is_folder: entry.mode().is_tree() });
        }
        entries.sort();
        Ok(entries)
    }

    /// All files in a commit's tree whose path ends with `suffix`, sorted.
    pub fn find_at(&self, commit: &CommitId, suffix: &str) -> Result<Vec<String>, GitError> {
        self.find_below(commit, "", suffix)
    }

    /// The same of a folder (`""` is the root), with whole paths; empty if there is no such folder.
    pub fn find_below(&self, commit: &CommitId, folder: &str, suffix: &str) -> Result<Vec<String>, GitError> {
        let action = || format!("cannot read the tree of commit {commit}");
        let repository = self.gix();
        let mut tree = find_tree(&repository, commit)?;
        if !folder.is_empty() {
            let entry = tree.lookup_entry(names(folder)).or_failed(action)?;
            let Some(entry) = entry.filter(|entry| entry.mode().is_tree()) else { return Ok(Vec::new()) };
            tree = entry.object().map(gix::Object::into_tree).or_failed(action)?;
        }
        let entries = tree.traverse().breadthfirst.files().or_failed(action)?;
        let above = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let mut paths: Vec<String> = entries
            .into_iter()
            .filter(|entry| entry.mode.is_blob() && entry.filepath.ends_with(suffix.as_bytes()))
            .filter_map(|entry| entry.filepath.to_str().ok().map(|path| format!("{above}{path}")))
            .collect();
        paths.sort();
        Ok(paths)
    }

    /// All files in a commit's tree with their contents, sorted by path. Those above `limit` bytes are left out.
    pub fn files_at(&self, commit: &CommitId, limit: u64) -> Result<Vec<(String, Vec<u8>)>, GitError> {
        let action = || format!("cannot read the tree of commit {commit}");
        let repository = self.gix();
        let entries = find_tree(&repository, commit)?.traverse().breadthfirst.files().or_failed(action)?;
        let mut files = Vec::new();
        for entry in entries.into_iter().filter(|entry| entry.mode.is_blob()) {
            let Ok(path) = entry.filepath.to_str() else { continue };
            if repository.find_header(entry.oid).or_failed(action)?.size() > limit {
                continue;
            }
            let mut object = repository.find_object(entry.oid).or_failed(action)?;
            files.push((path.to_owned(), std::mem::take(&mut object.data)));
        }
        files.sort();
        Ok(files)
    }

    /// The files whose path ends with `suffix` and that two commits do not have alike, sorted. Folders that are the same
    /// in both are not looked into.
    pub fn changed_between(&self, old: &CommitId, new: &CommitId, suffix: &str) -> Result<Vec<String>, GitError> {
        let action = || format!("cannot compare commits {old} and {new}");
        if old == new {
            return Ok(Vec::new());
        }
        let repository = self.gix();
        let trees = [find_tree(&repository, old)?, find_tree(&repository, new)?].map(|tree| Some(tree.id));
        let mut pending = vec![(String::new(), trees)];
        let mut changed = Vec::new();
        let mut entries = 0;
        while let Some((folder, trees)) = pending.pop() {
            let mut sides: BTreeMap<String, [Option<(gix::objs::tree::EntryMode, gix::ObjectId)>; 2]> = BTreeMap::new();
            for (side, tree) in trees.into_iter().enumerate() {
                let Some(tree) = tree else { continue };
                for entry in repository.find_tree(tree).or_failed(action)?.iter() {
                    let entry = entry.or_failed(action)?;
                    entries += 1;
                    let Ok(name) = entry.filename().to_str() else { continue };
                    sides.entry(format!("{folder}{name}")).or_default()[side] = Some((entry.mode(), entry.object_id()));
                }
            }
            // One tree may stand in another many times, so a few objects can name more than anybody could look at.
            if entries > MAX_COMPARED {
                return Err(GitError::Failed { action: action(), source: "they name too many files".into() });
            }
            for (path, sides) in sides.into_iter().filter(|(_, [old, new])| old != new) {
                if path.ends_with(suffix) && sides.iter().flatten().any(|(mode, _)| mode.is_blob()) {
                    changed.push(path.clone());
                }
                let trees = sides.map(|side| side.filter(|(mode, _)| mode.is_tree()).map(|(_, id)| id));
                if trees != [None, None] {
                    pending.push((format!("{path}/"), trees));
                }
            }
        }
        changed.sort();
        Ok(changed)
    }

    /// The first-parent history of a commit, newest first, at most `limit` long.
    pub fn first_parents(&self, tip: &CommitId, limit: usize) -> Result<Vec<CommitInfo>, GitError> {
        let action = || format!("cannot read the history of {tip}");
        let repository = self.gix();
        let walk = repository.rev_walk([to_gix(tip)]).first_parent_only().all().or_failed(action)?;
        let mut commits = Vec::new();
        for step in walk.take(limit) {
            let id = from_bytes(step.or_failed(action)?.id.as_slice())?;
            commits.push(commit_info(&repository, &id)?);
        }
        Ok(commits)
    }

    /// The same down to `known`, which is left out with all before it; the whole history where `known` is not in it.
    pub fn first_parents_since(&self, tip: &CommitId, known: Option<&CommitId>) -> Result<Vec<CommitInfo>, GitError> {
        let action = || format!("cannot read the history of {tip}");
        let repository = self.gix();
        let walk = repository.rev_walk([to_gix(tip)]).first_parent_only().all().or_failed(action)?;
        let mut commits = Vec::new();
        for step in walk {
            let id = from_bytes(step.or_failed(action)?.id.as_slice())?;
            if Some(&id) == known {
                break;
            }
            commits.push(commit_info(&repository, &id)?);
        }
        Ok(commits)
    }

    /// Whether history is cut off, as in a clone of a certain depth.
    pub fn is_shallow(&self) -> Result<bool, GitError> {
        self.gix().is_shallow().or_failed(|| "cannot tell whether history is whole")
    }

    /// A commit and all that lead to it, through every parent, in no certain order.
    pub fn ancestry(&self, tip: &CommitId) -> Result<Vec<CommitInfo>, GitError> {
        let action = || format!("cannot read the history of {tip}");
        let repository = self.gix();
        let walk = repository.rev_walk([to_gix(tip)]).all().or_failed(action)?;
        walk.map(|step| commit_info(&repository, &from_bytes(step.or_failed(action)?.id.as_slice())?)).collect()
    }

    /// git's drawing of the commits that `tips` reach. In the line of a commit stand, each behind a NUL, its id, the ids of
    /// its parents, and its short id with the names that point to it and its subject.
    pub fn graph(&self, tips: &[CommitId]) -> Result<String, GitError> {
        let input: String = tips.iter().map(|tip| format!("{tip}\n")).collect();
        if tips.is_empty() {
            return Ok(String::new());
        }
        let format = "--format=%x00%H%x00%P%x00%h%d %s";
        let output =
            self.git().input(input.into_bytes()).run(&["log", "--graph", "--color=never", format, "--stdin"])?;
        Ok(String::from_utf8_lossy(&output).into_owned())
    }

    /// The commits that `tips` reach and `hidden` do not, newest first. Hidden commits that are not here are ignored.
    pub fn reachable(&self, tips: &[CommitId], hidden: &[CommitId]) -> Result<Vec<CommitId>, GitError> {
        let action = || "cannot read the history";
        let repository = self.gix();
        let hidden = hidden.iter().filter(|id| self.has_commit(id)).map(to_gix);
        let walk = repository
            .rev_walk(tips.iter().map(to_gix))
            .with_hidden(hidden)
            .sorting(Sorting::ByCommitTime(CommitTimeOrder::NewestFirst))
            .all()
            .or_failed(action)?;
        walk.map(|step| from_bytes(step.or_failed(action)?.id.as_slice())).collect()
    }

    /// The files with paths ending with `suffix` that `tips` reach and `hidden` do not, in any of the commits, each
    /// content once. Hidden commits that are not here are ignored; contents above `limit` bytes are left out.
    pub fn added_files(
        &self,
        tips: &[CommitId],
        hidden: &[CommitId],
        suffix: &str,
        limit: u64,
    ) -> Result<Vec<AddedFile>, GitError> {
        // git itself walks trees against the hidden commits in the same way when it pushes.
        let mut input = String::new();
        for tip in tips {
            input += &format!("{tip}\n");
        }
        for commit in hidden.iter().filter(|id| self.has_commit(id)) {
            input += &format!("^{commit}\n");
        }
        if tips.is_empty() {
            return Ok(Vec::new());
        }
        let output = self.git().input(input.into_bytes()).run(&["rev-list", "--objects", "--stdin"])?;
        let repository = self.gix();
        let mut files = BTreeSet::new();
        for line in output.lines() {
            let Some((id, path)) = line.split_once_str(" ") else { continue };
            if !path.ends_with(suffix.as_bytes()) {
                continue;
            }
            let action = || format!("cannot read {}", path.as_bstr());
            let id = gix::ObjectId::from_hex(id).or_failed(action)?;
            let header = repository.find_header(id).or_failed(action)?;
            if header.kind() != gix::objs::Kind::Blob {
                continue;
            }
            let content = match header.size() <= limit {
                true => Some(std::mem::take(&mut repository.find_object(id).or_failed(action)?.data)),
                false => None,
            };
            files.insert(AddedFile { path: path.to_str_lossy().into_owned(), content });
        }
        Ok(files.into_iter().collect())
    }
}

fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|name| !name.is_empty())
}

fn find_tree<'a>(repository: &'a gix::Repository, commit: &CommitId) -> Result<gix::Tree<'a>, GitError> {
    repository
        .find_commit(to_gix(commit))
        .and_then(|commit| commit.tree())
        .or_failed(|| format!("cannot read commit {commit}"))
}

fn commit_info(repository: &gix::Repository, id: &CommitId) -> Result<CommitInfo, GitError> {
    let action = || format!("cannot read commit {id}");
    let commit = repository.find_commit(to_gix(id)).or_failed(action)?;
    let author = commit.author().or_failed(action)?;
    let time = commit.time().or_failed(action)?;
    Ok(CommitInfo {
        id: *id,
        parents: commit.parent_ids().map(|parent| from_bytes(parent.as_bytes())).collect::<Result<_, _>>()?,
        message: commit.message_raw().or_failed(action)?.to_str_lossy().into_owned(),
        author: author.name.to_str_lossy().into_owned(),
        email: author.email.to_str_lossy().into_owned(),
        time: jiff::Timestamp::from_second(time.seconds).or_failed(action)?,
    })
}
