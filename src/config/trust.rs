//! The user's approval of what an `ml.toml` may run.
//!
//! An approval is a file in the user's own data folder, named by the BLAKE3 of the repository's place and the
//! file's content, so that neither a clone nor an archive can bring one along and any edit asks again. Inside is the
//! repository's place, so that all approvals of a repository can be taken back at once.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::files::{Durability, FileError, append_lines, create_dir_all, publish, remove_file};

/// The folder of what the user started: a file for each repository, with a line for each run.
const STARTS: &str = "runs";

/// The approvals of one user.
#[derive(Debug, Clone)]
pub struct TrustStore {
    folder: PathBuf,
}

impl TrustStore {
    /// The approvals kept in `folder`, which need not exist yet.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Whether this content of the repository's `ml.toml` was approved. No file is always fine.
    pub fn is_trusted(&self, common_dir: &Path, work_dir: &Path) -> bool {
        match super::read(work_dir) {
            Ok(Some(content)) => self.is_approved(common_dir, &content),
            Ok(None) => true,
            Err(_) => false,
        }
    }

    /// Whether exactly this content was approved for the repository.
    pub fn is_approved(&self, common_dir: &Path, content: &[u8]) -> bool {
        self.approval(common_dir, content).is_file()
    }

    /// Approves exactly this content, which the user has seen.
    pub fn approve(&self, common_dir: &Path, content: &[u8]) -> Result<(), FileError> {
        create_dir_all(&self.folder)?;
        publish(&self.approval(common_dir, content), &place_line(common_dir), Durability::Synced)
    }

    /// Notes that the user started a run in the repository; `mark` says all of what was run.
    pub fn note_start(&self, common_dir: &Path, mark: &[u8]) -> Result<(), FileError> {
        let path = self.starts(common_dir);
        create_dir_all(&self.folder.join(STARTS))?;
        append_lines(&path, &format!("{}\n", blake3::hash(mark)))
    }

    /// Whether the user started exactly that in the repository.
    pub fn has_started(&self, common_dir: &Path, mark: &[u8]) -> bool {
        let mark = blake3::hash(mark).to_string();
        let Ok(file) = std::fs::File::open(self.starts(common_dir)) else { return false };
        BufReader::new(file).lines().map_while(Result::ok).any(|line| line == mark)
    }

    /// The same for whoever asks about many: the file is read once.
    pub fn starts_in(&self, common_dir: &Path) -> impl Fn(&[u8]) -> bool + use<> {
        let lines = std::fs::File::open(self.starts(common_dir)).ok().map(|file| BufReader::new(file).lines());
        let marks: HashSet<String> = lines.into_iter().flatten().map_while(Result::ok).collect();
        move |mark| marks.contains(blake3::hash(mark).to_hex().as_str())
    }

    /// The file of what the user started in a repository.
    fn starts(&self, common_dir: &Path) -> PathBuf {
        self.folder.join(STARTS).join(blake3::hash(common_dir.as_os_str().as_bytes()).to_string())
    }

    /// Takes every approval of the repository back: how many there were.
    pub fn revoke(&self, common_dir: &Path) -> Result<usize, FileError> {
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(FileError::new("list", &self.folder, error)),
        };
        remove_file(&self.starts(common_dir))?;
        let place = place_line(common_dir);
        let mut revoked = 0;
        for entry in entries {
            let path = entry.map_err(|error| FileError::new("list", &self.folder, error))?.path();
            if std::fs::read(&path).is_ok_and(|content| content == place) {
                remove_file(&path)?;
                revoked += 1;
            }
        }
        Ok(revoked)
    }

    fn approval(&self, common_dir: &Path, content: &[u8]) -> PathBuf {
        let mut hasher = blake3::Hasher::new();
        // The length keeps the place and the content apart.
        let place = common_dir.as_os_str().as_bytes();
        hasher.update(&(place.len() as u64).to_le_bytes()).update(place).update(content);
        self.folder.join(hasher.finalize().to_string())
    }
}

fn place_line(common_dir: &Path) -> Vec<u8> {
    [common_dir.as_os_str().as_bytes(), b"\n"].concat()
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests write the files that they look at")]
mod tests {
    use super::*;
    use crate::config::FILE_NAME;

    #[test]
    fn only_the_approved_content_in_the_approved_place_is_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let trust = TrustStore::new(folder.path().join("data/git-ml/trust"));
        let (work_dir, git_dir) = (folder.path(), Path::new("/a/.git"));
        assert!(trust.is_trusted(git_dir, work_dir), "no file runs nothing");
        std::fs::write(work_dir.join(FILE_NAME), "one").unwrap();
        assert!(!trust.is_trusted(git_dir, work_dir));
        trust.approve(git_dir, b"one").unwrap();
        assert!(trust.is_trusted(git_dir, work_dir));
        assert!(!trust.is_trusted(Path::new("/b/.git"), work_dir), "a copy elsewhere asks again");
        std::fs::write(work_dir.join(FILE_NAME), "two").unwrap();
        assert!(!trust.is_trusted(git_dir, work_dir), "an edit asks again");
    }

    #[test]
    fn revoking_takes_all_approvals_of_the_repository_back_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let trust = TrustStore::new(folder.path().join("trust"));
        assert_eq!(trust.revoke(Path::new("/a")).unwrap(), 0);
        for (place, content) in [("/a", "1"), ("/a", "2"), ("/b", "1")] {
            trust.approve(Path::new(place), content.as_bytes()).unwrap();
        }
        assert_eq!(trust.revoke(Path::new("/a")).unwrap(), 2);
        assert!(!trust.is_approved(Path::new("/a"), b"1") && !trust.is_approved(Path::new("/a"), b"2"));
        assert!(trust.is_approved(Path::new("/b"), b"1"));
    }

    #[test]
    fn what_the_user_started_is_known_until_it_is_taken_back() {
        let folder = tempfile::tempdir().unwrap();
        let trust = TrustStore::new(folder.path().join("trust"));
        trust.note_start(Path::new("/a"), b"run one").unwrap();
        trust.note_start(Path::new("/a"), b"run two").unwrap();
        assert!(trust.has_started(Path::new("/a"), b"run one") && trust.has_started(Path::new("/a"), b"run two"));
        let has_started = trust.starts_in(Path::new("/a"));
        assert!(has_started(b"run one") && has_started(b"run two") && !has_started(b"run"));
        assert!(!trust.has_started(Path::new("/a"), b"run") && !trust.has_started(Path::new("/b"), b"run one"));
        trust.revoke(Path::new("/a")).unwrap();
        assert!(!trust.has_started(Path::new("/a"), b"run one"));
    }

    #[test]
    fn what_is_no_ordinary_file_is_never_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let trust = TrustStore::new(folder.path().join("trust"));
        std::fs::create_dir(folder.path().join(FILE_NAME)).unwrap();
        assert!(!trust.is_trusted(Path::new("/a"), folder.path()));
        let dangling = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/nowhere", dangling.path().join(FILE_NAME)).unwrap();
        assert!(!trust.is_trusted(Path::new("/a"), dangling.path()));
    }
}
