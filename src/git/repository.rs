//! Finding, opening and making repositories.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use gix::ThreadSafeRepository;
use gix::odb::store::init::Slots;

use super::error::OrFailed;
use super::{GitError, Identity, command};
use crate::id::CommitId;

/// Packs that there is room for at least.
const SLOTS: usize = 1024;

/// A repository, opened.
///
/// It can be shared between threads. Refs, objects and the index are read from the disk whenever they are asked for,
/// the configuration of gix once.
pub struct Repository {
    inner: ThreadSafeRepository,
    work_dir: Option<PathBuf>,
    git_dir: PathBuf,
    common_dir: PathBuf,
    pub(super) known_identity: OnceLock<Identity>,
}

impl std::fmt::Debug for Repository {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Repository")
            .field("work_dir", &self.work_dir)
            .field("git_dir", &self.git_dir)
            .finish_non_exhaustive()
    }
}

impl Repository {
    /// Opens the repository that `start` lies in: a work tree, a linked one, a `.git` folder or a bare repository.
    pub fn discover(start: &Path) -> Result<Self, GitError> {
        let not_found = || GitError::NotARepository { start: start.to_path_buf() };
        let start_dir = start.canonicalize().map_err(|_| not_found())?;
        // gix has room for the packs that it finds, and a process that goes on may see as many more appear: each push and
        // each import of runs makes some, until git packs them together.
        let mut options: gix::sec::trust::Mapping<gix::open::Options> = Default::default();
        options.full = options.full.object_store_slots(Slots::AsNeededByDiskState { multiplier: 2.0, minimum: SLOTS });
        let found = ThreadSafeRepository::discover_opts(&start_dir, Default::default(), options);
        let inner = found.map_err(|error| match error.is_not_found() {
            true => not_found(),
            false => GitError::Failed {
                action: format!("cannot open the repository around {}", start.display()),
                source: error.into(),
            },
        })?;
        Self::from_gix(inner)
    }

    /// Makes a repository at `path` unless it lies in one already.
    pub fn init(path: &Path) -> Result<Self, GitError> {
        match Self::discover(path) {
            Err(GitError::NotARepository { .. }) => {
                command::Git::at(path).run(&["init", "--quiet"])?;
                Self::discover(path)
            }
            result => result,
        }
    }

    fn from_gix(inner: ThreadSafeRepository) -> Result<Self, GitError> {
        let local = inner.to_thread_local();
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        let work_dir = local.workdir().map(real);
        let git_dir = real(local.git_dir());
        if local.git_dir_trust() != gix::sec::Trust::Full {
            return Err(GitError::NotTrusted { path: work_dir.unwrap_or(git_dir) });
        }
        let common_dir = real(local.common_dir());
        Ok(Self { inner, work_dir, git_dir, common_dir, known_identity: OnceLock::new() })
    }

    /// The work tree's top folder, absolute and without symbolic links.
    pub fn work_dir(&self) -> Result<&Path, GitError> {
        self.work_dir.as_deref().ok_or(GitError::Bare)
    }

    /// This work tree's own git folder: `.git`, or `.git/worktrees/<name>`.
    pub fn git_dir(&self) -> &Path {
        &self.git_dir
    }

    /// The git folder that linked work trees share.
    pub fn common_dir(&self) -> &Path {
        &self.common_dir
    }

    /// Runs the user's `git` in this repository, its stdout returned.
    pub fn run_git(&self, arguments: &[&str]) -> Result<Vec<u8>, GitError> {
        self.git().run(arguments)
    }

    /// Runs the user's `git` in this repository with the terminal as its own, so that it can page, ask and colour.
    pub fn attended(&self, arguments: &[&str]) -> Result<(), GitError> {
        self.git().attended(arguments)
    }

    /// Opens a file in the user's editor, the one that git would open, and waits until it is closed.
    pub fn edit(&self, file: &Path) -> Result<(), GitError> {
        let editor = self.run_git(&["var", "GIT_EDITOR"])?;
        let editor = String::from_utf8_lossy(&editor).trim().to_owned();
        // As git does it: the editor is a command for the shell, and the file its last argument.
        let status = std::process::Command::new("sh")
            .args(["-c", &format!("{editor} \"$@\""), &editor])
            .arg(file)
            .status()
            .or_failed(|| format!("cannot run `{editor}`"))?;
        match status.success() {
            true => Ok(()),
            false => Err(GitError::Command { command: editor, message: status.to_string() }),
        }
    }

    /// The user's `git`, at the work tree's top.
    pub(super) fn git(&self) -> command::Git {
        command::Git::at(self.work_dir.as_deref().unwrap_or(&self.git_dir))
    }

    /// The repository as gix reads it, for this thread.
    pub(super) fn gix(&self) -> gix::Repository {
        self.inner.to_thread_local()
    }

    /// The repository as git2 changes it.
    ///
    /// It is opened as if it were bare, since git2 never gets to see the work tree or the index.
    pub(super) fn git2(&self) -> Result<git2::Repository, GitError> {
        git2::Repository::open_bare(&self.common_dir).or_failed(|| "cannot open the repository")
    }
}

/// The id as gix has it.
pub(super) fn to_gix(id: &CommitId) -> gix::ObjectId {
    gix::ObjectId::from(*id.as_bytes())
}

/// The id as git2 has it.
pub(super) fn to_git2(id: &CommitId) -> Result<git2::Oid, GitError> {
    git2::Oid::from_bytes(id.as_bytes()).or_failed(|| format!("{id} is not an id"))
}

/// The id that libraries give as bytes.
pub(super) fn from_bytes(bytes: &[u8]) -> Result<CommitId, GitError> {
    let bytes = bytes.try_into().or_failed(|| "only repositories with SHA-1 ids are supported")?;
    Ok(CommitId::from_bytes(bytes))
}
