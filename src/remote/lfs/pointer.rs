//! Git LFS's own pointers: small texts in git in place of the bytes.

use std::fmt::{self, Write};

use sha2::{Digest as _, Sha256};

/// What a pointer begins with.
const VERSION: &str = "version https://git-lfs.github.com/spec/v1";

/// Bytes that a pointer has at most.
pub const MAX_LFS_POINTER: u64 = 1024;

/// What Git LFS names a content by: its SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Oid([u8; 32]);

impl Oid {
    /// That of a content.
    pub fn of(content: &[u8]) -> Self {
        Self(Sha256::digest(content).into())
    }

    /// That of all a hasher was given.
    pub fn finish(hasher: Sha256) -> Self {
        Self(hasher.finalize().into())
    }

    /// From 64 hexadecimal digits in lower case.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if text.len() != 64 || text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return None;
        }
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digit = |at: usize| char::from(digits[at]).to_digit(16);
            *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// A pointer: which content, and how much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LfsPointer {
    /// Which content.
    pub oid: Oid,
    /// Its size in bytes.
    pub size: u64,
}

impl LfsPointer {
    /// Reads a pointer; none if it is none, or one with extensions, whose content is not what the file has.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok().filter(|text| text.len() as u64 <= MAX_LFS_POINTER)?;
        let mut lines = text.lines();
        // Before its first version, Git LFS had other words for the same.
        let versions = [VERSION, "version https://hawser.github.com/spec/v1", "version http://git-media.io/v/2"];
        if !versions.contains(&lines.next()?) {
            return None;
        }
        let oid = Oid::parse(lines.next()?.strip_prefix("oid sha256:")?)?;
        let size = lines.next()?.strip_prefix("size ")?;
        let is_number = size.bytes().all(|byte| byte.is_ascii_digit());
        let size = size.parse().ok().filter(|_| is_number && lines.next().is_none())?;
        Some(Self { oid, size })
    }

    /// The pointer's text.
    pub fn text(&self) -> String {
        let mut text = String::from(VERSION);
        let _ = write!(text, "\noid sha256:{}\nsize {}\n", self.oid, self.size);
        text
    }

    /// Whether bytes would be taken for a pointer, or for one that is damaged.
    pub fn resembles(bytes: &[u8]) -> bool {
        bytes.starts_with(b"version http")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_read_as_git_lfs_writes_them() {
        // As `git lfs pointer --file=<a file with "abc">` prints it.
        let text = "version https://git-lfs.github.com/spec/v1\n\
             oid sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\nsize 3\n";
        let pointer = LfsPointer::parse(text.as_bytes()).unwrap();
        assert_eq!(pointer, LfsPointer { oid: Oid::of(b"abc"), size: 3 });
        assert_eq!(pointer.text(), text);
        for bad in [
            "",
            "abc",
            "version https://git-lfs.github.com/spec/v1\n",
            &text.replace("size 3", "size -3"),
            &text.replace("size 3", "size +3"),
            &text.replace("size 3", "size 99999999999999999999"),
            &text.replace("ba78", "BA78"),
            &text.replace("ba78", "ba7"),
            &text.replace("ba78", "xyzw"),
            &text.replace("oid", "ext-0-x sha256:00\noid"),
            &format!("{text}more\n"),
            &format!("{text}{}", " ".repeat(2000)),
        ] {
            assert_eq!(LfsPointer::parse(bad.as_bytes()), None, "{bad:?}");
        }
    }
}
