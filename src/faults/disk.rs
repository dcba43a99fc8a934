//! A disk in memory that follows a recorded trace, and what it may hold after the power was cut.
//!
//! What is promised is what POSIX promises: a file's bytes are there once the file was synced, a folder's names once
//! the folder was. Anything else may be there or not. Names come in two ways. In order, as journals keep them (ext4,
//! xfs): all changes up to some moment. And folder by folder, each up to a moment of its own, which no journal does but
//! nothing forbids. A rename is whole or did not happen. Bytes that were not synced may be missing, cut off anywhere,
//! or zeros in whole blocks.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::random::Random;
use crate::files::trace::{Step, Taken};

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    Folder,
    File(Vec<u8>),
    Link(Vec<u8>),
}

/// All that is below a folder.
pub(super) type Files = BTreeMap<PathBuf, Content>;

/// Reads all below `root` but what `is_left_out`.
pub(super) fn read(root: &Path, is_left_out: &dyn Fn(&Path) -> bool) -> Files {
    fn walk(folder: &Path, root: &Path, is_left_out: &dyn Fn(&Path) -> bool, files: &mut Files) {
        for entry in fs::read_dir(folder).unwrap() {
            let place = entry.unwrap().path();
            let path = place.strip_prefix(root).unwrap().to_path_buf();
            if is_left_out(&path) {
                continue;
            }
            let metadata = place.symlink_metadata().unwrap();
            let content = if metadata.is_dir() {
                walk(&place, root, is_left_out, files);
                Content::Folder
            } else if metadata.is_symlink() {
                Content::Link(fs::read_link(&place).unwrap().as_os_str().as_bytes().to_vec())
            } else {
                Content::File(fs::read(&place).unwrap())
            };
            files.insert(path, content);
        }
    }
    let mut files = Files::new();
    walk(root, root, is_left_out, &mut files);
    files
}

/// The paths at which two differ.
pub(super) fn differing(left: &Files, right: &Files) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = left.keys().chain(right.keys()).cloned().collect();
    paths.retain(|path| left.get(path) != right.get(path));
    paths
}

/// Makes all of it below `root`.
pub(super) fn write(files: &Files, root: &Path) {
    for (path, content) in files {
        let place = root.join(path);
        match content {
            Content::Folder => fs::create_dir(&place).unwrap_or_default(),
            Content::File(bytes) => fs::write(&place, bytes).unwrap(),
            Content::Link(target) => std::os::unix::fs::symlink(OsStr::from_bytes(target), &place).unwrap(),
        }
    }
}

/// A disk that follows a trace.
#[derive(Debug)]
pub(super) struct Disk {
    root: PathBuf,
    nodes: Vec<Node>,
    /// The nodes of files that were made or opened, by what the system calls them.
    open: HashMap<u64, usize>,
    /// Steps taken.
    moment: usize,
    /// Paths that were synced by their name, those of git's own files among them.
    kept: BTreeSet<PathBuf>,
}

#[derive(Debug)]
enum Node {
    Folder(Folder),
    File(File),
    Link(Vec<u8>),
}

#[derive(Debug, Default)]
struct Folder {
    /// As it is.
    live: BTreeMap<OsString, usize>,
    /// As it was when the trace began.
    base: BTreeMap<OsString, usize>,
    changes: Vec<Change>,
    /// Changes from before this moment are on the disk.
    synced: usize,
}

/// Names of a folder that change together.
#[derive(Debug)]
struct Change {
    moment: usize,
    names: Vec<(OsString, Option<usize>)>,
    /// The other folder of a rename.
    with: Option<usize>,
}

#[derive(Debug, Default)]
struct File {
    live: Vec<u8>,
    base: Vec<u8>,
    edits: Vec<(usize, Edit)>,
    synced: usize,
}

#[derive(Debug)]
enum Edit {
    Write(u64, Vec<u8>),
    SetLength(u64),
}

impl Edit {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(offset, new) => {
                let start = *offset as usize;
                bytes.resize(bytes.len().max(start + new.len()), 0);
                bytes[start..start + new.len()].copy_from_slice(new);
            }
            Self::SetLength(length) => bytes.resize(*length as usize, 0),
        }
    }
}

/// What a disk keeps together.
const BLOCK: usize = 4096;

impl Disk {
    /// A disk that holds `files`, which stand below `root`.
    pub(super) fn new(root: &Path, files: &Files) -> Self {
        let top = Node::Folder(Folder::default());
        let mut disk =
            Self { root: root.to_path_buf(), nodes: vec![top], open: HashMap::new(), moment: 0, kept: BTreeSet::new() };
        for (path, content) in files {
            let node = disk.add(match content {
                Content::Folder => Node::Folder(Folder::default()),
                Content::File(bytes) => {
                    Node::File(File { live: bytes.clone(), base: bytes.clone(), ..File::default() })
                }
                Content::Link(target) => Node::Link(target.clone()),
            });
            let (folder, name) = disk.place(&root.join(path));
            let folder = disk.folder(folder);
            folder.base.insert(name.clone(), node);
            folder.live.insert(name, node);
        }
        disk
    }

    /// Follows one step.
    pub(super) fn take(&mut self, taken: &Taken) {
        let moment = self.moment;
        self.moment += 1;
        match &taken.step {
            Step::Create { path, node } => {
                let made = self.add(Node::File(File::default()));
                self.open.insert(*node, made);
                self.change(moment, path, Some(made));
            }
            Step::Open { path, node } => {
                let there = self.find(path);
                let opened = there.unwrap_or_else(|| self.add(Node::File(File::default())));
                self.open.insert(*node, opened);
                if there.is_none() {
                    self.change(moment, path, Some(opened));
                }
            }
            Step::Write { node, offset, bytes } => self.edit(*node, moment, Edit::Write(*offset, bytes.clone())),
            Step::SetLength { node, length } => self.edit(*node, moment, Edit::SetLength(*length)),
            Step::Describe { .. } | Step::Mark(_) => {}
            Step::Sync { node } => self.file(*node).synced = taken.began,
            Step::Symlink { path, target } => {
                let made = self.add(Node::Link(target.clone()));
                self.change(moment, path, Some(made));
            }
            Step::CreateDir { path } => {
                let made = self.add(Node::Folder(Folder::default()));
                self.change(moment, path, Some(made));
            }
            Step::Rename { from, to } => self.rename(moment, from, to),
            Step::Remove { path } => self.change(moment, path, None),
            Step::RemoveAll { path } => self.remove_all(moment, path),
            Step::User { path, bytes } => self.change_as_user(moment, path, bytes.as_deref()),
            Step::SyncPlace { path } => {
                match self.find(path).map(|number| &mut self.nodes[number]) {
                    Some(Node::Folder(folder)) => folder.synced = taken.began,
                    Some(Node::File(file)) => file.synced = taken.began,
                    Some(Node::Link(_)) | None => {}
                }
                self.kept.extend(path.strip_prefix(&self.root).map(Path::to_path_buf));
            }
            Step::SyncDir { path } => {
                let node = self.find(path).unwrap();
                self.folder(node).synced = taken.began;
            }
        }
    }

    /// Whether a file that git wrote is on the disk, with its name.
    pub(super) fn has_kept(&self, path: &Path) -> bool {
        self.kept.contains(path) && path.parent().is_some_and(|folder| self.kept.contains(folder))
    }

    /// All that is there now.
    pub(super) fn live(&self) -> Files {
        self.collect(&|_, folder| folder.live.clone(), &mut |file| file.live.clone())
    }

    /// What may be there if the power is cut now.
    pub(super) fn cut(&self, random: &mut Random) -> Files {
        let horizons = self.horizons(random);
        let names_of = |number: usize, folder: &Folder| {
            let mut names = folder.base.clone();
            for change in folder.changes.iter().filter(|change| change.moment < horizons[number]) {
                for (name, node) in &change.names {
                    match node {
                        Some(node) => names.insert(name.clone(), *node),
                        None => names.remove(name),
                    };
                }
            }
            names
        };
        self.collect(&names_of, &mut |file| file.cut(random))
    }

    /// For each folder, the moment up to which its changes are on the disk.
    fn horizons(&self, random: &mut Random) -> Vec<usize> {
        let synced = |node: &Node| match node {
            Node::Folder(folder) => folder.synced,
            _ => 0,
        };
        let in_order = random.one_in(2);
        let mut choose = |least: usize| match random.between(0, 4) {
            0 => least,
            1 => self.moment,
            _ => random.between(least, self.moment + 1),
        };
        let least = self.nodes.iter().map(synced).max().unwrap_or_default();
        let mut horizons: Vec<usize> = if in_order {
            vec![choose(least); self.nodes.len()]
        } else {
            self.nodes.iter().map(|node| choose(synced(node))).collect()
        };
        // A rename from one folder to another is in both or in none.
        loop {
            let mut is_settled = true;
            for (number, node) in self.nodes.iter().enumerate() {
                let Node::Folder(folder) = node else { continue };
                let horizon = horizons[number];
                for change in folder.changes.iter().filter(|change| change.moment < horizon) {
                    if let Some(other) = change.with.filter(|other| horizons[*other] <= change.moment) {
                        horizons[other] = change.moment + 1;
                        is_settled = false;
                    }
                }
            }
            if is_settled {
                return horizons;
            }
        }
    }

    fn collect(
        &self,
        names_of: &dyn Fn(usize, &Folder) -> BTreeMap<OsString, usize>,
        bytes_of: &mut dyn FnMut(&File) -> Vec<u8>,
    ) -> Files {
        let mut files = Files::new();
        let mut folders = vec![(PathBuf::new(), 0)];
        while let Some((path, number)) = folders.pop() {
            let Node::Folder(folder) = &self.nodes[number] else { continue };
            for (name, node) in names_of(number, folder) {
                let path = path.join(name);
                let content = match &self.nodes[node] {
                    Node::Folder(_) => {
                        folders.push((path.clone(), node));
                        Content::Folder
                    }
                    Node::File(file) => Content::File(bytes_of(file)),
                    Node::Link(target) => Content::Link(target.clone()),
                };
                files.insert(path, content);
            }
        }
        files
    }

    fn add(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn folder(&mut self, number: usize) -> &mut Folder {
        match &mut self.nodes[number] {
            Node::Folder(folder) => folder,
            other => panic!("a name below {other:?}"),
        }
    }

    fn file(&mut self, node: u64) -> &mut File {
        match &mut self.nodes[self.open[&node]] {
            Node::File(file) => file,
            other => panic!("bytes of {other:?}"),
        }
    }

    /// The folder of a path, and its name there.
    fn place(&mut self, path: &Path) -> (usize, OsString) {
        let folder = path.parent().unwrap();
        let parent = self.find(folder).or_else(|| self.made_by_git(folder));
        (parent.unwrap_or_else(|| panic!("no folder for {}", path.display())), path.file_name().unwrap().to_owned())
    }

    /// A folder of objects that git itself made, past the trace, for those of a snapshot: as if it had been there before.
    fn made_by_git(&mut self, folder: &Path) -> Option<usize> {
        let above = folder.parent().filter(|above| above.ends_with(".git/objects"))?;
        let above = self.find(above)?;
        let made = self.add(Node::Folder(Folder::default()));
        let name = folder.file_name()?.to_owned();
        let above = self.folder(above);
        above.live.insert(name.clone(), made);
        above.base.insert(name, made);
        Some(made)
    }

    fn find(&self, path: &Path) -> Option<usize> {
        let mut number = 0;
        for name in path.strip_prefix(&self.root).unwrap() {
            let Node::Folder(folder) = &self.nodes[number] else { return None };
            number = *folder.live.get(name)?;
        }
        Some(number)
    }

    fn edit(&mut self, node: u64, moment: usize, edit: Edit) {
        let file = self.file(node);
        edit.apply(&mut file.live);
        file.edits.push((moment, edit));
    }

    /// Puts a node under a name, or nothing.
    fn change(&mut self, moment: usize, path: &Path, node: Option<usize>) {
        let (folder, name) = self.place(path);
        self.change_names(moment, folder, vec![(name, node)], None);
    }

    fn change_names(
        &mut self,
        moment: usize,
        folder: usize,
        names: Vec<(OsString, Option<usize>)>,
        with: Option<usize>,
    ) {
        let folder = self.folder(folder);
        for (name, node) in &names {
            match node {
                Some(node) => folder.live.insert(name.clone(), *node),
                None => folder.live.remove(name),
            };
        }
        folder.changes.push(Change { moment, names, with });
    }

    /// A change that is on the disk at once, with the folders above it.
    fn change_as_user(&mut self, moment: usize, path: &Path, bytes: Option<&[u8]>) {
        let missing: Vec<&Path> = path.ancestors().skip(1).take_while(|folder| self.find(folder).is_none()).collect();
        for folder in missing.into_iter().rev() {
            let made = self.add(Node::Folder(Folder::default()));
            self.change(moment, folder, Some(made));
        }
        let content = |bytes: &[u8]| File { live: bytes.to_vec(), base: bytes.to_vec(), ..File::default() };
        let made = bytes.map(|bytes| self.add(Node::File(content(bytes))));
        self.change(moment, path, made);
        for folder in path.ancestors().skip(1) {
            if !folder.starts_with(&self.root) {
                break;
            }
            if let Some(number) = self.find(folder) {
                self.folder(number).synced = moment + 1;
            }
        }
    }

    fn rename(&mut self, moment: usize, from: &Path, to: &Path) {
        let node = self.find(from).unwrap_or_else(|| panic!("nothing at {}", from.display()));
        let ((old, old_name), (new, new_name)) = (self.place(from), self.place(to));
        if old == new {
            self.change_names(moment, old, vec![(old_name, None), (new_name, Some(node))], None);
        } else {
            self.change_names(moment, old, vec![(old_name, None)], Some(new));
            self.change_names(moment, new, vec![(new_name, Some(node))], Some(old));
        }
    }

    /// Removes what is in a folder one by one, and then the folder.
    fn remove_all(&mut self, moment: usize, path: &Path) {
        let Some(number) = self.find(path) else { return };
        if let Node::Folder(folder) = &self.nodes[number] {
            let names: Vec<OsString> = folder.live.keys().cloned().collect();
            names.iter().for_each(|name| self.remove_all(moment, &path.join(name)));
        }
        self.change(moment, path, None);
    }
}

impl File {
    /// What may be left of it if the power is cut now.
    fn cut(&self, random: &mut Random) -> Vec<u8> {
        let mut bytes = self.base.clone();
        let (safe, unsafe_edits): (Vec<_>, Vec<_>) = self.edits.iter().partition(|(moment, _)| *moment < self.synced);
        safe.iter().for_each(|(_, edit)| edit.apply(&mut bytes));
        if unsafe_edits.is_empty() {
            return bytes;
        }
        let safe_bytes = bytes.clone();
        let reached = match random.between(0, 4) {
            0 => 0,
            1 => unsafe_edits.len(),
            _ => random.between(0, unsafe_edits.len() + 1),
        };
        unsafe_edits[..reached].iter().for_each(|(_, edit)| edit.apply(&mut bytes));
        match random.between(0, 4) {
            // The file's end had not got to the disk.
            0 if bytes.len() > safe_bytes.len() => bytes.truncate(random.between(safe_bytes.len(), bytes.len())),
            // Its length had, and not all of its blocks.
            1 => {
                for (number, block) in bytes.chunks_mut(BLOCK).enumerate() {
                    let start = number * BLOCK;
                    let is_safe = safe_bytes.get(start..start + block.len()) == Some(&*block);
                    if !is_safe && random.one_in(2) {
                        let kept = safe_bytes.len().saturating_sub(start).min(block.len());
                        block[kept..].fill(0);
                    }
                }
            }
            _ => {}
        }
        bytes
    }
}

/// A part of the disk, and whether it is the double's: git writes its own files past it.
pub(super) fn is_gits(path: &Path) -> bool {
    let below: Vec<_> = path.iter().collect();
    below.iter().position(|name| *name == ".git").is_some_and(|at| below.get(at + 1).is_some_and(|name| *name != "ml"))
}
