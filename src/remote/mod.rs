//! Remotes: places that other clones reach, to which artifacts are pushed and from which they are pulled.
//!
//! A remote is a folder (`file://`) that holds a store of its own, with the same packs as `.git/ml`. What travels are
//! whole packs: they are immutable and named by their content, so a transfer that was cut off goes on where it
//! stopped, and two that run at once do each other no harm.
//!
//! Architecture invariant: a pack is checked, every byte of it, before the receiving store names it.

mod configured;
mod objects;

pub use configured::{Configured, Scope, configure, configured};
pub use objects::ObjectError;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::config::{ConfigError, is_plain_name};
use crate::files::FileError;
use crate::git::GitError;
use crate::id::{ArtifactId, PackId};
use crate::store::{PackInfo, Store, StoreError};
use crate::track::Progress;

/// What can go wrong with a remote.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// A name that a remote cannot have.
    #[error("`{name}` cannot be the name of a remote")]
    BadName {
        /// As it was given.
        name: String,
    },
    /// A place that this version cannot use.
    #[error("`{url}` cannot be a remote: {reason}")]
    BadUrl {
        /// As it was given.
        url: String,
        /// Why.
        reason: &'static str,
    },
    /// The folder is not there, or holds no store.
    #[error("the remote `{name}` is out of reach: there is no store in {}", folder.display())]
    OutOfReach {
        /// The remote.
        name: String,
        /// Its folder.
        folder: PathBuf,
    },
    /// Some artifacts are not at the place they should be sent from.
    #[error("{} of the artifacts asked for are not in {place}, the first is {first}", missing)]
    Missing {
        /// How many.
        missing: usize,
        /// `this repository's store` or `the remote …`.
        place: String,
        /// One of them.
        first: ArtifactId,
    },
    /// A pack arrived with another content than its name says.
    #[error("pack {pack} in {place} is damaged")]
    Damaged {
        /// The pack, as it was named.
        pack: PackId,
        /// `this repository's store` or `the remote …`.
        place: String,
    },
    /// There is no remote of that name.
    #[error("there is no remote `{name}`")]
    Unknown {
        /// As it was asked for.
        name: String,
    },
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The configuration is not valid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// git failed.
    #[error(transparent)]
    Git(#[from] GitError),
    /// A folder could not be made.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A remote, opened.
#[derive(Debug)]
pub struct Remote {
    name: String,
    store: Store,
}

/// What a transfer moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Transferred {
    /// Artifacts that were not there before.
    pub artifacts: usize,
    /// Packs copied.
    pub packs: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// The folder that `url` names: `file:///a/folder`, or a path from the root.
pub fn folder_of(url: &str) -> Result<PathBuf, RemoteError> {
    let fail = |reason| RemoteError::BadUrl { url: url.to_owned(), reason };
    let path = match url.strip_prefix("file://") {
        Some(path) => path,
        None if url.contains("://") => return Err(fail("only folders (file://) can be remotes so far")),
        None => url,
    };
    if path.contains('\0') || !Path::new(path).is_absolute() {
        return Err(fail("the folder has to be given from the root: file:///a/folder"));
    }
    Ok(PathBuf::from(path))
}

/// Whether `name` can be the name of a remote: letters, digits, `.`, `_` and `-`, beginning with a letter or digit.
pub fn check_name(name: &str) -> Result<(), RemoteError> {
    let is_fine = name.len() <= 128 && is_plain_name(name);
    if is_fine { Ok(()) } else { Err(RemoteError::BadName { name: name.chars().take(64).collect() }) }
}

impl Remote {
    /// Makes the remote's folder and the store in it, unless they are there.
    pub fn create(name: &str, url: &str) -> Result<Self, RemoteError> {
        check_name(name)?;
        Ok(Self { name: name.to_owned(), store: Store::open(&folder_of(url)?)? })
    }

    /// Opens a remote that is there. Nothing is made: a URL that somebody else wrote must not.
    pub fn open(name: &str, url: &str) -> Result<Self, RemoteError> {
        let folder = folder_of(url)?;
        if !folder.join("packs").is_dir() || !folder.join("index").is_dir() {
            return Err(RemoteError::OutOfReach { name: name.to_owned(), folder });
        }
        Ok(Self { name: name.to_owned(), store: Store::open(&folder)? })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether all of an artifact is there.
    pub fn has(&self, artifact: &ArtifactId) -> Result<bool, RemoteError> {
        Ok(self.store.has_artifact(artifact)?)
    }

    /// Sends artifacts from `store`.
    pub fn push(
        &self,
        store: &Store,
        artifacts: &[ArtifactId],
        progress: &dyn Progress,
    ) -> Result<Transferred, RemoteError> {
        transfer(store, OWN_STORE, &self.store, artifacts, &format!("pushing to {}", self.name), progress)
    }

    /// Fetches artifacts into `store`.
    pub fn pull(
        &self,
        store: &Store,
        artifacts: &[ArtifactId],
        progress: &dyn Progress,
    ) -> Result<Transferred, RemoteError> {
        let place = format!("the remote `{}`", self.name);
        transfer(&self.store, &place, store, artifacts, &format!("pulling from {}", self.name), progress)
    }
}

const OWN_STORE: &str = "this repository's store";

/// Copies the packs that `to` needs to have `artifacts` whole.
fn transfer(
    from: &Store,
    place: &str,
    to: &Store,
    artifacts: &[ArtifactId],
    what: &str,
    progress: &dyn Progress,
) -> Result<Transferred, RemoteError> {
    let mut transferred = Transferred::default();
    let mut needed: BTreeMap<PackId, PackInfo> = BTreeMap::new();
    let mut missing = Vec::new();
    let packs: BTreeMap<PackId, PackInfo> = from.packs()?.into_iter().map(|pack| (pack.id, pack)).collect();
    for artifact in artifacts {
        if to.has_artifact(artifact)? {
            continue;
        }
        if !from.has_artifact(artifact)? {
            missing.push(*artifact);
            continue;
        }
        transferred.artifacts += 1;
        for pack in packs_for(from, to, artifact)? {
            needed.extend(packs.get(&pack).map(|info| (pack, info.clone())));
        }
    }
    let present: Vec<PackId> = to.packs()?.into_iter().map(|pack| pack.id).collect();
    needed.retain(|pack, _| !present.contains(pack));
    progress.start(what, Some(needed.values().map(|pack| pack.bytes).sum()));
    for pack in needed.values() {
        if to.import_pack(&pack.path)? != pack.id {
            return Err(RemoteError::Damaged { pack: pack.id, place: place.to_owned() });
        }
        transferred.packs += 1;
        transferred.bytes += pack.bytes;
        progress.advance(pack.bytes);
    }
    progress.finish();
    match missing.first() {
        Some(first) => Err(RemoteError::Missing { missing: missing.len(), place: place.to_owned(), first: *first }),
        None => Ok(transferred),
    }
}

/// The packs of `from` with what `to` lacks of an artifact.
fn packs_for(from: &Store, to: &Store, artifact: &ArtifactId) -> Result<Vec<PackId>, RemoteError> {
    let mut packs = from.packs_of(&artifact.manifest_digest())?;
    for entry in from.manifest(artifact)?.entries() {
        if !to.contains(&entry.digest)? {
            packs.extend(from.packs_of(&entry.digest)?);
        }
    }
    packs.sort_unstable();
    packs.dedup();
    Ok(packs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Entry, Manifest, Mode};
    use crate::track::Silent;

    fn store(folder: &Path) -> Store {
        Store::open(&folder.join("store")).unwrap()
    }

    fn add(store: &Store, content: &[u8]) -> ArtifactId {
        let writer = store.writer().unwrap();
        let (digest, size) = writer.add(&mut &content[..], "test").unwrap();
        let manifest = Manifest::new(vec![Entry { path: None, mode: Mode::File, size, digest }]).unwrap();
        let artifact = writer.add_manifest(&manifest).unwrap();
        writer.finish().unwrap();
        artifact
    }

    #[test]
    fn artifacts_travel_once_and_arrive_whole() {
        let [here, middle, there] = std::array::from_fn(|_| tempfile::tempdir().unwrap());
        let (mine, theirs) = (store(here.path()), store(there.path()));
        let (first, second) = (add(&mine, b"one"), add(&mine, &[7; 300_000]));
        let url = format!("file://{}", middle.path().join("a remote").display());
        let remote = Remote::create("share", &url).unwrap();
        assert!(!remote.has(&first).unwrap());
        let pushed = remote.push(&mine, &[first, second], &Silent).unwrap();
        assert_eq!((pushed.artifacts, pushed.packs), (2, 2));
        assert_eq!(remote.push(&mine, &[first, second], &Silent).unwrap(), Transferred::default());
        let remote = Remote::open("share", &url).unwrap();
        assert!(remote.has(&second).unwrap());
        assert_eq!(remote.pull(&theirs, &[first], &Silent).unwrap().packs, 1);
        assert!(theirs.has_artifact(&first).unwrap() && !theirs.has_artifact(&second).unwrap());
    }

    #[test]
    fn what_is_missing_is_said_and_the_rest_is_sent() {
        let [here, middle] = std::array::from_fn(|_| tempfile::tempdir().unwrap());
        let mine = store(here.path());
        let known = add(&mine, b"one");
        let unknown = ArtifactId::from_bytes([3; 32]);
        let remote = Remote::create("share", &middle.path().display().to_string()).unwrap();
        let error = remote.push(&mine, &[unknown, known], &Silent).unwrap_err();
        assert!(matches!(error, RemoteError::Missing { missing: 1, first, .. } if first == unknown));
        assert!(remote.has(&known).unwrap());
    }

    #[test]
    fn a_damaged_pack_is_not_taken_in() {
        let [here, middle] = std::array::from_fn(|_| tempfile::tempdir().unwrap());
        let mine = store(here.path());
        let artifact = add(&mine, b"some content that is damaged later");
        let pack = mine.packs().unwrap().remove(0);
        let mut bytes = std::fs::read(&pack.path).unwrap();
        bytes[60] ^= 1;
        crate::files::publish(&pack.path, &bytes, crate::files::Durability::Buffered).unwrap();
        let remote = Remote::create("share", &middle.path().display().to_string()).unwrap();
        assert!(remote.push(&mine, &[artifact], &Silent).is_err());
        assert!(remote.store.packs().unwrap().is_empty());
    }

    #[test]
    fn urls_and_names_are_checked() {
        assert_eq!(folder_of("file:///a b/ü").unwrap(), Path::new("/a b/ü"));
        assert_eq!(folder_of("/mnt/x").unwrap(), Path::new("/mnt/x"));
        for bad in ["", "x", "s3://bucket", "file://relative", "file:///a\0b"] {
            assert!(folder_of(bad).is_err(), "{bad:?}");
        }
        let nowhere = Remote::open("share", "/nonexistent/folder").unwrap_err();
        assert!(matches!(nowhere, RemoteError::OutOfReach { .. }));
        for bad in ["", "-x", "a b", "a/b", "ü"] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }
}
