//! Which files differ, by two manifests.

use std::cmp::Ordering;
use std::collections::HashMap;

use crate::id::Digest;
use crate::store::Entry;

/// The files that differ, each list sorted by path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileChanges {
    /// Files that are new.
    pub added: Vec<Entry>,
    /// Files that are gone.
    pub removed: Vec<Entry>,
    /// Files whose content or mode is another: before and after.
    pub changed: Vec<(Entry, Entry)>,
    /// Files whose content stands under another path: before and after.
    pub renamed: Vec<(Entry, Entry)>,
}

impl FileChanges {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty() && self.renamed.is_empty()
    }
}

/// Compares two lists that are sorted by path.
pub(super) fn compare(before: &[&Entry], after: &[&Entry]) -> FileChanges {
    let mut changes = FileChanges::default();
    let (mut old, mut new) = (before.iter().copied().peekable(), after.iter().copied().peekable());
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => old.path.cmp(&new.path),
        };
        match order {
            Ordering::Less => changes.removed.extend(old.next().cloned()),
            Ordering::Greater => changes.added.extend(new.next().cloned()),
            Ordering::Equal => {
                let (Some(old), Some(new)) = (old.next(), new.next()) else { break };
                if old != new {
                    changes.changed.push((old.clone(), new.clone()));
                }
            }
        }
    }
    find_renames(&mut changes);
    changes
}

/// Takes a removed and an added file of equal content as one that was renamed. Empty files are all alike and tell
/// nothing.
fn find_renames(changes: &mut FileChanges) {
    let mut gone: HashMap<Digest, Vec<usize>> = HashMap::new();
    // The last of a list is taken first, so that files of equal content pair in the order of their paths.
    for (index, entry) in changes.removed.iter().enumerate().rev().filter(|(_, entry)| entry.size > 0) {
        gone.entry(entry.digest).or_default().push(index);
    }
    let mut taken = vec![false; changes.removed.len()];
    let mut added = Vec::new();
    for entry in std::mem::take(&mut changes.added) {
        match gone.get_mut(&entry.digest).and_then(Vec::pop) {
            Some(index) if entry.size > 0 => {
                taken[index] = true;
                changes.renamed.push((changes.removed[index].clone(), entry));
            }
            _ => added.push(entry),
        }
    }
    changes.added = added;
    let mut index = 0;
    changes.removed.retain(|_| {
        index += 1;
        !taken[index - 1]
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::files::RelPath;
    use crate::store::{Manifest, Mode};

    fn entry(path: &str, content: &str) -> Entry {
        let digest = Digest::of(content.as_bytes());
        Entry { path: Some(RelPath::new(path).unwrap()), mode: Mode::File, size: content.len() as u64, digest }
    }

    fn changes(before: &[Entry], after: &[Entry]) -> FileChanges {
        compare(&before.iter().collect::<Vec<_>>(), &after.iter().collect::<Vec<_>>())
    }

    #[test]
    fn files_are_added_removed_changed_and_renamed() {
        let before = [entry("a", "1"), entry("b", "2"), entry("c", "3"), entry("e", ""), entry("x/y", "twin")];
        let mut after = [entry("a", "1"), entry("c", "33"), entry("d", "2"), entry("f", ""), entry("x/z", "twin")];
        let found = changes(&before, &after);
        assert_eq!(found.added, [entry("f", "")]);
        assert_eq!(found.removed, [entry("e", "")]);
        assert_eq!(found.changed, [(entry("c", "3"), entry("c", "33"))]);
        let renamed = [(entry("b", "2"), entry("d", "2")), (entry("x/y", "twin"), entry("x/z", "twin"))];
        assert_eq!(found.renamed, renamed);
        after[0].mode = Mode::Executable;
        assert_eq!(changes(&before, &after).changed.len(), 2, "a mode is a change");
    }

    proptest! {
        /// What differs, applied to what was before, gives what is after.
        #[test]
        fn nothing_is_lost_and_nothing_invented(
            before in prop::collection::btree_map("[a-d]{1,2}", "[xy]{0,2}", 0..12),
            after in prop::collection::btree_map("[a-d]{1,2}", "[xy]{0,2}", 0..12),
        ) {
            let list = |files: &std::collections::BTreeMap<String, String>| -> Vec<Entry> {
                let entries = files.iter().map(|(path, content)| entry(path, content)).collect();
                Manifest::new(entries).unwrap().entries().to_vec()
            };
            let (before, after) = (list(&before), list(&after));
            let found = changes(&before, &after);
            let mut built: Vec<Entry> = before.clone();
            let gone = found.removed.iter().chain(found.changed.iter().chain(&found.renamed).map(|(old, _)| old));
            for entry in gone {
                let place = built.iter().position(|kept| kept == entry).unwrap();
                built.remove(place);
            }
            built.extend(found.added.iter().cloned());
            built.extend(found.changed.iter().chain(&found.renamed).map(|(_, new)| new.clone()));
            built.sort_by(|left, right| left.path.cmp(&right.path));
            prop_assert_eq!(built, after);
            for (old, new) in &found.renamed {
                prop_assert_eq!(old.digest, new.digest);
            }
        }
    }
}
