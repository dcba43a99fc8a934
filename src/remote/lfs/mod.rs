//! Git LFS servers as remotes: what the host of a git repository already has.
//!
//! An LFS server keeps contents under their SHA-256 and has no list of them. The list is a ref of the same repository,
//! [`LIST_REF`]: a tree with a file for each object, which is a pointer as Git LFS has it. So the host sees that the
//! contents are in use, two clients that push at once merge what they list, and whoever may read the repository may read
//! the objects. What is very small is kept in the list itself.
//!
//! Architecture invariant: an object is in the list after its content is on the server.

mod access;
mod batch;
mod client;
mod endpoint;
mod list;
mod pointer;

pub use client::LfsClient;
pub(super) use endpoint::check_remote;
pub use pointer::{LfsPointer, MAX_LFS_POINTER, Oid};

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::objects::{Listed, Objects, Pace, write_at};
use super::{ObjectError, RemoteError, SshProgram};
use crate::files::Draft;
use crate::git::Repository;
use client::Source;
use list::{Entry, List};

/// The ref with the list of a repository's objects.
pub(crate) const LIST_REF: &str = "refs/ml/lfs";

/// What up to so many bytes is kept in the list itself.
const SMALL: usize = 1024;

/// The objects that a git remote's LFS server keeps.
#[derive(Debug)]
pub(crate) struct LfsObjects {
    client: LfsClient,
    list: Mutex<List>,
}

impl LfsObjects {
    /// The objects of the LFS server of `remote`, which is a git remote or the URL of a repository. Nothing is asked
    /// yet.
    pub(crate) fn new(
        repository: &Repository,
        remote: &str,
        allow_http: bool,
        ssh: SshProgram,
    ) -> Result<Self, RemoteError> {
        let client = LfsClient::new(repository, remote, allow_http, ssh)?;
        let list = Mutex::new(List::new(repository, remote, client.place.clone())?);
        Ok(Self { client, list })
    }

    fn listing(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes an object whose content is on the server. What another object will name is listed together with that.
    fn note(&self, name: &str, entry: Entry) -> Result<(), ObjectError> {
        let mut list = self.listing();
        list.set(name, Some(entry))?;
        match name.starts_with("packs/") {
            true => Ok(()),
            false => list.publish(),
        }
    }

    fn entry(&self, name: &str) -> Result<Entry, ObjectError> {
        let place = self.client.place.clone();
        self.listing().get(name)?.ok_or(ObjectError::NotFound { place, name: name.to_owned() })
    }
}

impl Objects for LfsObjects {
    /// A list in git has no times of its own, and a server of Git LFS tells none.
    fn tells_times(&self) -> bool {
        false
    }

    fn describe(&self) -> String {
        self.client.place.clone()
    }

    fn list(&self, folder: &str) -> Result<Vec<Listed>, ObjectError> {
        let mut list = self.listing();
        list.refresh()?;
        Ok(list.below(folder))
    }

    fn size(&self, name: &str) -> Result<Option<u64>, ObjectError> {
        Ok(self.listing().get(name)?.map(|entry| entry.size()))
    }

    fn read(&self, name: &str, range: Range<u64>) -> Result<Bytes, ObjectError> {
        match self.entry(name)? {
            Entry::Stored(pointer) => self.client.read(&pointer, range),
            Entry::Inline(content) if range.start <= range.end && range.end <= content.len() as u64 => {
                Ok(content.slice(range.start as usize..range.end as usize))
            }
            Entry::Inline(_) => Err(ObjectError::Failed {
                place: self.client.place.clone(),
                action: format!("read {name}"),
                problem: "it is shorter than that".to_owned(),
            }),
        }
    }

    fn put(&self, name: &str, content: Bytes) -> Result<(), ObjectError> {
        // The list can always be read, so nobody needs a copy of what is in it.
        if name == super::layout::CATALOG {
            return Ok(());
        }
        if content.len() <= SMALL && !LfsPointer::resembles(&content) {
            return self.note(name, Entry::Inline(content));
        }
        let pointer = LfsPointer { oid: Oid::of(&content), size: content.len() as u64 };
        self.client.upload(&pointer, Source::Memory(&content), &|_| ())?;
        self.note(name, Entry::Stored(pointer))
    }

    fn put_file(&self, name: &str, path: &Path, pace: &Pace<'_>) -> Result<(), ObjectError> {
        let (file, pointer) = hash(path).map_err(|error| ObjectError::Failed {
            place: self.client.place.clone(),
            action: format!("write {name}"),
            problem: format!("it cannot be read here: {error}"),
        })?;
        self.client.upload(&pointer, Source::File(&file), pace)?;
        self.note(name, Entry::Stored(pointer))
    }

    fn fetch(&self, name: &str, size: u64, output: &mut Draft, pace: &Pace<'_>) -> Result<(), ObjectError> {
        match self.entry(name)? {
            Entry::Stored(pointer) if pointer.size == size => self.client.download(&pointer, output, pace),
            entry => {
                let content = self.read(name, 0..size.min(entry.size()))?;
                pace(content.len() as u64);
                write_at(output, &content, 0)
            }
        }
    }

    /// Takes an object out of the list. Servers have no way to remove a content; the host may collect it.
    fn remove(&self, name: &str) -> Result<(), ObjectError> {
        let mut list = self.listing();
        match list.get(name)? {
            Some(_) => list.set(name, None).and_then(|()| list.publish()),
            None => Ok(()),
        }
    }

    /// Some servers send no parts, and of others each part costs a request at two places.
    fn gap(&self) -> u64 {
        1 << 20
    }
}

fn hash(path: &Path) -> std::io::Result<(File, LfsPointer)> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut size = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((file, LfsPointer { oid: Oid::finish(hasher), size })),
            Ok(count) => {
                hasher.update(&buffer[..count]);
                size += count as u64;
            }
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests;
