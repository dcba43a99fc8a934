//! Remotes: places that other clones reach, to which artifacts are pushed and from which they are pulled.
//!
//! A remote is a set of objects under names, wherever those are kept (`objects::Objects`): packs as in `.git/ml`,
//! an index for the packs of each push, and a small root. All of them are written once, whole or not at all, and never
//! change, so a transfer that was cut off goes on where it stopped, two that run at once do each other no harm, and
//! nothing rests on conditional writes.
//!
//! Architecture invariant: a pack is checked, every byte of it, before it is sent and before the receiving store names
//! it.
//!
//! Architecture invariant: an index is published after the packs it names.
//!
//! Architecture invariant: a credential is in no configuration file of ours, no error and no `Debug`.

mod cloud;
mod collect;
mod configured;
mod credentials;
mod entries;
mod environment;
mod error;
mod folder;
mod index;
mod layout;
mod lfs;
mod memory;
mod nowhere;
mod objects;
mod parallel;
mod place;
mod pull;
mod push;
mod ssh;
mod steady;
mod view;

pub use collect::{RemoteCollected, RemoteOptions};
pub use configured::{Configured, Scope, configure, configured};
pub use environment::Environment;
pub use error::RemoteError;
pub use lfs::{LfsClient, LfsPointer, MAX_LFS_POINTER, Oid};
pub use objects::ObjectError;
pub use ssh::{Notice, SshProgram};

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::{self, is_plain_name};
use crate::files;
use crate::id::{ArtifactId, Digest};
use crate::store::{Location, Store, pack_size};
use crate::words::parse_size;
use cloud::Cloud;
use folder::Folder;
use layout::{INDEXES, ROOT, ROOT_TEXT, index_of};
use lfs::LfsObjects;
use nowhere::Nowhere;
pub(crate) use objects::Objects;
use place::Place;
use ssh::SshObjects;
use steady::{Limit, Steady};
use view::View;

const OWN_STORE: &str = "this repository's store";
/// Bytes that the root object may have.
const ROOT_LIMIT: u64 = 64 << 10;

/// A remote, opened.
pub struct Remote {
    name: String,
    objects: Box<dyn Objects>,
    limit: Limit,
    /// What is known of it, in a folder of the store; none where nothing can be kept.
    cache: Option<PathBuf>,
    /// Whether only what is known here counts.
    is_recalled: bool,
    view: Mutex<Option<Arc<View>>>,
}

impl fmt::Debug for Remote {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Remote").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What a transfer moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Transferred {
    /// Artifacts that were not there before.
    pub artifacts: usize,
    /// Packs that travelled.
    pub packs: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Whether `name` can be the name of a remote: letters, digits, `.`, `_` and `-`, beginning with a letter or digit.
pub fn check_name(name: &str) -> Result<(), RemoteError> {
    let is_fine = name.len() <= 128 && is_plain_name(name);
    if is_fine { Ok(()) } else { Err(RemoteError::BadName { name: name.chars().take(64).collect() }) }
}

/// Fails where the settings cannot be those of a remote.
pub fn check_settings(name: &str, settings: &config::Remote) -> Result<(), RemoteError> {
    check_name(name)?;
    rate_of(name, settings)?;
    Place::parse(settings).map(drop)
}

impl Remote {
    /// Sets a remote up at its place, unless it is there already, and opens it.
    pub fn create(
        name: &str,
        settings: &config::Remote,
        store: &Store,
        environment: &Environment,
    ) -> Result<Self, RemoteError> {
        check_settings(name, settings)?;
        let place = Place::parse(settings)?;
        if let Place::Folder(folder) = &place {
            files::create_dir_all(folder)?;
        }
        let remote = Self::connect(name, settings, &place, store, environment)?;
        match remote.check_root() {
            Err(RemoteError::NoStore { .. }) if place.is_writable() => {
                remote.objects.put(ROOT, ROOT_TEXT.as_bytes().into())?;
                remote.check_root()?;
            }
            checked => checked?,
        }
        Ok(remote)
    }

    /// Opens a remote that is there. Nothing is made: a URL that somebody else wrote must not.
    pub fn open(
        name: &str,
        settings: &config::Remote,
        store: &Store,
        environment: &Environment,
    ) -> Result<Self, RemoteError> {
        let remote = Self::connect(name, settings, &Place::parse(settings)?, store, environment)?;
        remote.check_root()?;
        Ok(remote)
    }

    /// What is known of a remote here. A folder is looked at, any other place is not asked.
    pub fn recall(
        name: &str,
        settings: &config::Remote,
        store: &Store,
        environment: &Environment,
    ) -> Result<Self, RemoteError> {
        let place = Place::parse(settings)?;
        if place.is_near() {
            return Self::open(name, settings, store, environment);
        }
        let objects: Box<dyn Objects> = Box::new(Nowhere::new(format!("the remote `{name}`")));
        Ok(Self { is_recalled: true, ..Self::with(name, objects, None, cache_of(settings, store)) })
    }

    fn connect(
        name: &str,
        settings: &config::Remote,
        place: &Place,
        store: &Store,
        environment: &Environment,
    ) -> Result<Self, RemoteError> {
        let objects = objects_at(place, settings, environment)?;
        Ok(Self::with(name, objects, rate_of(name, settings)?, cache_of(settings, store)))
    }

    fn with(name: &str, objects: Box<dyn Objects>, rate: Option<u64>, cache: Option<PathBuf>) -> Self {
        let limit = Limit::new(rate);
        Self { name: name.to_owned(), objects, limit, cache, is_recalled: false, view: Mutex::default() }
    }

    /// Sends and fetches no more than so many bytes a second.
    pub fn limit_rate(&mut self, rate: u64) {
        self.limit = Limit::new(Some(rate));
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether anything is known of what it has: of a place that was not asked yet, and is not asked now, nothing is.
    pub fn is_known(&self) -> Result<bool, RemoteError> {
        Ok(!self.is_recalled || !self.view()?.indexes().is_empty())
    }

    /// It, in a sentence.
    fn place(&self) -> String {
        format!("the remote `{}`", self.name)
    }

    /// Fails unless the place holds a store of ours, in a layout that this version knows.
    fn check_root(&self) -> Result<(), RemoteError> {
        let no_store = || RemoteError::NoStore { name: self.name.clone(), place: self.objects.describe() };
        let size = match self.objects.size(ROOT) {
            Ok(size) => size.ok_or_else(no_store)?,
            Err(ObjectError::NotFound { .. }) => return Err(no_store()),
            Err(error) => return Err(error.into()),
        };
        let bytes = self.objects.read(ROOT, 0..size.min(ROOT_LIMIT))?;
        let version = std::str::from_utf8(&bytes).ok().and_then(|text| text.parse::<toml::Table>().ok());
        match version.as_ref().and_then(|root| root.get("version")).and_then(toml::Value::as_integer) {
            Some(1) => Ok(()),
            _ => Err(RemoteError::UnknownLayout { name: self.name.clone() }),
        }
    }

    /// What it has, as seen last or, if it was not seen yet, now.
    fn view(&self) -> Result<Arc<View>, RemoteError> {
        let mut slot = lock(&self.view);
        if let Some(view) = &*slot {
            return Ok(Arc::clone(view));
        }
        let cache = self.cache.as_deref().filter(|_| !self.objects.is_near());
        let view = Arc::new(match cache {
            Some(cache) if self.is_recalled => View::cached(cache),
            _ if self.is_recalled => View::default(),
            cache => View::load(&*self.objects, cache)?,
        });
        *slot = Some(Arc::clone(&view));
        Ok(view)
    }

    /// What it has now.
    fn look(&self) -> Result<Arc<View>, RemoteError> {
        self.forget_view();
        self.view()
    }

    /// An index whose content is not what its name says, and what is wrong with it; none where all are right.
    pub fn damaged_index(&self) -> Result<Option<(String, String)>, RemoteError> {
        Ok(self.look()?.damaged().cloned())
    }

    fn forget_view(&self) {
        *lock(&self.view) = None;
    }

    /// The indexes there are: cheaper than to read them.
    fn state(&self) -> Option<Digest> {
        if let Some(view) = &*lock(&self.view) {
            return Some(memory::state_of(view.indexes()));
        }
        if self.is_recalled || !self.objects.is_near() {
            return self.view().ok().map(|view| memory::state_of(view.indexes()));
        }
        let listed = self.objects.list(INDEXES).ok()?;
        let names: BTreeSet<Digest> = listed.iter().filter_map(|listed| index_of(&listed.name)).collect();
        Some(memory::state_of(&names))
    }

    fn is_remembered_whole(&self, artifact: &ArtifactId) -> bool {
        let known = || Some(memory::recall(self.cache.as_deref()?, &self.state()?));
        known().is_some_and(|whole| whole.contains(artifact))
    }

    fn remember_whole(&self, artifacts: &[ArtifactId]) {
        if let (Some(cache), Some(state)) = (self.cache.as_deref(), self.state()) {
            memory::note(cache, &state, artifacts);
        }
    }
}

/// The objects at the place that `settings` name, whatever they are.
pub(crate) fn open_objects(
    settings: &config::Remote,
    environment: &Environment,
) -> Result<Box<dyn Objects>, RemoteError> {
    objects_at(&Place::parse(settings)?, settings, environment)
}

fn objects_at(
    place: &Place,
    settings: &config::Remote,
    environment: &Environment,
) -> Result<Box<dyn Objects>, RemoteError> {
    let objects: Box<dyn Objects> = match place {
        Place::Folder(folder) => Box::new(Folder::new(folder.clone())),
        Place::Bucket(bucket) => Box::new(Cloud::bucket(bucket, environment)?),
        Place::Web { url } => Box::new(Cloud::web(url)?),
        Place::Ssh(address) => Box::new(SshObjects::new(address.clone(), environment.ssh()?)?),
        Place::Lfs(git_remote) => {
            let (repository, ssh) = (environment.repository()?, environment.ssh()?);
            Box::new(LfsObjects::new(&repository, git_remote, settings.allow_http, ssh)?)
        }
    };
    Ok(Box::new(Steady::new(objects)))
}

/// The folder of a store for what is known of a remote. It goes by where the remote is, since names are reused.
fn cache_of(settings: &config::Remote, store: &Store) -> Option<PathBuf> {
    let config::Remote { url, endpoint, .. } = settings;
    let key = Digest::of(format!("{url}\n{}", endpoint.as_deref().unwrap_or_default()).as_bytes()).short();
    // Where nothing can be kept, it is read each time.
    store.remote_cache(&key).ok()
}

/// The bytes a second that a remote's settings allow.
fn rate_of(name: &str, settings: &config::Remote) -> Result<Option<u64>, RemoteError> {
    let Some(text) = &settings.limit_rate else { return Ok(None) };
    let bad = || RemoteError::BadOption { name: name.to_owned(), key: "limit-rate", value: text.clone() };
    parse_rate(text).map(Some).ok_or_else(bad)
}

/// Bytes a second, as people write them: `500000`, `500k`, `2MiB`, `1.5 MB/s`.
pub fn parse_rate(text: &str) -> Option<u64> {
    parse_size(text.trim().trim_end_matches("/s"))
}

/// Whether entries are most of a pack, so that it costs less to move all of it.
fn is_most(entries: &[Location], pack_bytes: Option<u64>) -> bool {
    let wanted = pack_size(entries.iter().map(|location| &location.entry.header));
    pack_bytes.is_some_and(|bytes| wanted.saturating_mul(4) >= bytes.saturating_mul(3))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
