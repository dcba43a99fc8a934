//! Everything that a repository's refs, reflogs, heads and indexes lead to, each object looked at once.
//!
//! Whoever throws bytes away has to know all that may still name them. So this sees what git itself keeps, and a
//! little more, and it fails where something is not there to be seen: what is cut off could name anything.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use gix::ObjectId;
use gix::bstr::ByteSlice;
use gix::objs::{CommitRefIter, Find as _, Kind, TagRefIter, TreeRefIter};

use super::error::OrFailed;
use super::repository::from_bytes;
use super::{GitError, Repository};
use crate::id::CommitId;

const SHA1: gix::hash::Kind = gix::hash::Kind::Sha1;

/// Something in a repository that names an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// `refs/heads/main`, `logs/refs/stash`, `worktrees/x/HEAD`.
    pub name: String,
    id: ObjectId,
    /// Whether git itself may have thrown the object away, as it does with what only an old reflog names.
    may_be_gone: bool,
}

/// A work tree of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worktree {
    /// Its own git folder: the common one, or `worktrees/<name>` in it.
    pub git_dir: PathBuf,
    /// Its top; none for a bare repository, and where it is not there now.
    pub top: Option<PathBuf>,
}

/// A file of the wanted names, as some commit, tag or index has it.
#[derive(Debug)]
pub struct HistoryFile<'a> {
    /// The root that led to it first.
    pub root: &'a str,
    /// The commit that led to it first; none where a tag or an index names it.
    pub commit: Option<CommitId>,
    /// Its path there; empty where a root names the file itself.
    pub path: String,
    /// The content; none where it is larger than was allowed.
    pub content: Option<&'a [u8]>,
}

/// A walk that looks at every object once, however often it is named.
pub struct History {
    repository: gix::Repository,
    limit: u64,
    seen: HashSet<ObjectId>,
    /// Blobs are seen under wanted names only: another name of the same content is another question.
    seen_files: HashSet<ObjectId>,
    commits: u64,
    buffer: Vec<u8>,
}

impl std::fmt::Debug for History {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("History").field("seen", &self.seen.len()).finish_non_exhaustive()
    }
}

impl Repository {
    /// Everything outside of the object database that names an object: refs, the heads of all work trees, and every
    /// line of every reflog.
    ///
    /// Refused where refs are kept in a way that cannot be read here.
    pub fn roots(&self) -> Result<Vec<Root>, GitError> {
        let action = || "cannot list the refs";
        if self.common_dir().join("reftable").exists() {
            return Err(GitError::UnknownRefStorage);
        }
        let mut roots = Roots::default();
        let repository = self.gix();
        let platform = repository.references().or_failed(action)?;
        for reference in platform.all().or_failed(action)? {
            let reference = reference.or_failed(action)?;
            // A symbolic ref leads to another one of the list, or to nothing yet.
            if let Some(id) = reference.try_id() {
                roots.add(reference.name().as_bstr().to_string(), id.detach(), false);
            }
        }
        let mut git_dirs = vec![(String::new(), self.common_dir().to_path_buf())];
        git_dirs.extend(linked_git_dirs(self.common_dir())?);
        for (prefix, git_dir) in git_dirs {
            if !prefix.is_empty() {
                roots.read_files(&prefix, &git_dir, &git_dir.join("refs"), false)?;
            }
            roots.read_heads(&prefix, &git_dir)?;
            roots.read_files(&prefix, &git_dir, &git_dir.join("logs"), true)?;
        }
        Ok(roots.found)
    }

    /// Every work tree, the main one first.
    pub fn worktrees(&self) -> Result<Vec<Worktree>, GitError> {
        let main = self.gix().main_repo().or_failed(|| "cannot open the main work tree")?;
        let top = main.workdir().map(Path::to_path_buf).filter(|top| top.is_dir());
        let mut worktrees = vec![Worktree { git_dir: self.common_dir().to_path_buf(), top }];
        for (_, git_dir) in linked_git_dirs(self.common_dir())? {
            let place = read_optional(&git_dir.join("gitdir"))?.unwrap_or_default();
            let place = git_dir.join(place.trim_end().to_path_lossy());
            let top = place.parent().filter(|top| top.is_dir()).map(Path::to_path_buf);
            worktrees.push(Worktree { git_dir, top });
        }
        Ok(worktrees)
    }

    /// A walk over history that reads files of up to `limit` bytes. Refused in a shallow clone, where commits are cut
    /// off.
    pub fn history(&self, limit: u64) -> Result<History, GitError> {
        let mut repository = self.gix();
        if self.is_shallow()? {
            return Err(GitError::Shallow);
        }
        // A replacement hides the original, which is back as soon as the replacement goes.
        repository.objects.ignore_replacements = true;
        Ok(History {
            repository,
            limit,
            seen: HashSet::new(),
            seen_files: HashSet::new(),
            commits: 0,
            buffer: Vec::new(),
        })
    }
}

impl History {
    /// How many commits were seen.
    pub fn commits(&self) -> u64 {
        self.commits
    }

    /// Hands `found` each file with a wanted name that `root` leads to and that no root before it led to.
    pub fn follow(
        &mut self,
        root: &Root,
        wanted: &dyn Fn(&[u8]) -> bool,
        found: &mut dyn FnMut(HistoryFile<'_>),
    ) -> Result<(), GitError> {
        if root.may_be_gone && !self.repository.has_object(root.id) {
            return Ok(());
        }
        let mut pending = vec![(root.id, None)];
        while let Some((id, from)) = pending.pop() {
            if !self.seen.insert(id) {
                continue;
            }
            let mut buffer = std::mem::take(&mut self.buffer);
            match self.read(id, &root.name, &mut buffer)? {
                Kind::Commit => {
                    self.commits += 1;
                    let commit = from_bytes(id.as_slice())?;
                    let mut fields = CommitRefIter::from_bytes(&buffer, SHA1);
                    let tree = fields.tree_id().or_failed(|| format!("cannot read commit {id}"))?;
                    // The tree comes off the stack first, so that its files are told of with this commit.
                    pending.extend(fields.parent_ids().map(|parent| (parent, None)));
                    pending.push((tree, Some(commit)));
                }
                Kind::Tag => {
                    let target = TagRefIter::from_bytes(&buffer, SHA1).target_id();
                    pending.push((target.or_failed(|| format!("cannot read tag {id}"))?, None));
                }
                Kind::Tree => {
                    self.buffer = buffer;
                    self.follow_tree(id, root, from, wanted, found)?;
                    continue;
                }
                Kind::Blob => {
                    let content = (buffer.len() as u64 <= self.limit).then_some(buffer.as_slice());
                    found(HistoryFile { root: &root.name, commit: None, path: String::new(), content });
                }
            }
            self.buffer = buffer;
        }
        Ok(())
    }

    /// The same for what is staged in a work tree, in any stage of a conflict.
    pub fn follow_index(
        &mut self,
        worktree: &Worktree,
        wanted: &dyn Fn(&[u8]) -> bool,
        found: &mut dyn FnMut(HistoryFile<'_>),
    ) -> Result<(), GitError> {
        let place = worktree.git_dir.join("index");
        let name = place.display().to_string();
        let index = gix::index::File::at_or_default(&place, SHA1, false, gix::index::decode::Options::default())
            .or_failed(|| format!("cannot read {name}"))?;
        let root = Root { name, id: ObjectId::null(SHA1), may_be_gone: false };
        for entry in index.entries() {
            let path = entry.path(&index);
            if entry.mode.is_sparse() {
                // A folder that a sparse checkout leaves out stands in the index as one entry.
                if self.seen.insert(entry.id) {
                    self.follow_tree(entry.id, &root, None, wanted, found)?;
                }
            } else if wanted(file_name(path)) && is_file(entry.mode) {
                // A path that is only meant to be added has the id of no content.
                if !entry.flags.contains(gix::index::entry::Flags::INTENT_TO_ADD) {
                    self.hand_over(entry.id, &root, None, path.to_str_lossy().into_owned(), found)?;
                }
            }
        }
        Ok(())
    }

    /// Goes through a tree, which is not seen yet, and the trees in it.
    fn follow_tree(
        &mut self,
        tree: ObjectId,
        root: &Root,
        commit: Option<CommitId>,
        wanted: &dyn Fn(&[u8]) -> bool,
        found: &mut dyn FnMut(HistoryFile<'_>),
    ) -> Result<(), GitError> {
        let mut pending = vec![(tree, String::new())];
        while let Some((tree, path)) = pending.pop() {
            let mut buffer = std::mem::take(&mut self.buffer);
            if self.read(tree, &root.name, &mut buffer)? != Kind::Tree {
                return Err(GitError::MissingObject { id: tree.to_string(), root: root.name.clone() });
            }
            let mut files = Vec::new();
            for entry in TreeRefIter::from_bytes(&buffer, SHA1) {
                let entry = entry.or_failed(|| format!("cannot read tree {tree}"))?;
                let place = || match path.as_str() {
                    "" => entry.filename.to_str_lossy().into_owned(),
                    folder => format!("{folder}/{}", entry.filename.to_str_lossy()),
                };
                if entry.mode.is_tree() {
                    let id = entry.oid.to_owned();
                    if self.seen.insert(id) {
                        pending.push((id, place()));
                    }
                } else if entry.mode.is_blob() && wanted(entry.filename) {
                    files.push((entry.oid.to_owned(), place()));
                }
            }
            self.buffer = buffer;
            for (id, place) in files {
                self.hand_over(id, root, commit, place, found)?;
            }
        }
        Ok(())
    }

    /// Reads a file with a wanted name, unless it was handed over before.
    fn hand_over(
        &mut self,
        id: ObjectId,
        root: &Root,
        commit: Option<CommitId>,
        path: String,
        found: &mut dyn FnMut(HistoryFile<'_>),
    ) -> Result<(), GitError> {
        if !self.seen_files.insert(id) {
            return Ok(());
        }
        let missing = || GitError::MissingObject { id: id.to_string(), root: root.name.clone() };
        let header = self.repository.try_find_header(id).or_failed(|| format!("cannot read object {id}"))?;
        if header.ok_or_else(missing)?.size() > self.limit {
            found(HistoryFile { root: &root.name, commit, path, content: None });
            return Ok(());
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        self.read(id, &root.name, &mut buffer)?;
        found(HistoryFile { root: &root.name, commit, path, content: Some(&buffer) });
        self.buffer = buffer;
        Ok(())
    }

    /// Reads an object, which has to be here.
    fn read(&self, id: ObjectId, root: &str, buffer: &mut Vec<u8>) -> Result<Kind, GitError> {
        // git need not store it to have it.
        if id == ObjectId::empty_tree(SHA1) {
            buffer.clear();
            return Ok(Kind::Tree);
        }
        let object = self.repository.objects.try_find(&id, buffer).or_failed(|| format!("cannot read object {id}"))?;
        let object = object.ok_or_else(|| GitError::MissingObject { id: id.to_string(), root: root.to_owned() })?;
        Ok(object.kind)
    }
}

/// Roots as they are gathered, each object once.
#[derive(Debug, Default)]
struct Roots {
    found: Vec<Root>,
    seen: HashSet<ObjectId>,
}

impl Roots {
    fn add(&mut self, name: String, id: ObjectId, may_be_gone: bool) {
        if !id.is_null() && self.seen.insert(id) {
            self.found.push(Root { name, id, may_be_gone });
        }
    }

    /// What the files in `folder` name, which is `logs` or `refs` in a git folder.
    fn read_files(&mut self, prefix: &str, git_dir: &Path, folder: &Path, are_logs: bool) -> Result<(), GitError> {
        for entry in list(folder)? {
            let path = entry.path();
            let kind = entry.file_type().or_failed(|| format!("cannot read {}", path.display()))?;
            if kind.is_dir() {
                self.read_files(prefix, git_dir, &path, are_logs)?;
            } else if let Some(text) = read_optional(&path)? {
                let name = format!("{prefix}{}", path.strip_prefix(git_dir).unwrap_or(&path).display());
                for line in text.lines() {
                    // A line of a reflog has the old and the new id before anything else.
                    let ids = line.fields().take(if are_logs { 2 } else { 1 });
                    for id in ids.filter_map(|id| ObjectId::from_hex(id).ok()) {
                        self.add(name.clone(), id, are_logs);
                    }
                }
            }
        }
        Ok(())
    }

    /// HEAD and what stands beside it: MERGE_HEAD, ORIG_HEAD, FETCH_HEAD and whatever else git makes.
    fn read_heads(&mut self, prefix: &str, git_dir: &Path) -> Result<(), GitError> {
        for entry in list(git_dir)? {
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| name.ends_with("HEAD") || name.starts_with("BISECT")) else {
                continue;
            };
            if !entry.file_type().is_ok_and(|kind| kind.is_file()) {
                continue;
            }
            for line in read_optional(&entry.path())?.unwrap_or_default().lines() {
                if let Some(id) = line.fields().next().and_then(|id| ObjectId::from_hex(id).ok()) {
                    self.add(format!("{prefix}{name}"), id, name != "HEAD");
                }
            }
        }
        Ok(())
    }
}

/// The git folders of linked work trees, with what names in them begin with.
fn linked_git_dirs(common_dir: &Path) -> Result<Vec<(String, PathBuf)>, GitError> {
    let mut found = Vec::new();
    for entry in list(&common_dir.join("worktrees"))? {
        if entry.path().join("HEAD").exists() {
            found.push((format!("worktrees/{}/", entry.file_name().to_string_lossy()), entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// What is in a folder; nothing where there is none.
fn list(folder: &Path) -> Result<Vec<fs::DirEntry>, GitError> {
    let action = || format!("cannot read {}", folder.display());
    match fs::read_dir(folder) {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(Vec::new()),
        entries => entries.and_then(Iterator::collect).or_failed(action),
    }
}

/// A file's content; none where there is none, as when git is just removing it.
fn read_optional(path: &Path) -> Result<Option<Vec<u8>>, GitError> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        bytes => bytes.map(Some).or_failed(|| format!("cannot read {}", path.display())),
    }
}

fn file_name(path: &gix::bstr::BStr) -> &[u8] {
    path.rsplit_once_str("/").map_or(path.as_bytes(), |(_, name)| name)
}

fn is_file(mode: gix::index::entry::Mode) -> bool {
    mode == gix::index::entry::Mode::FILE || mode == gix::index::entry::Mode::FILE_EXECUTABLE
}
