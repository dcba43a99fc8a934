//! Objects of ours: written, on the disk, and only then under their names.
//!
//! git takes an object that has a name for whole. One that got its name before its content was on the disk may be empty
//! after a power cut, and whoever writes the same content later would rely on it.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use gix::ObjectId;
use gix::objs::Kind;

use super::error::OrFailed;
use super::{GitError, Identity, Repository, TreeEdit};
use crate::files::{self, Claim, Draft, Durability, FileError, SealedDraft};

/// Bytes of a content that tell whether it is worth compressing.
const SAMPLE: usize = 64 << 10;
/// The mode of a folder and of a file, as trees have them.
const FOLDER: u16 = 0o040_000;
const FILE: u16 = 0o100_644;

/// Objects that are about to be written.
pub(super) struct NewObjects<'r> {
    repository: &'r Repository,
    gix: gix::Repository,
    /// The folder of the drafts: what is left there is swept.
    folder: PathBuf,
    drafts: Vec<(PathBuf, SealedDraft)>,
}

impl<'r> NewObjects<'r> {
    /// None yet.
    pub(super) fn new(repository: &'r Repository) -> Result<Self, GitError> {
        let folder = repository.common_dir().join("ml");
        files::create_dir_all(&folder).or_failed(|| "cannot write objects")?;
        Ok(Self { repository, gix: repository.gix(), folder, drafts: Vec::new() })
    }

    /// Adds an object, unless it is there and whole.
    fn add(&mut self, kind: Kind, content: &[u8]) -> Result<ObjectId, GitError> {
        let action = || format!("cannot write a {kind}");
        let id = gix::objs::compute_hash(gix::hash::Kind::Sha1, kind, content).or_failed(action)?;
        let place = object_place(self.repository, &id);
        let is_new = self.drafts.iter().all(|(known, _)| *known != place);
        // The empty tree is always found, and `git fsck` wants it to be there.
        let is_whole = !content.is_empty() && self.gix.try_find_object(id).is_ok_and(|object| object.is_some());
        if is_new && !is_whole {
            let mut draft = Draft::new_in(&self.folder).or_failed(action)?;
            compress(kind, content, &mut draft)
                .map_err(|source| FileError::new("write", draft.path(), source))
                .or_failed(action)?;
            self.drafts.push((place, draft.seal(Durability::Buffered).or_failed(action)?));
        }
        Ok(id)
    }

    /// Adds a commit.
    pub(super) fn commit(
        &mut self,
        tree: ObjectId,
        parents: &[ObjectId],
        author: &Identity,
        message: &str,
    ) -> Result<ObjectId, GitError> {
        let mut text = format!("tree {tree}\n");
        for parent in parents {
            text += &format!("parent {parent}\n");
        }
        let signature = author.signature_line()?;
        text += &format!("author {signature}\ncommitter {signature}\n\n{message}");
        self.add(Kind::Commit, text.as_bytes())
    }

    /// Adds the tree that `base` becomes with the edits; of several to one path the last counts.
    pub(super) fn edit_tree(&mut self, base: Option<ObjectId>, edits: &[TreeEdit]) -> Result<ObjectId, GitError> {
        let edits = edits.iter().map(|edit| (edit.path.as_str(), edit.content.as_deref())).collect();
        match self.edit_folder(base, edits)? {
            Some(tree) => Ok(tree),
            None => self.add(Kind::Tree, b""),
        }
    }

    /// The tree of a folder with the edits; none if nothing is left in it.
    fn edit_folder(
        &mut self,
        base: Option<ObjectId>,
        edits: BTreeMap<&str, Option<&[u8]>>,
    ) -> Result<Option<ObjectId>, GitError> {
        let mut entries: BTreeMap<Vec<u8>, (u16, ObjectId)> = BTreeMap::new();
        if let Some(base) = base {
            let tree = self.gix.find_tree(base).or_failed(|| format!("cannot read tree {base}"))?;
            for entry in tree.iter() {
                let entry = entry.or_failed(|| format!("cannot read tree {base}"))?;
                entries.insert(entry.filename().to_vec(), (entry.mode().value(), entry.object_id()));
            }
        }
        let mut folders: BTreeMap<&str, BTreeMap<&str, Option<&[u8]>>> = BTreeMap::new();
        for (path, content) in edits {
            let name = path.split('/').next().unwrap_or_default();
            if ["", ".", ".."].contains(&name) || name.eq_ignore_ascii_case(".git") || name.contains('\0') {
                return Err(GitError::Failed { action: "cannot write a tree".to_owned(), source: "a bad path".into() });
            }
            match (path.split_once('/'), content) {
                (Some((folder, below)), _) => drop(folders.entry(folder).or_default().insert(below, content)),
                (None, Some(content)) => {
                    let blob = self.add(Kind::Blob, content)?;
                    entries.insert(path.as_bytes().to_vec(), (FILE, blob));
                }
                (None, None) => drop(entries.remove(path.as_bytes())),
            }
        }
        for (name, edits) in folders {
            let before = entries.get(name.as_bytes()).filter(|(mode, _)| *mode == FOLDER).map(|(_, id)| *id);
            match self.edit_folder(before, edits)? {
                Some(tree) => drop(entries.insert(name.as_bytes().to_vec(), (FOLDER, tree))),
                None => drop(entries.remove(name.as_bytes())),
            }
        }
        if entries.is_empty() {
            return Ok(None);
        }
        let mut sorted: Vec<_> = entries.into_iter().collect();
        // git sorts a folder as if its name ended with a slash.
        let key = |name: &[u8], mode: u16| [name, if mode == FOLDER { &b"/"[..] } else { b"" }].concat();
        sorted.sort_by_cached_key(|(name, (mode, _))| key(name, *mode));
        let mut tree = Vec::new();
        for (name, (mode, id)) in sorted {
            tree.extend(format!("{mode:o} ").as_bytes());
            tree.extend(name);
            tree.push(0);
            tree.extend(id.as_slice());
        }
        self.add(Kind::Tree, &tree).map(Some)
    }

    /// Gives the objects their names, and then a locked ref its new commit. Whatever is there after a power cut is whole.
    pub(super) fn publish(self, claim: Option<(Claim, &str, ObjectId)>) -> Result<(), GitError> {
        let action = || "cannot write objects";
        let mut places: Vec<PathBuf> = self.drafts.iter().map(|(_, draft)| draft.path().to_path_buf()).collect();
        if let Some((claim, reference, id)) = &claim {
            claim.write(format!("{id}\n").as_bytes()).or_failed(|| format!("cannot write {reference}"))?;
            places.push(claim.path().to_path_buf());
        }
        files::sync_all(&places).or_failed(action)?;
        let mut folders = Vec::new();
        for (place, draft) in self.drafts {
            let folder = place.parent().unwrap_or(&place);
            files::ensure_dir(folder).or_failed(action)?;
            draft.publish(&place).or_failed(action)?;
            folders.extend([folder.to_path_buf(), self.repository.common_dir().join("objects")]);
        }
        folders.sort_unstable();
        folders.dedup();
        files::sync_all(&folders).or_failed(action)?;
        match claim {
            Some((claim, reference, _)) => self.repository.publish_ref(claim, reference),
            None => Ok(()),
        }
    }
}

/// The file of an object that has one of its own.
pub(super) fn object_place(repository: &Repository, id: &ObjectId) -> PathBuf {
    let id = id.to_string();
    repository.common_dir().join("objects").join(&id[..2]).join(&id[2..])
}

/// Writes an object as git keeps it in a file of its own.
fn compress(kind: Kind, content: &[u8], output: &mut Draft) -> std::io::Result<()> {
    let sample = &content[..content.len().min(SAMPLE)];
    let level = match sample.len() < SAMPLE || is_worth_it(sample)? {
        true => Compression::default(),
        // Series are compressed already, and there may be gigabytes of them.
        false => Compression::none(),
    };
    let mut encoder = ZlibEncoder::new(std::io::BufWriter::new(output), level);
    encoder.write_all(format!("{kind} {}\0", content.len()).as_bytes())?;
    encoder.write_all(content)?;
    encoder.finish()?.flush()
}

fn is_worth_it(sample: &[u8]) -> std::io::Result<bool> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(sample)?;
    Ok(encoder.finish()?.len() < sample.len() / 10 * 9)
}

/// The files of objects and the folders that name them.
pub(super) fn places_of(repository: &Repository, ids: &[ObjectId]) -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> = ids.iter().map(|id| object_place(repository, id)).collect();
    let folders: Vec<PathBuf> =
        places.iter().flat_map(|place| place.ancestors().skip(1).take(2)).map(Path::to_path_buf).collect();
    places.extend(folders);
    places.sort_unstable();
    places.dedup();
    places
}
