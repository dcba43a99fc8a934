//! Pointers: in the work tree and at HEAD.

use std::collections::{BTreeMap, BTreeSet};

use crate::files::RelPath;
use crate::registry::{RegistryError, Resolved};
use crate::track::{Kind, POINTER_SUFFIX, Pointer, TrackError};

use super::{Claim, Code, Inspection, Role};
use crate::words::error_in_a_line;

/// Bytes a pointer may have.
const MAX_POINTER: u64 = 64 * 1024;

impl Inspection<'_> {
    /// Reads every pointer and notes which artifacts they name.
    pub(super) fn check_pointers(&mut self) -> Result<(), RegistryError> {
        let pointers = self.work_tree_pointers()?;
        for (path, pointer) in &pointers {
            self.add_use(pointer.id, path.to_string(), Role::Pointer, Some(claim(pointer)));
        }
        let Some(head) = self.workspace.repository.head()?.commit else {
            return Ok(());
        };
        let repository = &self.workspace.repository;
        for file in repository.find_at(&head, POINTER_SUFFIX)? {
            let target = format!("HEAD:{file}");
            let data = file.strip_suffix(POINTER_SUFFIX).and_then(|data| RelPath::new(data).ok());
            let Some(data) = data else {
                self.unreadable(&target, "its path is not safe to use");
                continue;
            };
            let read = match repository.read_at(&head, &file, MAX_POINTER) {
                Ok(bytes) => Pointer::parse(&bytes.unwrap_or_default()).map_err(|error| error.to_string()),
                Err(error) => Err(error_in_a_line(&error)),
            };
            match read {
                Ok(pointer) if pointers.get(&data) == Some(&pointer) => {}
                Ok(pointer) => self.add_use(pointer.id, format!("HEAD:{data}"), Role::Pointer, Some(claim(&pointer))),
                Err(problem) => self.unreadable(&target, &problem),
            }
        }
        Ok(())
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
        let mut paths: BTreeSet<RelPath> = BTreeSet::new();
        let mut reported = BTreeSet::new();
        for file in self.workspace.repository.tracked_with_suffix(POINTER_SUFFIX)? {
            match file.as_str().strip_suffix(POINTER_SUFFIX).map(RelPath::new) {
                Some(Ok(path)) => drop(paths.insert(path)),
                _ => self.unreadable(file.as_str(), "it points to nothing"),
            }
        }
        // One bad pointer makes this fail; those that git knows are all looked at nevertheless.
        match self.workspace.pointers() {
            Ok(pointers) => paths.extend(pointers.into_keys()),
            Err(TrackError::Pointer { path, source }) => {
                let top = self.workspace.repository.work_dir()?;
                let path = path.strip_prefix(top).unwrap_or(&path).display().to_string();
                self.unreadable(&path, &source.to_string());
                reported.insert(path);
            }
            Err(error) => return Err(error.into()),
        }
        let mut pointers = BTreeMap::new();
        for path in paths {
            match self.workspace.pointer(&path) {
                Ok(pointer) => drop(pointers.insert(path, pointer)),
                // It is removed and not committed yet: HEAD has it.
                Err(TrackError::NotTracked { .. } | TrackError::NotFound { .. }) => {}
                Err(error) => {
                    let file = format!("{path}{POINTER_SUFFIX}");
                    if !reported.contains(&file) {
                        let problem = match error {
                            TrackError::Pointer { source, .. } => source.to_string(),
                            error => error_in_a_line(&error),
                        };
                        self.unreadable(&file, &problem);
                    }
                }
            }
        }
        Ok(pointers)
    }

    fn unreadable(&mut self, target: &str, problem: &str) {
        let hint = match target.strip_prefix("HEAD:") {
            Some(path) => format!("track it again, or remove {path}, and commit"),
            None => format!("bring back the committed one: `git checkout -- {target}`"),
        };
        self.report(Code::UnreadablePointer, target, format!("{target}: {problem}"), hint);
    }
}

fn claim(pointer: &Pointer) -> Claim {
    Claim { files: pointer.files, bytes: pointer.bytes, single_file: Some(pointer.kind == Kind::File) }
}
