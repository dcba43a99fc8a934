//! Folders of pictures, where the folder that a picture is in says what it shows.

use std::collections::BTreeMap;

use crate::store::Entry;

/// What names of pictures end with.
const PICTURES: [&str; 10] = ["png", "jpg", "jpeg", "webp", "bmp", "gif", "tif", "tiff", "ppm", "pgm"];

/// How many pictures a class has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassCount {
    /// The folder.
    pub class: String,
    /// Pictures before.
    pub before: u64,
    /// Pictures after.
    pub after: u64,
}

/// The classes whose numbers differ; none where most files are no pictures in folders.
pub(super) fn compare(before: &[&Entry], after: &[&Entry]) -> Vec<ClassCount> {
    let mut counts: BTreeMap<&str, [u64; 2]> = BTreeMap::new();
    let mut pictures = 0;
    for (side, entries) in [before, after].into_iter().enumerate() {
        for class in entries.iter().filter_map(|entry| class_of(entry)) {
            counts.entry(class).or_default()[side] += 1;
            pictures += 1;
        }
    }
    if pictures * 2 <= before.len() + after.len() {
        return Vec::new();
    }
    let differing = counts.into_iter().filter(|(_, [before, after])| before != after);
    differing.map(|(class, [before, after])| ClassCount { class: class.to_owned(), before, after }).collect()
}

fn class_of(entry: &Entry) -> Option<&str> {
    let (folder, name) = entry.path.as_ref()?.as_str().rsplit_once('/')?;
    let (_, extension) = name.rsplit_once('.')?;
    PICTURES.iter().any(|known| extension.eq_ignore_ascii_case(known)).then_some(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::RelPath;
    use crate::id::Digest;
    use crate::store::Mode;

    #[test]
    fn classes_are_folders_of_pictures() {
        let entries = |paths: &[&str]| -> Vec<Entry> {
            let entry = |path: &&str| Entry {
                path: Some(RelPath::new(*path).unwrap()),
                mode: Mode::File,
                size: 1,
                digest: Digest::of(path.as_bytes()),
            };
            paths.iter().map(entry).collect()
        };
        let found = |before: &[&str], after: &[&str]| {
            let (before, after) = (entries(before), entries(after));
            let found = compare(&before.iter().collect::<Vec<_>>(), &after.iter().collect::<Vec<_>>());
            found.into_iter().map(|count| (count.class, count.before, count.after)).collect::<Vec<_>>()
        };
        let before = ["labels.txt", "train/cat/1.png", "train/cat/2.JPG", "train/dog/1.png"];
        let after = ["labels.txt", "train/cat/1.png", "train/cat/3.png", "train/emu/1.png"];
        assert_eq!(found(&before, &after), [("train/dog".to_owned(), 1, 0), ("train/emu".to_owned(), 0, 1)]);
        assert_eq!(found(&["a/1.txt", "a/2.txt", "a/x.png"], &["a/1.txt"]), [], "no folder of pictures");
        assert_eq!(found(&["1.png"], &[]), [], "not in a folder");
    }
}
