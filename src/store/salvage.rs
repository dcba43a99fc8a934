//! Mending: what is good in a damaged pack moves to a new one, and the damaged one is set aside.

use std::collections::HashSet;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::check::check_entry;
use super::codec;
use super::index::NewPacks;
use super::pack;
use super::sink::OpenPack;
use super::{LOCK_WAIT, Store, StoreError, lock};
use crate::files::{self, FileLock};
use crate::id::{Digest, PackId};

/// What became of a damaged pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Salvaged {
    /// Where the damaged pack is now, as it was; none if all of it could be put right in its place.
    pub set_aside: Option<PathBuf>,
    /// The pack with all that was good; none if nothing was.
    pub pack: Option<PackId>,
    /// How many chunks and file maps were good.
    pub kept: usize,
    /// The chunks and file maps that are damaged. The store has them no longer, unless in another pack, so adding
    /// their content again stores it again.
    pub lost: Vec<Digest>,
}

impl Store {
    /// Takes a damaged pack out of use without losing what is good in it; none if the pack is not damaged.
    ///
    /// While the store believes to have a damaged chunk, a writer would not store it again.
    pub fn salvage_pack(&self, pack: &PackId) -> Result<Option<Salvaged>, StoreError> {
        if self.check_pack(pack)?.is_empty() {
            return Ok(None);
        }
        // Alone: a writer counts on what the index names.
        let _alone = FileLock::exclusive(&self.lock_path(), LOCK_WAIT)?;
        let path = self.pack_path(pack);
        let fail = |source| StoreError::Read { what: path.display().to_string(), source };
        let file = File::open(&path).map_err(fail)?;
        let mut rescue = OpenPack::new(&self.packs_dir())?;
        let (mut kept, mut lost, mut seen) = (0, Vec::new(), HashSet::new());
        for entry in pack::read_entries(&file).map_err(fail)? {
            if !seen.insert(entry.header.key) {
                continue;
            }
            let problem = check_entry(&file, &entry).map_err(fail)?;
            if problem.is_some() && codec::is_known(entry.header.codec) {
                lost.push(entry.header.key.digest);
                continue;
            }
            let mut stored = vec![0; entry.header.stored_len as usize];
            file.read_exact_at(&mut stored, entry.offset).map_err(fail)?;
            // What a newer version stored in a way of its own can be kept as it is.
            if crc32fast::hash(&stored) != entry.header.crc {
                lost.push(entry.header.key.digest);
                continue;
            }
            if let Some(batch) = rescue.append(entry.header, stored.into()) {
                batch.write()?;
            }
            kept += 1;
        }
        let rescued = if kept > 0 { Some(rescue.close().write_and_seal()?) } else { None };
        let mut known = NewPacks::new();
        let rescued_pack = rescued.as_ref().map(|sealed| sealed.id);
        if let Some(sealed) = rescued {
            sealed.draft.publish(&self.pack_path(&sealed.id))?;
            files::sync_dir(&self.packs_dir())?;
            known.insert(sealed.id, sealed.entries);
        }
        let set_aside = if rescued_pack == Some(*pack) { None } else { Some(self.set_aside(pack)?) };
        lock(&self.open_packs).remove(pack);
        self.refresh(known)?;
        Ok(Some(Salvaged { set_aside, pack: rescued_pack, kept, lost }))
    }

    /// The damaged packs that were set aside, each with the content that the store does not have otherwise.
    pub fn set_aside_packs(&self) -> Result<Vec<(PathBuf, Vec<Digest>)>, StoreError> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(self.root().join("damaged")).into_iter().flatten().flatten() {
            let path = entry.path();
            let fail = |source| StoreError::Read { what: path.display().to_string(), source };
            let mut lost = Vec::new();
            for entry in File::open(&path).and_then(|file| pack::read_entries(&file)).map_err(fail)? {
                if self.find(&entry.header.key)?.is_empty() {
                    lost.push(entry.header.key.digest);
                }
            }
            found.push((path, lost));
        }
        Ok(found)
    }

    /// Moves a pack to where no index looks.
    fn set_aside(&self, pack: &PackId) -> Result<PathBuf, StoreError> {
        let folder = self.root().join("damaged");
        files::create_dir_all(&folder)?;
        let names = (0u32..).map(|number| match number {
            0 => format!("{pack}.pack"),
            number => format!("{pack}.{number}.pack"),
        });
        let mut free = names.map(|name| folder.join(name)).filter(|place| place.symlink_metadata().is_err());
        let Some(place) = free.next() else { unreachable!("there are more numbers than files") };
        files::rename(&self.pack_path(pack), &place)?;
        files::sync_dir(&self.packs_dir())?;
        Ok(place)
    }
}
