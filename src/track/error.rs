//! What can go wrong with artifacts in the work tree.

use std::path::PathBuf;

use crate::files::{FileError, LockError, RelPath, UnsafePath};
use crate::git::GitError;
use crate::id::ArtifactId;
use crate::store::StoreError;

use super::PointerError;

/// What can go wrong with artifacts in the work tree.
#[derive(Debug, thiserror::Error)]
pub enum TrackError {
    /// git tracks the path itself.
    #[error("git tracks {path}{}", if *.more > 0 { format!(" and {} more below it", .more) } else { String::new() })]
    TrackedByGit {
        /// The first such path.
        path: RelPath,
        /// How many others there are.
        more: usize,
    },
    /// The path is not in the work tree.
    #[error("{} is outside the work tree", path.display())]
    OutsideWorkTree {
        /// As it was given.
        path: PathBuf,
    },
    /// What is at the path cannot be an artifact.
    #[error("{} cannot be tracked: {reason}", path.display())]
    NotTrackable {
        /// As it was given.
        path: PathBuf,
        /// Why.
        reason: Untrackable,
    },
    /// There is nothing at the path.
    #[error("{} does not exist", path.display())]
    NotFound {
        /// As it was given.
        path: PathBuf,
    },
    /// The path has no pointer.
    #[error("{path} is not tracked by git ml")]
    NotTracked {
        /// The path.
        path: RelPath,
    },
    /// Checkout would overwrite work that is stored nowhere.
    #[error("{path} has changes that are stored nowhere: {first}{}", if *.count > 1 { format!(" and {} more", .count - 1) } else { String::new() })]
    WouldOverwrite {
        /// The artifact's path.
        path: RelPath,
        /// How many files.
        count: usize,
        /// The first of them.
        first: String,
    },
    /// The store has not all of an artifact's content.
    #[error("the content of {path} ({}) is not in this store", id.short())]
    NotStored {
        /// The artifact's path.
        path: RelPath,
        /// The artifact.
        id: ArtifactId,
    },
    /// Two files of an artifact would be one where it is to be written.
    #[error("{path} has {first} and {second}, which are one name on this file system")]
    OneName {
        /// The artifact's path.
        path: RelPath,
        /// A file or folder in it.
        first: String,
        /// Another.
        second: String,
    },
    /// A file changed while it was read.
    #[error("{} changed while it was read", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A pointer that is not valid.
    #[error("{}", path.display())]
    Pointer {
        /// The pointer's file.
        path: PathBuf,
        /// What is wrong with it.
        source: PointerError,
    },
    /// A path that must not be used.
    #[error(transparent)]
    UnsafePath(#[from] UnsafePath),
    /// The work tree could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The work tree could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Another git-ml is changing this work tree.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// git failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

/// Why something in the work tree cannot be an artifact.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Untrackable {
    /// The top folder itself.
    #[error("it is the work tree's top")]
    Top,
    /// A pointer, which git tracks.
    #[error("it is a pointer itself")]
    Pointer,
    /// A file that git or git ml reads from that very place.
    #[error("it has to be tracked by git itself")]
    Configuration,
    /// Nothing to keep in it.
    #[error("it is an empty folder")]
    EmptyFolder,
    /// A symbolic link, whose target may be anywhere.
    #[error("it is a symbolic link")]
    Link,
    /// A pipe, socket or device.
    #[error("it is a {kind}")]
    Special {
        /// `named pipe`, `socket`, `device`.
        kind: &'static str,
    },
    /// A folder with a pipe, socket or device in it.
    #[error("{inner} in it is a {kind}")]
    HoldsSpecial {
        /// The path in the folder.
        inner: String,
        /// `named pipe`, `socket`, `device`.
        kind: &'static str,
    },
    /// A folder with another repository in it.
    #[error("it holds another git repository, {inner}")]
    HoldsRepository {
        /// The path of its `.git` in the folder.
        inner: String,
    },
    /// A path in another repository, such as a submodule.
    #[error("it is in another git repository, {repository}")]
    InRepository {
        /// That repository's top.
        repository: RelPath,
    },
    /// A folder with pointers in it.
    #[error("it holds the pointer {inner}")]
    HoldsPointer {
        /// The path in the folder.
        inner: String,
    },
    /// A path in a folder that is tracked as a whole.
    #[error("it is a part of {artifact}, which is tracked already")]
    InArtifact {
        /// That folder.
        artifact: RelPath,
    },
    /// A name that is not UTF-8 text.
    #[error("the name {name} is not UTF-8")]
    NotUtf8 {
        /// The name, escaped.
        name: String,
    },
    /// git would not see the pointer.
    #[error("git ignores its pointer, {pointer}")]
    PointerIgnored {
        /// The pointer's path.
        pointer: RelPath,
    },
}
