//! File systems on which different names are one.
//!
//! macOS and Windows take `A` for `a`, and macOS also takes `é` for `e` with an accent after it; Linux can be told to do
//! so folder by folder. An artifact with both names of such a pair cannot be checked out there: one file would silently
//! take the other's place.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::files::{Access, DraftFolder, FileError, RelPath};
use crate::store::Entry;

use super::TrackError;

/// What a file system does not tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Folding {
    /// `A` and `a`.
    pub(super) case: bool,
    /// One character written in several ways.
    pub(super) forms: bool,
}

impl Folding {
    const ANY: Self = Self { case: true, forms: true };

    /// What the file system of `folder` does not tell apart, found by trying.
    fn of(folder: &Path) -> Result<Self, FileError> {
        let draft = DraftFolder::new_in(folder)?;
        let is_one = |name: &str, other: &str| -> Result<bool, FileError> {
            let fail = |source| FileError::new("write in", folder, source);
            draft.create(name, Access::default()).map_err(fail)?;
            Ok(draft.place(other).symlink_metadata().is_ok())
        };
        Ok(Self { case: is_one("case", "CASE")?, forms: is_one("\u{e9}", "e\u{301}")? })
    }

    /// The name that all names have in common that are one to the file system.
    fn fold(self, name: &str) -> Cow<'_, str> {
        if name.is_ascii() {
            let is_folded = !self.case || !name.bytes().any(|byte| byte.is_ascii_uppercase());
            return if is_folded { Cow::Borrowed(name) } else { Cow::Owned(name.to_ascii_lowercase()) };
        }
        let formed: Cow<'_, str> =
            if self.forms && !is_nfc(name) { Cow::Owned(name.nfc().collect()) } else { Cow::Borrowed(name) };
        match (self.case, self.forms) {
            (false, _) => formed,
            (true, false) => Cow::Owned(formed.to_lowercase()),
            // Small letters may have another form than large ones.
            (true, true) => Cow::Owned(formed.to_lowercase().nfc().collect()),
        }
    }

    /// Two files or folders of an artifact that have one name.
    fn find_clash(self, entries: &[Entry]) -> Option<(&str, &str)> {
        let mut seen: HashMap<String, &str> = HashMap::new();
        let mut paths = entries.iter().filter_map(|entry| entry.path.as_ref()).flat_map(upwards);
        paths.find_map(|path| {
            let first = *seen.entry(self.fold(path).into_owned()).or_insert(path);
            (first != path).then_some((first, path))
        })
    }
}

/// Two files or folders of an artifact that some file systems take for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameClash {
    /// One of them.
    pub first: String,
    /// The other.
    pub second: String,
    /// Whether they differ in the case of letters; otherwise in the form of their characters alone.
    pub is_of_case: bool,
}

/// Names of an artifact that are one on some file systems: a pair that differs in case, and one that differs in form.
pub fn name_clashes(entries: &[Entry]) -> Vec<NameClash> {
    if !may_clash(entries) {
        return Vec::new();
    }
    let find = |folding: Folding, is_of_case| {
        let (first, second) = folding.find_clash(entries)?;
        Some(NameClash { first: first.to_owned(), second: second.to_owned(), is_of_case })
    };
    let case = find(Folding { case: true, forms: false }, true);
    let forms = find(Folding { case: false, forms: true }, false);
    if case.is_none() && forms.is_none() {
        return find(Folding::ANY, true).into_iter().collect();
    }
    case.into_iter().chain(forms).collect()
}

/// A path and all folders above it.
fn upwards(path: &RelPath) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path.as_str()), |path| path.rsplit_once('/').map(|(folder, _)| folder))
}

/// Fails if the file system around `place` does not tell all files of the artifact at `path` apart.
pub(super) fn check(path: &RelPath, place: &Path, entries: &[Entry]) -> Result<(), TrackError> {
    check_with(path, entries, || {
        let there = place.ancestors().find(|folder| folder.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()));
        let there = there.unwrap_or(Path::new("."));
        Folding::of(there)
    })
}

fn check_with(
    path: &RelPath,
    entries: &[Entry],
    probe: impl FnOnce() -> Result<Folding, FileError>,
) -> Result<(), TrackError> {
    if !may_clash(entries) || Folding::ANY.find_clash(entries).is_none() {
        return Ok(());
    }
    match probe()?.find_clash(entries) {
        None => Ok(()),
        Some((first, second)) => {
            let (first, second) = (first.to_owned(), second.to_owned());
            Err(TrackError::OneName { path: path.clone(), first, second })
        }
    }
}

/// Whether two files or folders may have one name anywhere; nearly no artifact has such, so this is what has to be
/// fast.
fn may_clash(entries: &[Entry]) -> bool {
    let mut folders: HashMap<&str, u64> = HashMap::new();
    let mut sums = Vec::with_capacity(entries.len());
    for path in entries.iter().filter_map(|entry| entry.path.as_ref()) {
        let (folder, name) = path.as_str().rsplit_once('/').unwrap_or(("", path.as_str()));
        let folder = match folders.get(folder) {
            Some(sum) => *sum,
            None => {
                // Each folder on the way is a name once.
                let mut sum = 0;
                for (end, _) in folder.match_indices('/').chain([(folder.len(), "")]).filter(|(end, _)| *end > 0) {
                    let above = &folder[..end];
                    let name = above.rsplit_once('/').map_or(above, |(_, name)| name);
                    sum = match folders.get(above) {
                        Some(sum) => *sum,
                        None => {
                            let sum = sum_of(sum, name);
                            folders.insert(above, sum);
                            sums.push(sum);
                            sum
                        }
                    };
                }
                folders.insert(folder, sum);
                sum
            }
        };
        sums.push(sum_of(folder, name));
    }
    sums.sort_unstable();
    sums.windows(2).any(|pair| pair[0] == pair[1])
}

fn sum_of(folder: u64, name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (folder, Folding::ANY.fold(name)).hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::id::Digest;
    use crate::store::Mode;

    fn entries(paths: &[impl AsRef<str>]) -> Vec<Entry> {
        let entry = |path: &str| Entry {
            path: Some(RelPath::new(path).unwrap()),
            mode: Mode::File,
            size: 0,
            digest: Digest::of(b""),
        };
        paths.iter().map(|path| entry(path.as_ref())).collect()
    }

    /// What is said of these files where the file system folds like that; the last is whether it was asked.
    fn said(paths: &[&str], case: bool, forms: bool) -> (Option<String>, bool) {
        let mut asked = false;
        let checked = check_with(&RelPath::new("data/x").unwrap(), &entries(paths), || {
            asked = true;
            Ok(Folding { case, forms })
        });
        (checked.err().map(|error| error.to_string()), asked)
    }

    #[test]
    fn names_that_are_one_are_told_where_the_file_system_takes_them_for_one() {
        let clash =
            |first, second| Some(format!("data/x has {first} and {second}, which are one name on this file system"));
        assert_eq!(said(&["A.txt", "a.txt"], true, false), (clash("A.txt", "a.txt"), true));
        assert_eq!(said(&["A.txt", "a.txt"], false, true), (None, true));
        assert_eq!(said(&["caf\u{e9}", "cafe\u{301}"], false, true), (clash("caf\u{e9}", "cafe\u{301}"), true));
        assert_eq!(said(&["caf\u{e9}", "cafe\u{301}"], true, false), (None, true));
        assert_eq!(said(&["\u{c9}", "e\u{301}"], true, true), (clash("\u{c9}", "e\u{301}"), true));
        assert_eq!(said(&["Train/a", "train/b"], true, false), (clash("Train", "train"), true));
        assert_eq!(said(&["x/Y/a/1", "x/y/a/2"], true, false), (clash("x/Y/a", "x/y/a"), true));
        assert_eq!(said(&["a/b", "b/B", "B-", "c"], true, true), (None, false));
    }

    #[test]
    fn this_file_system_is_tried_and_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("not/there");
        let paths = ["A", "a", "\u{e9}", "e\u{301}"];
        let told = check(&RelPath::new("data/x").unwrap(), &place, &entries(&paths));
        let count = || std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(count(), 0);
        for name in paths {
            crate::files::publish(&folder.path().join(name), b"", crate::files::Durability::Buffered).unwrap();
        }
        assert_eq!(told.is_ok(), count() == paths.len());
    }

    proptest! {
        #[test]
        fn the_fast_look_misses_nothing(
            paths in proptest::collection::btree_set("[aAbé]{1,2}(/[aAbé]{1,2}){0,2}", 0..8)
        ) {
            let paths: Vec<String> = paths.into_iter().collect();
            let entries = entries(&paths);
            // A file that is a folder too is in no manifest.
            prop_assume!(crate::store::Manifest::new(entries.clone()).is_ok());
            prop_assert_eq!(may_clash(&entries), Folding::ANY.find_clash(&entries).is_some());
        }
    }
}
