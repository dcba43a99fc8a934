//! The store: artifacts as content-addressed chunks in immutable packs.
//!
//! A file is cut into chunks (FastCDC), each compressed where that pays and kept once under its BLAKE3. A file of
//! several chunks has a *file map*, the list of its chunks, kept under the BLAKE3 of the whole file. An artifact is
//! its manifest, which is stored as a file like any other: the artifact's id is the digest under which its manifest
//! is found.
//!
//! Architecture invariant: bytes that are read match their id, or the read is an error.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::files::{FileError, LockError, RelPath, UnsafePath};
use crate::id::{ArtifactId, Digest, PackId};

/// What can go wrong with the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store has no such content.
    #[error("the store has no content {digest}")]
    Missing {
        /// What was asked for.
        digest: Digest,
    },
    /// Bytes in a pack are not what they should be.
    #[error("pack {pack} is damaged: {problem}")]
    Damaged {
        /// The pack.
        pack: PackId,
        /// What was wrong, with the place in the pack.
        problem: String,
    },
    /// A pack, manifest or index that does not follow the format.
    #[error("{what} is not valid: {problem}")]
    Malformed {
        /// `the manifest of …`, a file name.
        what: String,
        /// What was wrong.
        problem: String,
    },
    /// A manifest with a path that must not be used.
    #[error(transparent)]
    UnsafePath(#[from] UnsafePath),
    /// The bytes given could not be read.
    #[error("cannot read {what}")]
    Read {
        /// What was read: a path, or `the input`.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The store's files could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The store is locked by another process.
    #[error(transparent)]
    Lock(#[from] LockError),
}

/// How a file of an artifact is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// An ordinary file: `100644`.
    File,
    /// A file that can be run: `100755`.
    Executable,
    /// A symbolic link, whose content is its target: `120000`.
    Symlink,
}

/// One file of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The path in the artifact; none for an artifact that is a single file, whose name is not part of its content.
    pub path: Option<RelPath>,
    /// How the file is to be made.
    pub mode: Mode,
    /// Bytes of content.
    pub size: u64,
    /// BLAKE3 of the whole content.
    pub digest: Digest,
}

/// The files of an artifact, sorted by path as bytes.
///
/// Its canonical form is text, one line a file after the line `git-ml manifest 1`:
/// `<mode> <size> <blake3> <path>`, where an artifact that is a single file has the path `.`. The BLAKE3 of that text
/// is the artifact's id, so `git ml manifest data/x | b3sum` prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    entries: Vec<Entry>,
}

impl Manifest {
    /// A manifest of these files: sorts them; refuses repeated paths, a file that is also a folder, and a nameless
    /// file beside others.
    pub fn new(_entries: Vec<Entry>) -> Result<Self, StoreError> {
        todo!()
    }

    /// Reads the canonical form and nothing else: what it accepts, [`Manifest::to_bytes`] gives back.
    pub fn parse(_bytes: &[u8]) -> Result<Self, StoreError> {
        todo!()
    }

    /// The canonical form.
    pub fn to_bytes(&self) -> Vec<u8> {
        todo!()
    }

    /// The artifact's id.
    pub fn id(&self) -> ArtifactId {
        todo!()
    }

    /// The files, sorted by path.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The file at `path`.
    pub fn find(&self, _path: &RelPath) -> Option<&Entry> {
        todo!()
    }

    /// Whether the artifact is a single file rather than a folder.
    pub fn is_single_file(&self) -> bool {
        todo!()
    }

    /// Bytes of content in all files.
    pub fn total_size(&self) -> u64 {
        self.entries.iter().map(|entry| entry.size).sum()
    }
}

/// The content-addressed store in one folder (`.git/ml`).
#[derive(Debug)]
pub struct Store {
    _root: PathBuf,
}

/// What a [`Writer`] added.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Written {
    /// Bytes that the packs grew by.
    pub stored_bytes: u64,
    /// Chunks that were not there before.
    pub new_chunks: u64,
}

impl Store {
    /// Opens the store in `root`, creating its folders.
    pub fn open(_root: &Path) -> Result<Self, StoreError> {
        todo!()
    }

    /// The folder it is in.
    pub fn root(&self) -> &Path {
        todo!()
    }

    /// Starts adding content. Many writers may be at work at once; garbage collection waits for them.
    pub fn writer(&self) -> Result<Writer<'_>, StoreError> {
        todo!()
    }

    /// Whether all of a file's content is here, by the index alone.
    pub fn contains(&self, _file: &Digest) -> Result<bool, StoreError> {
        todo!()
    }

    /// The manifest of an artifact.
    pub fn manifest(&self, _artifact: &ArtifactId) -> Result<Manifest, StoreError> {
        todo!()
    }

    /// Whether the manifest and every file of an artifact are here, by the index alone.
    pub fn has_artifact(&self, _artifact: &ArtifactId) -> Result<bool, StoreError> {
        todo!()
    }

    /// A reader over a file's content. Every chunk is verified before a byte of it is given out, and the digest of
    /// the whole at the end.
    pub fn read(&self, _file: &Digest) -> Result<FileReader<'_>, StoreError> {
        todo!()
    }

    /// A file's content, refused above `limit` bytes.
    pub fn read_to_vec(&self, _file: &Digest, _limit: u64) -> Result<Vec<u8>, StoreError> {
        todo!()
    }

    /// Every pack there is, sorted by id.
    pub fn packs(&self) -> Result<Vec<PackInfo>, StoreError> {
        todo!()
    }

    /// The packs that hold a file's content.
    pub fn packs_of(&self, _file: &Digest) -> Result<Vec<PackId>, StoreError> {
        todo!()
    }

    /// Reads a whole pack and checks every byte of it: what is damaged, with the content it belongs to.
    pub fn check_pack(&self, _pack: &PackId) -> Result<Vec<Damage>, StoreError> {
        todo!()
    }

    /// Throws the index away and makes it again from the packs' own footers.
    pub fn rebuild_index(&self) -> Result<(), StoreError> {
        todo!()
    }
}

/// A pack on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackInfo {
    /// Its id.
    pub id: PackId,
    /// Its file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
}

/// A damaged place in a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The pack.
    pub pack: PackId,
    /// The chunk or file map it belongs to; none where it is the pack's header or footer.
    pub content: Option<Digest>,
    /// What was found, with the place in the pack.
    pub problem: String,
}

/// Reads a file's content out of the store.
#[derive(Debug)]
pub struct FileReader<'s> {
    _store: &'s Store,
}

impl Read for FileReader<'_> {
    fn read(&mut self, _buffer: &mut [u8]) -> std::io::Result<usize> {
        todo!()
    }
}

/// Adds content to a store. Nothing it was given is named by an index before [`Writer::finish`].
#[derive(Debug)]
#[must_use = "what was added is not there before `finish`"]
pub struct Writer<'s> {
    _store: &'s Store,
}

impl Writer<'_> {
    /// Adds a file's content, read to its end, and returns its digest and size. `what` names it in errors.
    pub fn add(&mut self, _input: &mut dyn Read, _what: &str) -> Result<(Digest, u64), StoreError> {
        todo!()
    }

    /// Adds a manifest; its files should have been added.
    pub fn add_manifest(&mut self, _manifest: &Manifest) -> Result<ArtifactId, StoreError> {
        todo!()
    }

    /// Makes all of it durable and findable: packs first, then the index.
    pub fn finish(self) -> Result<Written, StoreError> {
        todo!()
    }
}

/// Copies a file's content out of the store, verified.
pub fn copy(_store: &Store, _file: &Digest, _output: &mut dyn Write) -> Result<u64, StoreError> {
    todo!()
}
