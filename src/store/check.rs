//! Checking whole packs, and taking in packs from elsewhere.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rayon::prelude::*;

use super::index::NewPacks;
use super::pack::{self, Footer, HEADER_LEN, Header, Kind, MAGIC, PackEntry};
use super::reader::{decode_and_check, decode_map};
use super::{Store, StoreError};
use crate::files::{Draft, Durability, FileError};
use crate::id::{Digest, PackId};

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

impl Store {
    /// Reads a whole pack and checks every byte of it: what is damaged, with the content it belongs to.
    pub fn check_pack(&self, pack: &PackId) -> Result<Vec<Damage>, StoreError> {
        let path = self.pack_path(pack);
        let fail = |source| StoreError::Read { what: path.display().to_string(), source };
        let file = File::open(&path).map_err(fail)?;
        let (named, mut damages) = check_file(&file, pack).map_err(fail)?;
        if let Some(problem) = misnamed(named, pack).filter(|_| damages.is_empty()) {
            damages.push(Damage { pack: *pack, content: None, problem });
        }
        Ok(damages)
    }

    /// A quick look at a pack, without its content: none if it begins as packs do and its footer is whole, else what is
    /// wrong.
    pub fn probe_pack(&self, pack: &PackId) -> Result<Option<String>, StoreError> {
        let path = self.pack_path(pack);
        let fail = |source| StoreError::Read { what: path.display().to_string(), source };
        let file = File::open(&path).map_err(fail)?;
        Ok(check_magic(&file).or(pack::read_footer(&file).map_err(fail)?.err()))
    }

    /// Takes in a pack from elsewhere: copies it, checks every byte of the copy, and makes it durable and findable.
    pub fn import_pack(&self, path: &Path) -> Result<PackId, StoreError> {
        let fail = |source| StoreError::Read { what: path.display().to_string(), source };
        let _lock = self.lock_shared()?;
        let mut source = File::open(path).map_err(fail)?;
        let mut draft = Draft::new_in(&self.packs_dir())?;
        draft.copy_from(&mut source).map_err(|source| FileError::new("write", draft.path(), source))?;
        let name = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".pack")?.parse::<PackId>().ok());
        let pack = self.take_in(draft, name, &path.display().to_string())?;
        self.refresh(NewPacks::new())?;
        Ok(pack)
    }

    /// Makes a draft a pack of this store once every byte of it is checked. `what` names it in errors.
    pub(super) fn take_in(&self, draft: Draft, name: Option<PackId>, what: &str) -> Result<PackId, StoreError> {
        let fail = |source| StoreError::Read { what: what.to_owned(), source };
        let malformed = |problem| StoreError::Malformed { what: what.to_owned(), problem };
        let nameless = PackId::from_bytes([0; 32]);
        let (named, damages) = check_file(draft.file(), &nameless).map_err(fail)?;
        if let Some(Damage { problem, .. }) = damages.into_iter().next() {
            return Err(malformed(problem));
        }
        let pack = named.ok_or_else(|| malformed("it has no footer".to_owned()))?;
        if let Some(problem) = name.and_then(|name| misnamed(Some(pack), &name)) {
            return Err(malformed(problem));
        }
        draft.publish(&self.pack_path(&pack), false, Durability::Synced)?;
        Ok(pack)
    }
}

/// What is wrong with a pack's name.
fn misnamed(named: Option<PackId>, name: &PackId) -> Option<String> {
    let named = named.filter(|named| named != name)?;
    Some(format!("its footer's BLAKE3 is {named} and not its name"))
}

/// Checks all of a pack but its name: what it should be called, if its footer is whole, and what is damaged.
fn check_file(file: &File, pack: &PackId) -> io::Result<(Option<PackId>, Vec<Damage>)> {
    let mut damages = Vec::new();
    let mut report = |content, problem| damages.push(Damage { pack: *pack, content, problem });
    if let Some(problem) = check_magic(file) {
        report(None, problem);
    }
    let (named, entries) = match pack::read_footer(file)? {
        Ok(Footer { pack_id, entries }) => (Some(pack_id), entries),
        Err(problem) => {
            report(None, problem);
            (None, pack::scan(file)?)
        }
    };
    let spans = spans(&entries, SPAN);
    let found: Vec<_> = spans.par_iter().map(|span| check_span(file, span)).collect::<io::Result<_>>()?;
    found.into_iter().flatten().for_each(|(digest, problem)| report(Some(digest), problem));
    Ok((named, damages))
}

/// Bytes of a pack that are read at a time to be checked.
const SPAN: u64 = 1 << 20;

/// Entries that stand one after the other, in groups of about `bytes`, each header counted.
pub(super) fn spans(entries: &[PackEntry], bytes: u64) -> Vec<&[PackEntry]> {
    let mut spans = Vec::new();
    let mut rest = entries;
    while let Some(first) = rest.first() {
        let start = first.offset - HEADER_LEN as u64;
        let fits = |pair: &[PackEntry]| {
            let next = pair[0].range().end == pair[1].offset - HEADER_LEN as u64;
            next && pair[1].range().end - start <= bytes
        };
        let count = 1 + rest.windows(2).take_while(|pair| fits(pair)).count();
        let (span, others) = rest.split_at(count);
        spans.push(span);
        rest = others;
    }
    spans
}

/// What is wrong with entries that stand one after the other.
fn check_span(file: &File, span: &[PackEntry]) -> io::Result<Vec<(Digest, String)>> {
    let (Some(first), Some(last)) = (span.first(), span.last()) else { return Ok(Vec::new()) };
    let start = first.offset - HEADER_LEN as u64;
    let mut problems = Vec::new();
    if last.range().end > file.metadata()?.len() {
        for entry in span {
            let Some(problem) = check_entry(file, entry)? else { continue };
            let noun = entry.header.key.kind.noun();
            problems.push((entry.header.key.digest, format!("the {noun} at byte {} {problem}", entry.offset)));
        }
        return Ok(problems);
    }
    let mut bytes = vec![0; (last.range().end - start) as usize];
    file.read_exact_at(&mut bytes, start)?;
    for entry in span {
        let Header { key, .. } = entry.header;
        let place = (entry.offset - start) as usize;
        let header = &bytes[place - HEADER_LEN..place];
        if header != entry.header.to_bytes() {
            let problem = Header::parse(header).err().unwrap_or("it is not what the footer repeats");
            problems
                .push((key.digest, format!("the header of {} at byte {}: {problem}", key.kind.noun(), entry.offset)));
        }
        let stored = &bytes[place..place + entry.header.stored_len as usize];
        if let Some(problem) = check_stored(&entry.header, stored.to_vec()) {
            problems.push((key.digest, format!("the {} at byte {} {problem}", key.kind.noun(), entry.offset)));
        }
    }
    Ok(problems)
}

/// What is wrong with a pack's first bytes.
fn check_magic(file: &File) -> Option<String> {
    let mut magic = [0; MAGIC.len()];
    let is_good = file.read_exact_at(&mut magic, 0).is_ok() && magic == MAGIC;
    (!is_good).then(|| format!("its first 8 bytes are not `{}`", MAGIC.escape_ascii()))
}

/// What is wrong with an entry's stored bytes.
pub(super) fn check_entry(file: &File, entry: &PackEntry) -> io::Result<Option<String>> {
    let header = &entry.header;
    if entry.range().end > file.metadata()?.len() {
        return Ok(Some("is cut short".to_owned()));
    }
    let mut stored = vec![0; header.stored_len as usize];
    file.read_exact_at(&mut stored, entry.offset)?;
    Ok(check_stored(header, stored))
}

/// What is wrong with stored bytes of the length that their header says.
pub(super) fn check_stored(header: &Header, stored: Vec<u8>) -> Option<String> {
    if crc32fast::hash(&stored) != header.crc {
        return Some("has bytes that do not match their CRC".to_owned());
    }
    match header.key.kind {
        Kind::Chunk => decode_and_check(header, stored).err(),
        Kind::Map => decode_map(header, stored).err(),
    }
}
