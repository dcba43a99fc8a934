//! Merging pointers: what can be decided safely is, and the rest is told in terms of the data.

use std::collections::{BTreeMap, BTreeSet};

use crate::diff::{FileChanges, compare_manifests};
use crate::store::Store;
use crate::track::Pointer;

/// Files that both sides changed and that are named; the rest is counted.
const NAMED: usize = 5;

/// A pointer on one side of a merge, and what that side did to the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// The pointer.
    pub pointer: Pointer,
    /// What differs from the version that both sides began with; none where that is not known here.
    pub changes: Option<Changes>,
}

/// How many files a side changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changes {
    /// Files that are new.
    pub added: usize,
    /// Files with another content.
    pub changed: usize,
    /// Files that are gone.
    pub removed: usize,
    /// Files under another name.
    pub renamed: usize,
}

/// Two versions of which somebody has to choose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Ours and theirs.
    pub sides: [Side; 2],
    /// The pointer that both sides began with.
    pub base: Option<Pointer>,
    /// Files that both sides changed, and not alike: some of them, and how many; none where that is not known.
    pub overlap: Option<(Vec<String>, usize)>,
    /// What but the data both sides changed: the name, the type, a key of the metadata.
    pub fields: Vec<String>,
}

/// What comes of two pointers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merged {
    /// This pointer: at most one side changed each thing, or both did the same.
    Resolved(Box<Pointer>),
    /// Somebody has to choose.
    Conflict(Box<Conflict>),
}

/// Merges two pointers against the one that both began with, if there was one.
///
/// The data is one thing: it is never put together of both sides, since nobody knows whether that makes sense. Name, type
/// and each key of the metadata are decided by themselves.
pub fn merge_pointers(store: &Store, base: Option<&Pointer>, ours: &Pointer, theirs: &Pointer) -> Merged {
    let mut fields = Vec::new();
    let mut decide = |field: &str, values: [Option<String>; 3]| {
        let [base, ours, theirs] = values;
        match () {
            () if ours == theirs || theirs == base => ours,
            () if ours == base => theirs,
            () => {
                fields.push(field.to_owned());
                ours
            }
        }
    };
    let text = |value: fn(&Pointer) -> String| [base.map(value), Some(value(ours)), Some(value(theirs))];
    let name = decide("name", text(|pointer| pointer.name.clone()));
    let artifact_type = decide("type", text(|pointer| pointer.artifact_type.to_string()));
    let mut meta = BTreeMap::new();
    let keys: BTreeSet<&String> = ours.meta.keys().chain(theirs.meta.keys()).collect();
    for key in keys {
        let values = [base, Some(ours), Some(theirs)].map(|side| side.and_then(|side| side.meta.get(key).cloned()));
        meta.extend(decide(key, values).map(|value| (key.clone(), value)));
    }
    let data = match base {
        _ if is_same_data(ours, theirs) => Some(ours),
        Some(base) if is_same_data(base, theirs) => Some(ours),
        Some(base) if is_same_data(base, ours) => Some(theirs),
        _ => None,
    };
    if let (Some(data), true) = (data, fields.is_empty()) {
        let is_ours = artifact_type.as_deref() == Some(ours.artifact_type.as_str());
        return Merged::Resolved(Box::new(Pointer {
            name: name.unwrap_or_else(|| ours.name.clone()),
            artifact_type: if is_ours { &ours.artifact_type } else { &theirs.artifact_type }.clone(),
            meta,
            ..data.clone()
        }));
    }
    // What both began with, and what each made of it, as far as the lists of files are here.
    let list = |pointer: &Pointer| store.manifest(&pointer.id).ok();
    let lists = base.and_then(list).map(|base| [ours, theirs].map(|side| Some(compare_manifests(&base, &list(side)?))));
    let [our_files, their_files] = lists.unwrap_or_default();
    let overlap = our_files.as_ref().zip(their_files.as_ref()).map(|(ours, theirs)| overlap(ours, theirs));
    let side = |pointer: &Pointer, files: Option<&FileChanges>| Side {
        pointer: pointer.clone(),
        changes: files.map(Changes::of),
    };
    let sides = [side(ours, our_files.as_ref()), side(theirs, their_files.as_ref())];
    Merged::Conflict(Box::new(Conflict { sides, base: base.cloned(), overlap, fields }))
}

fn is_same_data(one: &Pointer, other: &Pointer) -> bool {
    let data = |pointer: &Pointer| (pointer.id, pointer.kind, pointer.files, pointer.bytes);
    data(one) == data(other)
}

impl Changes {
    fn of(files: &FileChanges) -> Self {
        let FileChanges { added, removed, changed, renamed } = files;
        Self { added: added.len(), changed: changed.len(), removed: removed.len(), renamed: renamed.len() }
    }
}

/// The files that both sides changed, and not alike.
fn overlap(ours: &FileChanges, theirs: &FileChanges) -> (Vec<String>, usize) {
    // What becomes of each path: the content that stands there, or nothing.
    let touched = |files: &FileChanges| {
        let path = |entry: &crate::store::Entry| entry.path.as_ref().map_or_else(String::new, ToString::to_string);
        let mut touched = BTreeMap::new();
        let moved = files.renamed.iter().map(|(old, _)| old);
        touched.extend(files.removed.iter().chain(moved).map(|entry| (path(entry), None)));
        let new = files.changed.iter().chain(&files.renamed).map(|(_, new)| new).chain(&files.added);
        touched.extend(new.map(|entry| (path(entry), Some((entry.digest, entry.mode)))));
        touched
    };
    let theirs = touched(theirs);
    let both = touched(ours).into_iter().filter(|(path, own)| theirs.get(path).is_some_and(|other| other != own));
    let mut paths: Vec<String> = both.map(|(path, _)| path).collect();
    let count = paths.len();
    paths.truncate(NAMED);
    (paths, count)
}

/// Both pointers in one text between the marks that git has for that, as long as it wants them.
pub fn with_marks(ours: &Pointer, theirs: &Pointer, length: usize) -> String {
    let mark = |sign: &str| sign.repeat(length.clamp(1, 100));
    let (ours, theirs) = (ours.to_toml(), theirs.to_toml());
    format!("{} ours\n{ours}{}\n{theirs}{} theirs\n", mark("<"), mark("="), mark(">"))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests make data in folders of their own")]
mod tests {
    use std::fs;

    use super::*;
    use crate::files::RelPath;
    use crate::git::Repository;
    use crate::track::{Silent, TrackOptions, Workspace};

    struct Bench {
        folder: tempfile::TempDir,
        workspace: Workspace,
    }

    impl Bench {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            Repository::init(folder.path()).unwrap();
            let workspace = Workspace::discover(folder.path()).unwrap();
            Self { folder, workspace }
        }

        /// The pointer of a folder with these files and nothing else.
        fn pointer(&self, files: &[(&str, &str)]) -> Pointer {
            let place = self.folder.path().join("data");
            let _ = fs::remove_dir_all(&place);
            fs::create_dir(&place).unwrap();
            files.iter().for_each(|(name, content)| fs::write(place.join(name), content).unwrap());
            let options = TrackOptions::default();
            self.workspace.track(&RelPath::new("data").unwrap(), &options, &Silent).unwrap().pointer
        }

        fn merge(&self, base: Option<&Pointer>, ours: &Pointer, theirs: &Pointer) -> Merged {
            merge_pointers(&self.workspace.store, base, ours, theirs)
        }
    }

    #[test]
    fn what_one_side_alone_changed_is_taken() {
        let bench = Bench::new();
        let base = bench.pointer(&[("a", "1")]);
        let theirs = bench.pointer(&[("a", "2")]);
        let mut ours = base.clone();
        ours.meta.insert("licence".to_owned(), "MIT".to_owned());
        let Merged::Resolved(merged) = bench.merge(Some(&base), &ours, &theirs) else { panic!("it is safe") };
        assert_eq!(merged.id, theirs.id);
        assert_eq!(merged.meta["licence"], "MIT");
        // The other way round it is the same.
        assert_eq!(bench.merge(Some(&base), &theirs, &ours), Merged::Resolved(merged));
        // The same data on both sides needs no base.
        let Merged::Resolved(merged) = bench.merge(None, &theirs, &theirs.clone()) else { panic!("it is safe") };
        assert_eq!(*merged, theirs);
        // A key that both removed is gone, and one that one side removed too.
        let mut with_key = base.clone();
        with_key.meta.insert("old".to_owned(), "x".to_owned());
        let Merged::Resolved(merged) = bench.merge(Some(&with_key), &base, &with_key) else { panic!("it is safe") };
        assert!(merged.meta.is_empty());
    }

    #[test]
    fn data_that_both_changed_is_never_put_together() {
        let bench = Bench::new();
        let base = bench.pointer(&[("a", "1"), ("b", "1"), ("c", "1")]);
        let ours = bench.pointer(&[("a", "2"), ("b", "1"), ("c", "1"), ("new", "n")]);
        let theirs = bench.pointer(&[("a", "3"), ("b", "2")]);
        let Merged::Conflict(conflict) = bench.merge(Some(&base), &ours, &theirs) else { panic!("both changed it") };
        let changes = conflict.sides.each_ref().map(|side| side.changes.unwrap());
        assert_eq!(changes[0], Changes { added: 1, changed: 1, ..Changes::default() });
        assert_eq!(changes[1], Changes { changed: 2, removed: 1, ..Changes::default() });
        assert_eq!(conflict.overlap, Some((vec!["a".to_owned()], 1)));
        assert!(conflict.fields.is_empty());

        let apart = bench.pointer(&[("a", "1"), ("b", "2"), ("c", "1")]);
        let Merged::Conflict(conflict) = bench.merge(Some(&base), &ours, &apart) else { panic!("both changed it") };
        assert_eq!(conflict.overlap, Some((Vec::new(), 0)));
        // Nothing is known of two that were added.
        let Merged::Conflict(conflict) = bench.merge(None, &ours, &theirs) else { panic!("they differ") };
        assert_eq!((conflict.overlap, conflict.sides[0].changes), (None, None));
    }

    #[test]
    fn metadata_that_both_changed_is_a_conflict_of_its_own() {
        let bench = Bench::new();
        let base = bench.pointer(&[("a", "1")]);
        let with = |value: &str| {
            let mut pointer = base.clone();
            pointer.meta.insert("licence".to_owned(), value.to_owned());
            pointer
        };
        let Merged::Conflict(conflict) = bench.merge(Some(&base), &with("MIT"), &with("GPL")) else { panic!() };
        assert_eq!(conflict.fields, ["licence"]);
        let text = with_marks(&with("MIT"), &with("GPL"), 7);
        assert!(text.starts_with("<<<<<<< ours\nversion = 1\n"), "{text}");
        assert!(text.ends_with(">>>>>>> theirs\n"), "{text}");
        assert!(Pointer::parse(text.as_bytes()).unwrap_err().problem.contains("conflict markers"));
    }
}
