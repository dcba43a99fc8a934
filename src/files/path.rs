//! Paths that untrusted text names, checked before they touch the disk.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Bytes a whole relative path may have.
const MAX_PATH: usize = 4096;
/// Bytes one name in a path may have, as on every common file system.
const MAX_NAME: usize = 255;

/// The fault of a name such as `nul`.
const RESERVED: &str = "it has a name that Windows reserves";

/// A path that must not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the path `{path}` is not safe: {reason}")]
pub struct UnsafePath {
    /// The path, shortened and with control characters escaped.
    pub path: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl UnsafePath {
    fn new(path: &str, reason: &'static str) -> Self {
        Self { path: path.chars().take(120).flat_map(char::escape_default).collect(), reason }
    }

    /// Whether it would stay where it should, but has a name that stands for something else on some system.
    pub fn is_reserved(&self) -> bool {
        self.reason == RESERVED
    }
}

/// A relative path with `/` between names that cannot leave its root.
///
/// It is UTF-8, has no `.` or `..`, no empty name, no `.git`, no control character or backslash, and no name that
/// Windows reserves. The empty path is not a `RelPath`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelPath(String);

impl RelPath {
    /// Checks `text`, which uses `/` between names.
    pub fn new(text: impl Into<String>) -> Result<Self, UnsafePath> {
        let text = text.into();
        match find_fault(&text) {
            None => Ok(Self(text)),
            Some(reason) => Err(UnsafePath::new(&text, reason)),
        }
    }

    /// The path as text, with `/` between names.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last name.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// The path without its last name; none at the root.
    pub fn parent(&self) -> Option<RelPath> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.to_owned()))
    }

    /// This path with `name` (itself a relative path) below it.
    pub fn join(&self, name: &RelPath) -> RelPath {
        Self(format!("{}/{}", self.0, name.0))
    }

    /// Whether `self` is `other` or lies below it.
    pub fn starts_with(&self, other: &RelPath) -> bool {
        self.0.strip_prefix(&other.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The path with `suffix` added to its last name.
    pub fn with_suffix(&self, suffix: &str) -> Result<RelPath, UnsafePath> {
        Self::new(format!("{}{suffix}", self.0))
    }

    /// The path below `root`, without looking at the disk: see [`resolve_beneath`] before anything is written.
    pub fn under(&self, root: &Path) -> PathBuf {
        root.join(&self.0)
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl TryFrom<String> for RelPath {
    type Error = UnsafePath;

    fn try_from(text: String) -> Result<Self, UnsafePath> {
        Self::new(text)
    }
}

impl From<RelPath> for String {
    fn from(path: RelPath) -> Self {
        path.0
    }
}

fn find_fault(text: &str) -> Option<&'static str> {
    if text.is_empty() {
        return Some("it is empty");
    }
    if text.len() > MAX_PATH {
        return Some("it is longer than 4096 bytes");
    }
    if text.starts_with('/') {
        return Some("it is absolute");
    }
    text.split('/').find_map(find_fault_in_name)
}

fn find_fault_in_name(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("it has an empty name");
    }
    if name == "." || name == ".." {
        return Some("it has `.` or `..` in it");
    }
    if name.len() > MAX_NAME {
        return Some("a name in it is longer than 255 bytes");
    }
    if name.is_ascii() {
        return find_fault_in_plain_name(name, name);
    }
    // HFS+ ignores some invisible characters, so they can spell `.git` otherwise.
    let plain: String = name.chars().filter(|c| !is_ignored_by_hfs(*c)).collect();
    find_fault_in_plain_name(name, &plain)
}

/// What is wrong with a name that reads as `plain`. Manifests have millions of them.
fn find_fault_in_plain_name(name: &str, plain: &str) -> Option<&'static str> {
    let is_control = |c: char| c.is_control();
    if name.bytes().any(|byte| !(b' '..0x7f).contains(&byte)) && name.chars().any(is_control) {
        return Some("it has a control character");
    }
    if name.contains('\\') {
        return Some("it has a backslash");
    }
    // NTFS ignores trailing dots and spaces, and a colon starts the name of a stream of the file before it.
    let plain = plain.split(':').next().unwrap_or(plain).trim_end_matches(['.', ' ']);
    if plain.eq_ignore_ascii_case(".git") || plain.eq_ignore_ascii_case("git~1") {
        return Some("it goes into .git");
    }
    let stem = plain.split('.').next().unwrap_or(plain).trim_end();
    if is_reserved_by_windows(stem) {
        return Some(RESERVED);
    }
    None
}

fn is_ignored_by_hfs(c: char) -> bool {
    matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}

fn is_reserved_by_windows(stem: &str) -> bool {
    let is = |name: &&str| stem.eq_ignore_ascii_case(name);
    match stem.len() {
        3 => ["con", "prn", "aux", "nul"].iter().any(is),
        4 => {
            let (name, number) = stem.as_bytes().split_at(3);
            (b'1'..=b'9').contains(&number[0]) && [b"com", b"lpt"].iter().any(|port| name.eq_ignore_ascii_case(*port))
        }
        6 | 7 => ["conin$", "conout$"].iter().any(is),
        _ => false,
    }
}

/// Refuses a path that the system would not take below `root`, before the folders on the way are made.
pub fn check_length(root: &Path, path: &RelPath) -> Result<(), UnsafePath> {
    /// Bytes that the name of a draft may be longer than the name of its file.
    const DRAFT: usize = 32;
    let length = root.as_os_str().len() + 1 + path.0.len() + DRAFT;
    let reason = "it is longer than a path may be here";
    if length < MAX_PATH { Ok(()) } else { Err(UnsafePath::new(&path.0, reason)) }
}

/// The place of `path` below `root`, refused if a symbolic link stands in the way to it.
///
/// The last name itself may be a link: whoever replaces it replaces the link, not what it points to.
pub fn resolve_beneath(root: &Path, path: &RelPath) -> Result<PathBuf, UnsafePath> {
    let mut place = root.to_path_buf();
    let mut names = path.as_str().split('/').peekable();
    while let Some(name) = names.next() {
        place.push(name);
        if names.peek().is_some() && place.is_symlink() {
            return Err(UnsafePath { path: path.to_string(), reason: "a folder on the way is a symbolic link" });
        }
    }
    Ok(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_paths_pass() {
        for good in [
            "a",
            "a/b.txt",
            "data/Ünïcödé/日本",
            "a b/c",
            "..a",
            "a..",
            ".gitignore",
            "console",
            "com0",
            "x.git",
            "10:30.csv",
        ] {
            assert_eq!(RelPath::new(good).expect(good).as_str(), good);
        }
    }

    #[test]
    fn dangerous_paths_are_refused() {
        let long = "x".repeat(300);
        let bad = [
            "",
            "/etc/passwd",
            "../a",
            "a/../b",
            "./a",
            "a//b",
            "a/",
            ".git/hooks/x",
            "A/.GIT/x",
            ".git./x",
            "git~1/x",
            ".g\u{200c}it/x",
            "con",
            "CON.txt",
            "a/nul",
            "com1",
            "lpt9.log",
            "a\\b",
            "a\0b",
            "a\nb",
            ".git::$INDEX_ALLOCATION/x",
            &long,
        ];
        for path in bad {
            assert!(RelPath::new(path).is_err(), "{path:?}");
        }
    }

    #[test]
    fn a_linked_parent_is_refused_but_a_linked_leaf_is_not() {
        let root = tempfile::tempdir().expect("temporary folder");
        std::os::unix::fs::symlink("/tmp", root.path().join("link")).expect("symlink");
        let below = RelPath::new("link/x").expect("path");
        assert!(resolve_beneath(root.path(), &below).is_err());
        let leaf = RelPath::new("link").expect("path");
        assert_eq!(resolve_beneath(root.path(), &leaf).expect("leaf"), root.path().join("link"));
    }
}
