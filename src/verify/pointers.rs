//! Pointers: in the work tree, at HEAD, on branches and in any revision.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;

use crate::files::RelPath;
use crate::id::{ArtifactId, CommitId, Digest};
use crate::registry::{RegistryError, Resolved};
use crate::store::Manifest;
use crate::track::{Kind, POINTER_SUFFIX, Pointer, TrackError, last_checked_out};
use crate::words::error_in_a_line;

use super::{Claim, Code, Finding, Inspection, Revisions, Role};

/// Bytes a pointer may have.
const MAX_POINTER: u64 = 64 * 1024;
/// Where local branches are.
const BRANCHES: &str = "refs/heads/";
/// How git marks the first side of a conflict.
const CONFLICT: &[u8] = b"<<<<<<< ";

/// Pointers that were looked at: their paths, and what they hold.
type Seen = BTreeSet<(String, Digest)>;

impl Inspection<'_> {
    /// Reads every pointer and notes which artifacts they name.
    pub(super) fn check_pointers(&mut self, with_branches: bool) -> Result<(), RegistryError> {
        let repository = &self.workspace.repository;
        let mut seen = Seen::new();
        let pointers = match repository.work_dir() {
            Ok(_) => self.work_tree_pointers()?,
            // A bare repository has none.
            Err(_) => BTreeMap::new(),
        };
        for (path, pointer) in &pointers {
            seen.insert((format!("{path}{POINTER_SUFFIX}"), content_of(pointer)));
            self.add_use(pointer.id, path.to_string(), Role::Pointer, Some(claim(pointer)));
        }
        self.check_renames(&pointers);
        let head = self.workspace.repository.head()?.commit;
        if let Some(head) = head {
            self.check_commit(&head, "HEAD", &mut seen)?;
        }
        if with_branches {
            for (name, tip) in self.workspace.repository.refs(BRANCHES)? {
                if Some(tip) != head {
                    self.check_commit(&tip, name.strip_prefix(BRANCHES).unwrap_or(&name), &mut seen)?;
                }
            }
        }
        Ok(())
    }

    /// Reads the pointers that revisions have, or that ranges of them bring.
    pub(super) fn check_revisions(&mut self, revisions: &[Revisions]) -> Result<(), RegistryError> {
        let mut seen = Seen::new();
        for Revisions { label, tips, hidden } in revisions {
            for tip in tips {
                self.check_commit(tip, label, &mut seen)?;
            }
            let Some(hidden) = hidden else { continue };
            let brought = self.workspace.repository.added_files(tips, hidden, POINTER_SUFFIX, MAX_POINTER)?;
            for file in brought {
                let content = file.content.ok_or_else(|| "it is larger than 64 KiB".to_owned());
                self.check_committed(label, &file.path, content, &mut seen);
            }
        }
        Ok(())
    }

    /// Reads the pointers that a commit has; those that were seen before say nothing new.
    fn check_commit(&mut self, commit: &CommitId, label: &str, seen: &mut Seen) -> Result<(), RegistryError> {
        let repository = &self.workspace.repository;
        for file in repository.find_at(commit, POINTER_SUFFIX)? {
            let content = match repository.read_at(commit, &file, MAX_POINTER) {
                Ok(bytes) => Ok(bytes.unwrap_or_default()),
                Err(error) => Err(error_in_a_line(&error)),
            };
            self.check_committed(label, &file, content, seen);
        }
        Ok(())
    }

    fn check_committed(&mut self, label: &str, file: &str, content: Result<Vec<u8>, String>, seen: &mut Seen) {
        let target = format!("{label}:{file}");
        let Some(data) = file.strip_suffix(POINTER_SUFFIX) else { return };
        if let Err(error) = RelPath::new(data) {
            return self.unsafe_path(&target, &error.to_string());
        }
        let bytes = match content {
            Ok(bytes) => bytes,
            Err(problem) => return self.unreadable(Code::UnreadablePointer, &target, &problem),
        };
        match Pointer::parse(&bytes) {
            Ok(pointer) => {
                if seen.insert((file.to_owned(), content_of(&pointer))) {
                    self.add_use(pointer.id, format!("{label}:{data}"), Role::Committed, Some(claim(&pointer)));
                }
            }
            Err(error) => self.unreadable(fault_of(&bytes), &target, &error.to_string()),
        }
    }

    /// Notes the artifacts that the user asked for, with what the pointers to them say.
    pub(super) fn add_targets(&mut self, targets: &[Resolved]) {
        let pointers = self.workspace.pointers().unwrap_or_default();
        for target in targets {
            self.add_use(target.id, target.target.clone(), Role::Asked, None);
            for (path, pointer) in pointers.iter().filter(|(_, pointer)| pointer.id == target.id) {
                self.add_use(pointer.id, path.to_string(), Role::Pointer, Some(claim(pointer)));
            }
        }
    }

    fn work_tree_pointers(&mut self) -> Result<BTreeMap<RelPath, Pointer>, RegistryError> {
        let workspace = self.workspace;
        let mut paths: BTreeSet<RelPath> = BTreeSet::new();
        for file in workspace.repository.tracked_with_suffix(POINTER_SUFFIX)? {
            let data = file.as_str().strip_suffix(POINTER_SUFFIX).unwrap_or(file.as_str());
            match RelPath::new(data) {
                Ok(path) => drop(paths.insert(path)),
                Err(error) => self.unsafe_path(file.as_str(), &error.to_string()),
            }
        }
        let found = workspace.all_pointers()?;
        paths.extend(found.valid.into_keys());
        for (path, _) in found.faulty {
            let data = path.as_str().strip_suffix(POINTER_SUFFIX).unwrap_or(path.as_str());
            paths.extend(RelPath::new(data));
        }
        let mut pointers = BTreeMap::new();
        for path in paths {
            match workspace.pointer(&path) {
                Ok(pointer) => drop(pointers.insert(path, pointer)),
                // It is removed and not committed yet: HEAD has it.
                Err(TrackError::NotTracked { .. } | TrackError::NotFound { .. }) => {}
                Err(error) => {
                    let file = format!("{path}{POINTER_SUFFIX}");
                    let problem = match error {
                        TrackError::Pointer { source, .. } => source.to_string(),
                        error => error_in_a_line(&error),
                    };
                    let code = fault_of(&self.pointer_bytes(&path));
                    self.unreadable(code, &file, &problem);
                }
            }
        }
        Ok(pointers)
    }

    fn pointer_bytes(&self, path: &RelPath) -> Vec<u8> {
        let mut bytes = Vec::new();
        let place = self.workspace.repository.work_dir().map(|top| top.join(format!("{path}{POINTER_SUFFIX}")));
        if let Some(file) = place.ok().and_then(|place| fs::File::open(place).ok()) {
            // What cannot be read has no conflict markers to be told of.
            let _ = file.take(MAX_POINTER).read_to_end(&mut bytes);
        }
        bytes
    }

    /// Looks for pointers to the very files that are checked out, under other names. Who renames a file and tracks the
    /// folder again has the new names checked out as well.
    fn check_renames(&mut self, pointers: &BTreeMap<RelPath, Pointer>) {
        let workspace = self.workspace;
        for (path, checked_out) in last_checked_out(workspace.repository.git_dir()) {
            let Some(pointer) = pointers.get(&path).filter(|pointer| pointer.id != checked_out) else { continue };
            let renamed = || {
                let read = |id: &ArtifactId| workspace.store.manifest(id).ok();
                renamed_file(&read(&checked_out)?, &read(&pointer.id)?)
            };
            let Some((was, is)) = renamed() else { continue };
            let target = path.to_string();
            let message = format!(
                "{target}: the pointer names artifact {}, which has the files that are checked out under other names: {was:?} is called {is:?} there",
                pointer.id.short()
            );
            let hint = format!(
                "`git log -p -- {path}{POINTER_SUFFIX}` shows who renamed it; if that is right, `git ml checkout {path}`"
            );
            self.findings.push(Finding::new(Code::RenamedFiles, &target, message, hint).at_pointer(&target));
        }
    }

    fn unreadable(&mut self, code: Code, target: &str, problem: &str) {
        let file = super::artifacts::data_of(target);
        let hint = match (target.contains(':'), code) {
            (_, Code::ConflictedPointer) => format!("choose a side: `git checkout --ours -- {file}`, or --theirs"),
            (true, _) => format!("track it again, or remove {file}, and commit"),
            (false, _) => format!("bring back the committed one: `git checkout -- {file}`"),
        };
        self.findings.push(Finding::new(code, target, format!("{target}: {problem}"), hint).at_pointer(file));
    }

    fn unsafe_path(&mut self, target: &str, problem: &str) {
        let hint = "nothing is written there; remove it, and find out who committed it";
        self.report(Code::UnsafePath, target, format!("{target}: {problem}"), hint);
    }
}

/// What is wrong with a pointer that is not valid.
fn fault_of(bytes: &[u8]) -> Code {
    if bytes.split(|byte| *byte == b'\n').any(|line| line.starts_with(CONFLICT)) {
        return Code::ConflictedPointer;
    }
    let table = std::str::from_utf8(bytes).ok().and_then(|text| text.parse::<toml::Table>().ok());
    let name = table.as_ref().and_then(|table| table.get("name")?.as_str());
    match name {
        Some(name) if Pointer::check_name(name).is_err() => Code::UnsafePath,
        _ => Code::UnreadablePointer,
    }
}

/// The first file that two artifacts have under different names, if they have nothing but the same files.
fn renamed_file(was: &Manifest, is: &Manifest) -> Option<(String, String)> {
    let contents = |manifest: &Manifest| {
        let mut contents: Vec<_> =
            manifest.entries().iter().map(|entry| (entry.digest, entry.size, entry.mode)).collect();
        contents.sort_unstable();
        contents
    };
    if was.is_single_file() || is.is_single_file() || contents(was) != contents(is) {
        return None;
    }
    let lost = was.entries().iter().find(|entry| entry.path.as_ref().is_some_and(|path| is.find(path).is_none()))?;
    let new = is.entries().iter().find(|entry| {
        entry.digest == lost.digest && entry.path.as_ref().is_some_and(|path| was.find(path).is_none())
    })?;
    Some((lost.path_text().to_owned(), new.path_text().to_owned()))
}

/// What tells a pointer from others.
fn content_of(pointer: &Pointer) -> Digest {
    Digest::of(pointer.to_toml().as_bytes())
}

fn claim(pointer: &Pointer) -> Claim {
    Claim { files: pointer.files, bytes: pointer.bytes, single_file: Some(pointer.kind == Kind::File) }
}
