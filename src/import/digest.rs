//! The digests by which other tools know contents.

use std::fmt;
use std::io::{self, Read};

use md5::Md5;
use sha2::{Digest as _, Sha256};

use crate::remote::{LfsPointer, Oid};

/// What a content has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expected {
    /// By SHA-256 and size, as Git LFS has it.
    Lfs(LfsPointer),
    /// By MD5, as DVC has it.
    Dvc {
        /// 32 hexadecimal digits.
        md5: String,
        /// The size, where DVC noted it.
        size: Option<u64>,
        /// Whether it may be the MD5 of a text with the line ends of Unix, as DVC took it before its version 3.
        may_be_text: bool,
    },
}

impl Expected {
    pub(super) fn size(&self) -> Option<u64> {
        match self {
            Self::Lfs(pointer) => Some(pointer.size),
            Self::Dvc { size, .. } => *size,
        }
    }

    /// Whether all that `input` gives is this content.
    pub(super) fn is_that_of(&self, input: &mut dyn Read) -> io::Result<bool> {
        match self {
            Self::Lfs(pointer) => {
                let mut hasher = Sha256::new();
                let size = read_all(input, |bytes| hasher.update(bytes))?;
                Ok(size == pointer.size && Oid::finish(hasher) == pointer.oid)
            }
            Self::Dvc { md5, may_be_text, .. } => {
                let (mut plain, mut text) = (Md5::new(), UnixText::default());
                read_all(input, |bytes| {
                    plain.update(bytes);
                    if *may_be_text {
                        text.update(bytes);
                    }
                })?;
                Ok(hex(&plain.finalize()) == *md5 || (*may_be_text && hex(&text.finish()) == *md5))
            }
        }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lfs(pointer) => write!(formatter, "SHA-256 {}", pointer.oid),
            Self::Dvc { md5, .. } => write!(formatter, "MD5 {md5}"),
        }
    }
}

/// The MD5 of some bytes, in hexadecimal digits.
pub(super) fn md5_of(bytes: &[u8]) -> String {
    hex(&Md5::digest(bytes))
}

/// The MD5 of a text with every carriage return before a line feed left out.
#[derive(Default)]
struct UnixText {
    hasher: Md5,
    /// Whether the last byte was a carriage return, which is not hashed before what follows is known.
    held: bool,
}

impl UnixText {
    fn update(&mut self, bytes: &[u8]) {
        let mut start = 0;
        for (at, byte) in bytes.iter().enumerate() {
            if self.held {
                self.held = false;
                if *byte != b'\n' {
                    self.hasher.update(b"\r");
                }
            }
            if *byte == b'\r' {
                self.hasher.update(&bytes[start..at]);
                (start, self.held) = (at + 1, true);
            }
        }
        self.hasher.update(&bytes[start..]);
    }

    fn finish(mut self) -> Vec<u8> {
        if self.held {
            self.hasher.update(b"\r");
        }
        self.hasher.finalize().to_vec()
    }
}

fn read_all(input: &mut dyn Read, mut take: impl FnMut(&[u8])) -> io::Result<u64> {
    let mut buffer = vec![0; 1 << 20];
    let mut size = 0;
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return Ok(size),
            Ok(count) => {
                take(&buffer[..count]);
                size += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dvc(md5: &str, may_be_text: bool) -> Expected {
        Expected::Dvc { md5: md5.to_owned(), size: None, may_be_text }
    }

    #[test]
    fn contents_are_known_by_the_digests_of_others() {
        let lfs = Expected::Lfs(LfsPointer { oid: Oid::of(b"abc"), size: 3 });
        assert!(lfs.is_that_of(&mut &b"abc"[..]).unwrap() && !lfs.is_that_of(&mut &b"abd"[..]).unwrap());
        // As `printf abc | md5sum` prints it.
        let md5 = "900150983cd24fb0d6963f7d28e17f72";
        assert_eq!(md5_of(b"abc"), md5);
        assert!(dvc(md5, false).is_that_of(&mut &b"abc"[..]).unwrap());
        assert!(!dvc(md5, true).is_that_of(&mut &b"abd"[..]).unwrap());
    }

    #[test]
    fn old_digests_of_texts_leave_carriage_returns_out() {
        let unix = md5_of(b"a\nb\rc\n\r");
        let text = b"a\r\nb\rc\r\n\r";
        assert!(dvc(&unix, true).is_that_of(&mut &text[..]).unwrap());
        assert!(!dvc(&unix, false).is_that_of(&mut &text[..]).unwrap());
        assert!(dvc(&md5_of(text), true).is_that_of(&mut &text[..]).unwrap());
        // Wherever the text is cut when it is read.
        for cut in 0..=text.len() {
            let mut hasher = UnixText::default();
            hasher.update(&text[..cut]);
            hasher.update(&text[cut..]);
            assert_eq!(hex(&hasher.finish()), unix, "{cut}");
        }
    }
}
