//! What the fuzz targets share: files that a fuzzer could not hit upon, because they hold digests of themselves.

mod seeds;

pub use seeds::write_seeds;

use std::fs;
use std::path::{Path, PathBuf};

use git_ml::id::Digest;
use git_ml::store::Store;

/// Bytes of content that any reader is asked for at most.
pub const LIMIT: u64 = 8 << 20;

/// A folder of its own for one input. It is removed when this is dropped.
pub struct Place(tempfile::TempDir);

impl Place {
    /// A new one.
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A store in it.
    pub fn store(&self, name: &str) -> Store {
        Store::open(&self.path(name)).expect("a store")
    }
}

impl Default for Place {
    fn default() -> Self {
        Self::new()
    }
}

/// Takes bytes from the front of an input; zeros once it is used up.
pub struct Input<'b>(pub &'b [u8]);

impl<'b> Input<'b> {
    /// A number.
    pub fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or_default()
    }

    /// A number of so many bytes.
    pub fn number(&mut self, bytes: usize) -> u64 {
        self.take(bytes).iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// At most so many bytes.
    pub fn take(&mut self, count: usize) -> &'b [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

/// A pack that agrees with itself, and says whatever the input wants.
pub struct Pack {
    /// Its file.
    pub bytes: Vec<u8>,
    /// What its entries are called.
    pub digests: Vec<Digest>,
}

/// A digest that stands for a number, so that entries can name each other, and themselves.
fn named(number: u8) -> Digest {
    Digest::of(&[number])
}

/// Makes a pack of what the input says.
pub fn pack(input: &mut Input<'_>) -> Pack {
    let mut bytes = b"GMLPACK1".to_vec();
    let (mut footer, mut digests) = (Vec::new(), Vec::new());
    while !input.0.is_empty() && digests.len() < 16 {
        let (kind, codec, name) = (input.byte() % 3, input.byte(), input.byte());
        let raw_len = input.number(3) as u32;
        let stored_len = input.number(2) as usize;
        let stored = if kind == 1 && codec == 0 { map(input) } else { input.take(stored_len).to_vec() };
        // Either its own digest, which makes an honest raw chunk, or one that others can name.
        let digest = if name < 128 { Digest::of(&stored) } else { named(name) };
        let raw_len = if codec == 0 && name % 2 == 0 { stored.len() as u32 } else { raw_len };
        let mut header = vec![kind, codec];
        header.extend_from_slice(&raw_len.to_le_bytes());
        header.extend_from_slice(&(stored.len() as u32).to_le_bytes());
        header.extend_from_slice(digest.as_bytes());
        header.extend_from_slice(&crc32fast::hash(&stored).to_le_bytes());
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(&stored);
        footer.extend_from_slice(&header);
        digests.push(digest);
    }
    let digest = blake3::hash(&footer);
    let end = [&footer[..], &(footer.len() as u64).to_le_bytes(), digest.as_bytes(), b"GMLPEND1"];
    bytes.extend(end.concat());
    Pack { bytes, digests }
}

/// A file map that names other entries, or itself.
fn map(input: &mut Input<'_>) -> Vec<u8> {
    let mut bytes = input.number(4).to_le_bytes().to_vec();
    bytes.push(input.byte() % 3);
    for _ in 0..input.byte() {
        bytes.extend_from_slice(named(input.byte()).as_bytes());
        bytes.extend_from_slice(&(input.number(3) as u32).to_le_bytes());
    }
    bytes
}

/// Puts a pack into a store under the name that it should have.
pub fn place_pack(folder: &Path, bytes: &[u8]) {
    let trailer = bytes.len().saturating_sub(48);
    let digest = bytes.get(trailer + 8..trailer + 40).unwrap_or(&[0; 32]);
    let name: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(folder.join(format!("packs/{name}.pack")), bytes).expect("a pack");
}
