//! The list of the objects on an LFS server: a ref of the repository, with a file for each object.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::LIST_REF;
use super::pointer::LfsPointer;
use crate::git::{GitError, Pushed, RefCommit, Repository, TreeEdit};
use crate::id::{CommitId, Digest};
use crate::remote::ObjectError;
use crate::remote::objects::Listed;

/// How long what was fetched is taken for what is there. A push looks several times within a moment.
const FRESH: Duration = Duration::from_secs(2);

/// How often others may be faster before it is a failure.
const ATTEMPTS: u32 = 20;

/// Bytes of a file of the list that are looked at.
const MAX_FILE: u64 = 4096;

/// Where an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    /// On the server.
    Stored(LfsPointer),
    /// In the list itself.
    Inline(Bytes),
}

impl Entry {
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Stored(pointer) => pointer.size,
            Self::Inline(content) => content.len() as u64,
        }
    }

    fn file(&self) -> Vec<u8> {
        match self {
            Self::Stored(pointer) => pointer.text().into_bytes(),
            Self::Inline(content) => content.to_vec(),
        }
    }

    /// None for what begins as a pointer and is none.
    fn parse(file: Vec<u8>) -> Option<Self> {
        match LfsPointer::parse(&file) {
            Some(pointer) => Some(Self::Stored(pointer)),
            None if LfsPointer::resembles(&file) => None,
            None => Some(Self::Inline(file.into())),
        }
    }
}

/// The list, as it was fetched, and what is to be changed in it.
#[derive(Debug)]
pub(super) struct List {
    repository: Repository,
    remote: String,
    /// The ref of this repository with the list as it was fetched.
    local_ref: String,
    place: String,
    tip: Option<CommitId>,
    entries: BTreeMap<String, Entry>,
    fetched: Option<Instant>,
    /// None removes.
    changes: BTreeMap<String, Option<Entry>>,
}

impl List {
    pub(super) fn new(repository: &Repository, remote: &str, place: String) -> Result<Self, GitError> {
        let folder = repository.work_dir().unwrap_or(repository.git_dir());
        // The place rather than the name: a remote may be given another URL.
        let local_ref = format!("refs/ml/remotes/lfs-{}/list", Digest::of(place.as_bytes()).short());
        Ok(Self {
            repository: Repository::discover(folder)?,
            remote: remote.to_owned(),
            local_ref,
            place,
            tip: None,
            entries: BTreeMap::new(),
            fetched: None,
            changes: BTreeMap::new(),
        })
    }

    /// Fetches the list, unless that was done a moment ago.
    pub(super) fn refresh(&mut self) -> Result<(), ObjectError> {
        match self.fetched.is_some_and(|then| then.elapsed() < FRESH) {
            true => Ok(()),
            false => self.fetch(),
        }
    }

    fn fetch(&mut self) -> Result<(), ObjectError> {
        let tip = self.repository.fetch_ref(&self.remote, LIST_REF, &self.local_ref);
        let tip = tip.map_err(|error| self.unreachable(&error))?;
        if tip != self.tip || self.fetched.is_none() {
            let files = match &tip {
                Some(tip) => self.repository.files_at(tip, MAX_FILE).map_err(|error| self.failed("list", &error))?,
                None => Vec::new(),
            };
            self.entries =
                files.into_iter().filter_map(|(path, file)| Some((name_of(&path), Entry::parse(file)?))).collect();
            self.tip = tip;
        }
        self.fetched = Some(Instant::now());
        Ok(())
    }

    /// The entry of an object. It is looked for again where it was not there a moment ago.
    pub(super) fn get(&mut self, name: &str) -> Result<Option<Entry>, ObjectError> {
        if let Some(change) = self.changes.get(name) {
            return Ok(change.clone());
        }
        if let Some(entry) = self.entries.get(name) {
            return Ok(Some(entry.clone()));
        }
        self.refresh()?;
        Ok(self.entries.get(name).cloned())
    }

    /// The objects in a folder.
    pub(super) fn below(&self, folder: &str) -> Vec<Listed> {
        let prefix = format!("{folder}/");
        let mut entries = self.entries.clone();
        for (name, change) in &self.changes {
            match change {
                Some(entry) => entries.insert(name.clone(), entry.clone()),
                None => entries.remove(name),
            };
        }
        let below = entries.into_iter().filter(|(name, _)| name.starts_with(&prefix));
        below.map(|(name, entry)| Listed { name, size: entry.size(), modified: None }).collect()
    }

    /// Changes an entry, or removes it, in what is published next.
    pub(super) fn set(&mut self, name: &str, entry: Option<Entry>) -> Result<(), ObjectError> {
        if path_of(name).is_none() {
            let problem = "that is no name for an object".to_owned();
            return Err(ObjectError::Failed { place: self.place.clone(), action: format!("write {name}"), problem });
        }
        self.changes.insert(name.to_owned(), entry);
        Ok(())
    }

    /// Pushes what was changed. Where others push at the same time, their changes and ours are both there afterwards.
    pub(super) fn publish(&mut self) -> Result<(), ObjectError> {
        for attempt in 0..ATTEMPTS {
            match attempt {
                0 => self.refresh()?,
                _ => self.fetch()?,
            }
            let edits: Vec<TreeEdit> = self
                .changes
                .iter()
                .filter(|(name, change)| self.entries.get(*name) != change.as_ref())
                .filter_map(|(name, change)| {
                    Some(TreeEdit { path: path_of(name)?, content: change.as_ref().map(Entry::file) })
                })
                .collect();
            if edits.is_empty() {
                self.changes.clear();
                return Ok(());
            }
            match self.push(edits) {
                Ok(Pushed::Done) => {
                    for (name, change) in std::mem::take(&mut self.changes) {
                        match change {
                            Some(entry) => self.entries.insert(name, entry),
                            None => self.entries.remove(&name),
                        };
                    }
                    return Ok(());
                }
                Ok(Pushed::Outdated) | Err(GitError::RefMoved { .. }) => {
                    std::thread::sleep(pause_after(attempt));
                }
                Err(error) => return Err(self.failed("change the list of objects", &error)),
            }
        }
        let problem = "others change the list of objects all the time".to_owned();
        Err(ObjectError::Unreachable { place: self.place.clone(), problem })
    }

    fn push(&mut self, edits: Vec<TreeEdit>) -> Result<Pushed, GitError> {
        let message = format!("list: {} changed\n", crate::words::count(edits.len() as u64, "object"));
        let author = self.repository.identity()?;
        let commit = self.repository.commit_to_ref(&RefCommit {
            reference: &self.local_ref,
            expected: self.tip,
            edits,
            message: &message,
            extra_parents: Vec::new(),
            author: &author,
        })?;
        let pushed = self.repository.push_ref(&self.remote, &commit, LIST_REF)?;
        if pushed == Pushed::Done {
            self.tip = Some(commit);
        }
        Ok(pushed)
    }

    fn unreachable(&self, error: &GitError) -> ObjectError {
        ObjectError::Unreachable { place: self.place.clone(), problem: words_of(error) }
    }

    fn failed(&self, action: &str, error: &GitError) -> ObjectError {
        let (place, action) = (self.place.clone(), action.to_owned());
        ObjectError::Failed { place, action, problem: words_of(error) }
    }
}

/// How long to wait before trying again: not all clients alike.
fn pause_after(attempt: u32) -> Duration {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let most = 40 << attempt.min(6);
    Duration::from_millis(u64::from(now.subsec_micros()) % most)
}

fn words_of(error: &GitError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// Where an object's file is in the tree: in a folder by the first digits of its name, or one folder would have all of
/// them. None for a name that would leave the tree.
fn path_of(name: &str) -> Option<String> {
    let is_part = |part: &str| !matches!(part, "" | "." | ".." | ".git") && !part.contains(char::is_control);
    if !name.split('/').all(is_part) {
        return None;
    }
    match name.rsplit_once('/') {
        Some((folder, file)) => Some(format!("{folder}/{}/{file}", file.chars().take(2).collect::<String>())),
        None => Some(name.to_owned()),
    }
}

/// The object whose file is at `path` in the tree.
fn name_of(path: &str) -> String {
    let Some((folder, file)) = path.rsplit_once('/') else { return path.to_owned() };
    match folder.rsplit_once('/') {
        Some((folder, digits)) if file.starts_with(digits) => format!("{folder}/{file}"),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_paths_go_over_into_each_other() {
        for (name, path) in
            [("git-ml.toml", "git-ml.toml"), ("packs/ab12.pack", "packs/ab/ab12.pack"), ("x/y/ü1", "x/y/ü1/ü1")]
        {
            assert_eq!(path_of(name).as_deref(), Some(path));
            assert_eq!(name_of(path), name);
        }
        for bad in ["", "/x", "../x", "a/../b", ".git/hooks", "a//b", "a\nb"] {
            assert_eq!(path_of(bad), None, "{bad:?}");
        }
    }
}
