//! The rule in the `.gitignore` beside a pointer that keeps git away from the artifact's bytes.

use std::io;
use std::path::{Path, PathBuf};

use crate::files::{self, Durability, RelPath};

use super::TrackError;

/// A `.gitignore` that is to be changed.
#[derive(Debug)]
pub(super) struct IgnoreFile {
    place: PathBuf,
    content: Option<Vec<u8>>,
}

impl IgnoreFile {
    /// Reads the one in `folder`, which may have none.
    pub(super) fn read(folder: &Path) -> Result<Self, TrackError> {
        let place = folder.join(".gitignore");
        let fail = |source| TrackError::Read { path: place.clone(), source };
        if place.is_symlink() {
            // git does not follow it either.
            return Err(fail(io::Error::other("it is a symbolic link")));
        }
        let content = match std::fs::read(&place) {
            Ok(content) => Some(content),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(fail(error)),
        };
        Ok(Self { place, content })
    }

    /// Whether it has the rule for `path`.
    pub(super) fn has(&self, path: &RelPath) -> bool {
        self.lines().any(|line| is_rule(line, &rule(path)))
    }

    /// Adds the rule for `path`, if it is not there.
    pub(super) fn add(&self, path: &RelPath) -> Result<(), TrackError> {
        if self.has(path) {
            return Ok(());
        }
        let mut content = self.content.clone().unwrap_or_default();
        if !content.is_empty() && !content.ends_with(b"\n") {
            content.push(b'\n');
        }
        content.extend_from_slice(rule(path).as_bytes());
        content.push(b'\n');
        Ok(files::publish(&self.place, &content, Durability::Synced)?)
    }

    /// Removes the rule for `path`, and the file where nothing else is in it.
    pub(super) fn remove(&self, path: &RelPath) -> Result<(), TrackError> {
        if !self.has(path) {
            return Ok(());
        }
        let rule = rule(path);
        let content: Vec<u8> = self.lines().filter(|line| !is_rule(line, &rule)).flatten().copied().collect();
        if content.is_empty() {
            return Ok(files::remove_file(&self.place)?);
        }
        Ok(files::publish(&self.place, &content, Durability::Synced)?)
    }

    /// Puts back what was there when it was read.
    pub(super) fn restore(&self) -> Result<(), TrackError> {
        match &self.content {
            Some(content) => files::publish(&self.place, content, Durability::Synced)?,
            None => files::remove_file(&self.place)?,
        }
        Ok(())
    }

    fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.content.as_deref().unwrap_or_default().split_inclusive(|byte| *byte == b'\n')
    }
}

fn is_rule(line: &[u8], rule: &str) -> bool {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line) == rule.as_bytes()
}

/// The rule that hides `path` and nothing else. The leading `/` anchors it, and takes their meaning from `#` and `!`.
fn rule(path: &RelPath) -> String {
    let name = path.file_name();
    let plain = name.trim_end_matches(' ');
    let mut rule = String::from("/");
    for c in plain.chars() {
        if matches!(c, '*' | '?' | '[' | '\\') {
            rule.push('\\');
        }
        rule.push(c);
    }
    rule.push_str(&"\\ ".repeat(name.len() - plain.len()));
    rule
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn special_characters_are_escaped() {
        let rules = ["a/x.csv", "a*[b]?", "#1", "!1", "two  ", " x"].map(|name| rule(&RelPath::new(name).unwrap()));
        assert_eq!(rules, ["/x.csv", "/a\\*\\[b]\\?", "/#1", "/!1", "/two\\ \\ ", "/ x"]);
    }

    #[test]
    fn adding_and_removing_leave_the_rest_byte_for_byte() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join(".gitignore");
        let path = RelPath::new("data/x").unwrap();
        let read = || IgnoreFile::read(folder.path()).unwrap();
        read().add(&path).unwrap();
        read().add(&path).unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"/x\n");
        read().remove(&path).unwrap();
        assert!(!place.exists());
        fs::write(&place, b"*.o\r\n/x y\n/\xff").unwrap();
        read().add(&path).unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"*.o\r\n/x y\n/\xff\n/x\n");
        read().remove(&path).unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"*.o\r\n/x y\n/\xff\n");
    }
}
