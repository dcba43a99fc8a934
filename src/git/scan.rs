//! Reading many small files of a commit at once.

use gix::bstr::ByteSlice;
use gix::objs::{Find as _, TreeRefIter};
use rayon::prelude::*;

use super::error::OrFailed;
use super::repository::to_gix;
use super::{GitError, Repository};
use crate::id::CommitId;

const SHA1: gix::hash::Kind = gix::hash::Kind::Sha1;

/// Takes the name of a file's folder, and its content or why that cannot be read.
pub type ReadFile<'r, T> = &'r (dyn Fn(&str, Result<&[u8], GitError>) -> Option<T> + Sync);

impl Repository {
    /// Reads the files that are called `name` and lie in a folder of a folder of a commit's tree, on all cores, and hands
    /// each to `read` with the name of its own folder. A file of more than `limit` bytes is an error of its own.
    pub fn read_all_at<T: Send>(
        &self,
        commit: &CommitId,
        name: &str,
        limit: u64,
        read: ReadFile<'_, T>,
    ) -> Result<Vec<T>, GitError> {
        let action = || format!("cannot read the tree of commit {commit}");
        let repository = self.gix();
        let tree = repository.find_commit(to_gix(commit)).and_then(|commit| commit.tree()).or_failed(action)?;
        let outer: Vec<gix::ObjectId> = folders(&tree.data)?.into_iter().map(|(_, id)| id).collect();
        let pieces: Vec<Result<Vec<T>, GitError>> = outer
            .par_iter()
            .map_init(
                || (self.gix(), Vec::new(), Vec::new()),
                |(repository, tree, file), id| {
                    let mut found = Vec::new();
                    let inner = read_object(repository, *id, tree).and_then(folders)?;
                    for (folder, id) in inner {
                        let content = read_file(repository, id, name, limit, tree, file);
                        found.extend(content.transpose().and_then(|content| read(&folder, content)));
                    }
                    Ok(found)
                },
            )
            .collect();
        let mut all = Vec::new();
        for piece in pieces {
            all.extend(piece?);
        }
        Ok(all)
    }
}

/// The file of that name in a tree; none without one.
fn read_file<'b>(
    repository: &gix::Repository,
    tree_id: gix::ObjectId,
    name: &str,
    limit: u64,
    tree: &mut Vec<u8>,
    file: &'b mut Vec<u8>,
) -> Result<Option<&'b [u8]>, GitError> {
    let Some(id) = entry_of(read_object(repository, tree_id, tree)?, name) else { return Ok(None) };
    let bytes = repository.find_header(id).or_failed(|| format!("cannot read object {id}"))?.size();
    if bytes > limit {
        return Err(GitError::TooLarge { path: name.to_owned(), bytes, limit });
    }
    read_object(repository, id, file).map(Some)
}

fn read_object<'b>(
    repository: &gix::Repository,
    id: gix::ObjectId,
    buffer: &'b mut Vec<u8>,
) -> Result<&'b [u8], GitError> {
    let action = || format!("cannot read object {id}");
    let found = repository.objects.try_find(&id, buffer).or_failed(action)?;
    found.map(|object| object.data).ok_or("it is not here").or_failed(action)
}

/// The folders in a tree.
fn folders(tree: &[u8]) -> Result<Vec<(String, gix::ObjectId)>, GitError> {
    let mut found = Vec::new();
    for entry in TreeRefIter::from_bytes(tree, SHA1) {
        let entry = entry.or_failed(|| "cannot read a tree")?;
        if entry.mode.is_tree() {
            found.push((entry.filename.to_str_lossy().into_owned(), entry.oid.to_owned()));
        }
    }
    Ok(found)
}

/// The file of that name in a tree.
fn entry_of(tree: &[u8], name: &str) -> Option<gix::ObjectId> {
    let mut entries = TreeRefIter::from_bytes(tree, SHA1).filter_map(Result::ok);
    entries.find(|entry| entry.mode.is_blob() && entry.filename == name).map(|entry| entry.oid.to_owned())
}
