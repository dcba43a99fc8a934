//! Trees by their ids: what differs is found without reading what is the same, and new trees are made from parts.

use std::fmt;
use std::str::FromStr;

use gix::bstr::ByteSlice;

use super::error::OrFailed;
use super::repository::{from_bytes, to_git2};
use super::{GitError, Identity, Repository};
use crate::id::{CommitId, ParseIdError};

/// Bytes of a tree that are read: a million names.
pub(super) const MAX_TREE: u64 = 64 << 20;

/// A tree, or a file's content, by its id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName([u8; 20]);

impl fmt::Debug for ObjectName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ObjectName({})", gix::ObjectId::from(self.0))
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.gix())
    }
}

impl FromStr for ObjectName {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        Ok(Self(*text.parse::<CommitId>()?.as_bytes()))
    }
}

impl ObjectName {
    /// The object of an id.
    #[cfg(test)]
    pub(crate) fn from_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    fn of(id: &gix::oid) -> Result<Self, GitError> {
        Ok(Self(*from_bytes(id.as_bytes())?.as_bytes()))
    }

    fn gix(&self) -> gix::ObjectId {
        gix::ObjectId::from(self.0)
    }

    fn git2(&self) -> Result<git2::Oid, GitError> {
        to_git2(&CommitId::from_bytes(self.0))
    }
}

/// What a name in a tree stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartKind {
    /// A tree.
    Folder,
    /// An ordinary file that cannot be run.
    File,
    /// A link, a program, another repository, or something whose name is not text.
    Other,
}

/// A name in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreePart {
    /// The name.
    pub name: String,
    /// What it stands for.
    pub kind: PartKind,
    /// The object.
    pub id: ObjectName,
}

/// What a path of a new tree is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    /// A file with these bytes.
    Bytes(Vec<u8>),
    /// A file that is in the object database.
    File(ObjectName),
    /// A folder that is in the object database.
    Folder(ObjectName),
}

impl Repository {
    /// The tree of a commit.
    pub fn tree_of(&self, commit: &CommitId) -> Result<ObjectName, GitError> {
        ObjectName::of(&self.tree_id_of(commit)?)
    }

    /// The tree without anything in it.
    pub fn empty_tree(&self) -> Result<ObjectName, GitError> {
        let repository = self.git2()?;
        let id = repository.treebuilder(None).and_then(|empty| empty.write());
        let id = id.or_failed(|| "cannot write an empty tree")?;
        Ok(ObjectName(*from_bytes(id.as_bytes())?.as_bytes()))
    }

    /// The names in a tree. Refused where there are more than anybody can mean.
    pub fn parts_of(&self, tree: &ObjectName) -> Result<Vec<TreePart>, GitError> {
        let action = || format!("cannot read the tree {}", tree.gix());
        let repository = self.gix();
        if tree.gix() == gix::ObjectId::empty_tree(gix::hash::Kind::Sha1) {
            return Ok(Vec::new());
        }
        let bytes = repository.find_header(tree.gix()).or_failed(action)?.size();
        if bytes > MAX_TREE {
            return Err(GitError::TooLarge { path: tree.gix().to_string(), bytes, limit: MAX_TREE });
        }
        let found = repository.find_tree(tree.gix()).or_failed(action)?;
        let mut parts = Vec::new();
        for entry in found.iter() {
            let entry = entry.or_failed(action)?;
            let kind = match entry.mode().kind() {
                _ if entry.filename().to_str().is_err() => PartKind::Other,
                gix::objs::tree::EntryKind::Tree => PartKind::Folder,
                gix::objs::tree::EntryKind::Blob => PartKind::File,
                _ => PartKind::Other,
            };
            let name = entry.filename().to_str_lossy().into_owned();
            parts.push(TreePart { name, kind, id: ObjectName::of(entry.oid())? });
        }
        Ok(parts)
    }

    /// Whether the object database has a tree or a file.
    pub fn has_object(&self, object: &ObjectName) -> bool {
        self.gix().find_header(object.gix()).is_ok()
    }

    /// How many bytes a file has.
    pub fn file_size(&self, file: &ObjectName) -> Result<u64, GitError> {
        let header = self.gix().find_header(file.gix()).or_failed(|| format!("cannot read the file {}", file.gix()))?;
        Ok(header.size())
    }

    /// A file's content; none where it is larger than `limit`.
    pub fn read_file(&self, file: &ObjectName, limit: u64) -> Result<Option<Vec<u8>>, GitError> {
        let action = || format!("cannot read the file {}", file.gix());
        let repository = self.gix();
        if repository.find_header(file.gix()).or_failed(action)?.size() > limit {
            return Ok(None);
        }
        let mut object = repository.find_object(file.gix()).or_failed(action)?;
        Ok(Some(std::mem::take(&mut object.data)))
    }

    /// Writes a tree: `base` with these paths put into it. No ref names it yet.
    pub fn write_tree(&self, base: &ObjectName, puts: &[(String, Put)]) -> Result<ObjectName, GitError> {
        let action = || "cannot write a tree";
        let repository = self.git2()?;
        let mut update = git2::build::TreeUpdateBuilder::new();
        for (path, put) in puts {
            let (id, mode) = match put {
                Put::Bytes(bytes) => (repository.blob(bytes).or_failed(action)?, git2::FileMode::Blob),
                Put::File(id) => (id.git2()?, git2::FileMode::Blob),
                Put::Folder(id) => (id.git2()?, git2::FileMode::Tree),
            };
            update.upsert(path.as_str(), id, mode);
        }
        let base = repository.find_tree(base.git2()?).or_failed(action)?;
        let id = update.create_updated(&repository, &base).or_failed(action)?;
        Ok(ObjectName(*from_bytes(id.as_bytes())?.as_bytes()))
    }

    /// Writes a commit. No ref names it yet.
    pub fn write_commit(
        &self,
        tree: &ObjectName,
        parents: &[CommitId],
        message: &str,
        author: &Identity,
    ) -> Result<CommitId, GitError> {
        let action = || "cannot write a commit";
        let repository = self.git2()?;
        let tree = repository.find_tree(tree.git2()?).or_failed(action)?;
        let find = |parent| repository.find_commit(to_git2(parent)?).or_failed(action);
        let parents = parents.iter().map(find).collect::<Result<Vec<_>, _>>()?;
        let parents: Vec<&git2::Commit<'_>> = parents.iter().collect();
        let author = author.signature()?;
        let id = repository.commit(None, &author, &author, message, &tree, &parents).or_failed(action)?;
        from_bytes(id.as_bytes())
    }

    /// The commit from which two histories went different ways; of several the same one for everybody. None where
    /// they have nothing in common.
    pub fn merge_base(&self, one: &CommitId, other: &CommitId) -> Result<Option<CommitId>, GitError> {
        let (one, other) = (one.to_string(), other.to_string());
        let (code, output) = self.git().run_with_codes(&["merge-base", "--all", &one, &other], &[1])?;
        if code != 0 {
            return Ok(None);
        }
        let ids = output.lines().filter_map(|line| line.to_str().ok()?.trim().parse::<CommitId>().ok());
        Ok(ids.min())
    }

    /// Whether `older` is `newer` or in its history.
    pub fn is_ancestor(&self, older: &CommitId, newer: &CommitId) -> Result<bool, GitError> {
        if older == newer {
            return Ok(true);
        }
        let (older, newer) = (older.to_string(), newer.to_string());
        Ok(self.git().run_with_codes(&["merge-base", "--is-ancestor", &older, &newer], &[1])?.0 == 0)
    }

    /// When the commit was made that gave a path the content it has at `tip`, in seconds; none if nothing ever did.
    pub fn changed_at(&self, tip: &CommitId, path: &str) -> Result<Option<i64>, GitError> {
        let path = format!(":(literal,top){path}");
        let output = self.git().run(&["log", "-1", "--format=%ct", &tip.to_string(), "--", &path])?;
        Ok(output.to_str().ok().and_then(|text| text.trim().parse().ok()))
    }
}
