//! The names of a remote's objects.

use super::ObjectError;
use super::objects::{Listed, Objects};
use crate::id::{Digest, PackId};

/// Says that the place is ours, and what layout it has.
pub(crate) const ROOT: &str = "git-ml.toml";
/// What [`ROOT`] says.
pub(crate) const ROOT_TEXT: &str = "# A store of git-ml. Its objects never change, and are removed by `git ml gc` alone.\n\
     version = 1\n";
/// The folder of packs.
pub(crate) const PACKS: &str = "packs";
/// The folder of indexes, which say what is in the packs: a pack that none of them has is not there yet.
pub(crate) const INDEXES: &str = "indexes";
/// The folder of marks on packs that will be removed.
pub(crate) const DOOMED: &str = "doomed";
/// A copy of the list of indexes, for places that can be read and not listed. It may be out of date.
pub(crate) const CATALOG: &str = "indexes.txt";

/// The object of a pack.
pub(crate) fn pack_name(pack: &PackId) -> String {
    format!("{PACKS}/{pack}.pack")
}

/// The object of an index, which is named by its BLAKE3.
pub(crate) fn index_name(index: &Digest) -> String {
    format!("{INDEXES}/{index}.index")
}

/// The mark on a pack that will be removed.
pub(crate) fn doomed_name(pack: &PackId) -> String {
    format!("{DOOMED}/{pack}")
}

/// The pack that an object is.
pub(crate) fn pack_of(name: &str) -> Option<PackId> {
    name.strip_prefix(PACKS)?.strip_prefix('/')?.strip_suffix(".pack")?.parse().ok()
}

/// The index that an object is.
pub(crate) fn index_of(name: &str) -> Option<Digest> {
    name.strip_prefix(INDEXES)?.strip_prefix('/')?.strip_suffix(".index")?.parse().ok()
}

/// The pack that an object marks.
pub(crate) fn doomed_of(name: &str) -> Option<PackId> {
    name.strip_prefix(DOOMED)?.strip_prefix('/')?.parse().ok()
}

/// Brings the catalog in line with the indexes there are.
///
/// Whoever wrote it looks again: so of two that write at once the last one leaves it right.
pub(crate) fn write_catalog(objects: &dyn Objects) -> Result<(), ObjectError> {
    let mut written = None;
    for _ in 0..4 {
        let mut lines: Vec<String> = objects.list(INDEXES)?.iter().filter_map(catalog_line).collect();
        lines.sort_unstable();
        let text = lines.concat();
        if written.as_ref() == Some(&text) {
            break;
        }
        objects.put(CATALOG, text.clone().into_bytes().into())?;
        written = Some(text);
    }
    Ok(())
}

fn catalog_line(listed: &Listed) -> Option<String> {
    index_of(&listed.name).map(|index| format!("{index} {}\n", listed.size))
}

/// The indexes that a catalog lists.
pub(crate) fn parse_catalog(text: &str) -> Vec<Listed> {
    let line = |line: &str| {
        let (index, size) = line.split_once(' ')?;
        let index: Digest = index.parse().ok()?;
        Some(Listed { name: index_name(&index), size: size.parse().ok()?, modified: None })
    };
    text.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_others_are_none_of_ours() {
        let (pack, index) = (PackId::from_bytes([7; 32]), Digest::of(b"x"));
        assert_eq!(pack_of(&pack_name(&pack)), Some(pack));
        assert_eq!(index_of(&index_name(&index)), Some(index));
        assert_eq!(doomed_of(&doomed_name(&pack)), Some(pack));
        let long = pack_name(&pack);
        for other in ["packs/x.pack", "packs", "", &long[6..], &long.replace("packs/", "packs/a/"), &long[..40]] {
            assert_eq!(pack_of(other), None, "{other}");
        }
    }

    #[test]
    fn a_catalog_reads_back_and_its_damage_is_left_out() {
        let index = Digest::of(b"x");
        let listed = Listed { name: index_name(&index), size: 12, modified: None };
        let text = format!("{}x y\n{index}\n{index} -1\n", catalog_line(&listed).unwrap());
        assert_eq!(parse_catalog(&text), [listed]);
    }
}
