//! How two tables differ: columns by name, rows as sets in which a row may stand several times.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hasher};
use std::io::Read;

use super::content::{Content, Fault};

/// Hashes of rows that are kept of each side; with more rows the files are read several times, a share of the rows each
/// time.
const MAX_HASHES: usize = 4 << 20;
/// How many times the files are read at most.
const MAX_SHARES: u64 = 1 << 10;
/// Bytes of the first row that are kept to find the columns.
const MAX_HEADER: usize = 1 << 20;
const BUFFER: usize = 256 << 10;

/// How a table changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TableChange {
    /// Columns that are new, in their order.
    pub columns_added: Vec<String>,
    /// Columns that are gone, in their order.
    pub columns_removed: Vec<String>,
    /// Rows before, without the names of the columns.
    pub rows_before: u64,
    /// Rows after.
    pub rows_after: u64,
    /// Rows that are in the new table more often than in the old.
    pub rows_added: u64,
    /// Rows that are in the old table more often than in the new.
    pub rows_removed: u64,
}

/// Compares two tables of text; without a `separator` it is the one that the first row has most of.
pub(super) fn compare(before: &Content<'_>, after: &Content<'_>, separator: Option<u8>) -> Result<TableChange, Fault> {
    compare_in_parts(before, after, separator, MAX_HASHES)
}

fn compare_in_parts(
    before: &Content<'_>,
    after: &Content<'_>,
    separator: Option<u8>,
    max_hashes: usize,
) -> Result<TableChange, Fault> {
    let headers = [header(before)?, header(after)?].map(|first| columns(&first, separator));
    let [old_columns, new_columns] = &headers;
    let mut change = TableChange::default();
    // Without names in both there is nothing to compare columns by, and the first rows are rows like others.
    let has_names = old_columns.is_some() && new_columns.is_some();
    if let (Some(old), Some(new)) = (old_columns, new_columns) {
        let missing_in = |names: &[String], others: &[String]| -> Vec<String> {
            let others: BTreeSet<&String> = others.iter().collect();
            names.iter().filter(|name| !others.contains(name)).cloned().collect()
        };
        change.columns_added = missing_in(new, old);
        change.columns_removed = missing_in(old, new);
    }
    let mut shares = Shares { count: 1, current: 0, max_hashes };
    while shares.current < shares.count {
        let mut old = Vec::new();
        let rows_before = each_row(before, has_names, |hash| shares.keep(hash, &mut old, None))?;
        let mut new = Vec::new();
        let rows_after = each_row(after, has_names, |hash| shares.keep(hash, &mut new, Some(&mut old)))?;
        (change.rows_before, change.rows_after) = (rows_before, rows_after);
        let common = count_common(&mut old, &mut new);
        change.rows_removed += old.len() as u64 - common;
        change.rows_added += new.len() as u64 - common;
        shares.current += 1;
    }
    Ok(change)
}

/// Which rows are looked at in one reading of the files.
struct Shares {
    count: u64,
    current: u64,
    max_hashes: usize,
}

impl Shares {
    /// Keeps the hash of a row of the current share. Where there are too many in the first reading, shares get smaller.
    fn keep(&mut self, hash: u64, kept: &mut Vec<u64>, mut others: Option<&mut Vec<u64>>) {
        if hash % self.count != self.current {
            return;
        }
        kept.push(hash);
        // Rows that are all the same cannot be shared out, and many readings help nobody.
        while kept.len() > self.max_hashes && self.current == 0 && self.count < MAX_SHARES {
            self.count *= 2;
            kept.retain(|hash| hash % self.count == 0);
            if let Some(others) = &mut others {
                others.retain(|hash| hash % self.count == 0);
            }
        }
    }
}

/// How many hashes two lists share, each as often as it is in both. Sorts them.
fn count_common(left: &mut [u64], right: &mut [u64]) -> u64 {
    left.sort_unstable();
    right.sort_unstable();
    let (mut left, mut right) = (left.iter().peekable(), right.iter().peekable());
    let mut common = 0;
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        match a.cmp(b) {
            std::cmp::Ordering::Less => drop(left.next()),
            std::cmp::Ordering::Greater => drop(right.next()),
            std::cmp::Ordering::Equal => {
                common += 1;
                left.next();
                right.next();
            }
        }
    }
    common
}

/// The first row.
fn header(content: &Content<'_>) -> Result<Vec<u8>, Fault> {
    let mut reader = content.open()?.take(MAX_HEADER as u64);
    let mut first = Vec::new();
    let mut buffer = vec![0; 8 << 10];
    let mut in_quotes = false;
    loop {
        let count = reader.read(&mut buffer).map_err(|error| content.fault(error))?;
        for byte in &buffer[..count] {
            in_quotes ^= *byte == b'"';
            if *byte == b'\n' && !in_quotes {
                return Ok(first);
            }
            first.push(*byte);
        }
        if count == 0 {
            return Ok(first);
        }
    }
}

/// The names of the columns, if the first row has names: no numbers, nothing empty, nothing twice.
fn columns(first: &[u8], separator: Option<u8>) -> Option<Vec<String>> {
    let text = String::from_utf8_lossy(first);
    let text = text.trim_start_matches('\u{feff}').trim_end_matches('\r');
    let candidates = [b',', b';', b'\t', b'|'];
    let frequent =
        candidates.into_iter().rev().max_by_key(|candidate| first.iter().filter(|b| *b == candidate).count());
    let separator = char::from(separator.or(frequent).unwrap_or(b','));
    let mut names = vec![String::new()];
    let mut in_quotes = false;
    for character in text.chars() {
        match (character, names.last_mut()) {
            ('"', _) => in_quotes = !in_quotes,
            (other, _) if other == separator && !in_quotes => names.push(String::new()),
            (other, Some(name)) => name.push(other),
            (_, None) => {}
        }
    }
    let mut seen = BTreeSet::new();
    let is_name = |name: &String| !name.trim().is_empty() && name.trim().parse::<f64>().is_err();
    names.iter().all(|name| is_name(name) && seen.insert(name)).then_some(names)
}

/// Gives the hash of every row, those with line ends in quotes as one, and returns how many there were.
fn each_row(content: &Content<'_>, has_names: bool, mut row: impl FnMut(u64)) -> Result<u64, Fault> {
    let mut reader = content.open()?;
    let mut buffer = vec![0; BUFFER];
    let mut current = Row::default();
    let mut rows = 0;
    let mut is_names = has_names;
    let mut end = |current: &mut Row| {
        // Rows without anything in them are how some programs end a file.
        if let Some(hash) = std::mem::take(current).hash()
            && !std::mem::take(&mut is_names)
        {
            rows += 1;
            row(hash);
        }
    };
    loop {
        let count = reader.read(&mut buffer).map_err(|error| content.fault(error))?;
        content.progress.advance(count as u64);
        if count == 0 {
            break;
        }
        let mut start = 0;
        for (at, byte) in buffer[..count].iter().enumerate() {
            match byte {
                b'"' => current.in_quotes = !current.in_quotes,
                b'\n' if !current.in_quotes => {
                    current.add(&buffer[start..at]);
                    start = at + 1;
                    end(&mut current);
                }
                _ => {}
            }
        }
        current.add(&buffer[start..count]);
    }
    end(&mut current);
    Ok(rows)
}

/// A row that is being read. How it is cut by buffers makes no difference to its hash.
#[derive(Default)]
struct Row {
    hasher: DefaultHasher,
    bytes: u64,
    in_quotes: bool,
    /// The last byte was a carriage return, which counts only if something follows.
    held_return: bool,
}

impl Row {
    fn add(&mut self, mut bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        if std::mem::take(&mut self.held_return) {
            self.hasher.write(b"\r");
            self.bytes += 1;
        }
        if let Some(before) = bytes.strip_suffix(b"\r") {
            self.held_return = true;
            bytes = before;
        }
        self.hasher.write(bytes);
        self.bytes += bytes.len() as u64;
    }

    fn hash(self) -> Option<u64> {
        (self.bytes > 0).then(|| self.hasher.finish())
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests write the files that they compare")]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::super::content::Origin;
    use super::*;
    use crate::id::Digest;
    use crate::store::{Entry, Mode};
    use crate::track::Silent;

    fn compared(before: &[u8], after: &[u8], max_hashes: usize) -> TableChange {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            Origin::Place(path)
        };
        let origins = [place("before", before), place("after", after)];
        let entry = Entry { path: None, mode: Mode::File, size: 0, digest: Digest::of(b"") };
        let content = |origin| Content { origin, entry: &entry, progress: &Silent };
        compare_in_parts(&content(&origins[0]), &content(&origins[1]), None, max_hashes).ok().unwrap()
    }

    #[test]
    fn rows_and_columns_are_counted() {
        let before = "id,name,\"the, size\"\n1,a,5\r\n2,b,5\n2,b,5\n3,\"c\nc\",6\n";
        let after = "id,name,colour\n2,b,5\n3,\"c\nc\",6\n4,d,1\n1,a,5\n5,e,1";
        let change = compared(before.as_bytes(), after.as_bytes(), MAX_HASHES);
        assert_eq!(change.columns_added, ["colour"]);
        assert_eq!(change.columns_removed, ["the, size"]);
        assert_eq!((change.rows_before, change.rows_after), (4, 5));
        assert_eq!((change.rows_added, change.rows_removed), (2, 1));
    }

    #[test]
    fn a_table_without_names_has_rows_only() {
        let change = compared(b"1;2\n3;4\n", b"3;4\n\n", MAX_HASHES);
        assert_eq!(change, TableChange { rows_before: 2, rows_after: 1, rows_removed: 1, ..TableChange::default() });
        assert_eq!(compared(b"", b"", MAX_HASHES), TableChange::default());
    }

    proptest! {
        /// How many times the files are read, and where buffers end, makes no difference.
        #[test]
        fn shares_count_as_the_whole_does(
            before in prop::collection::vec(0..40u32, 0..200),
            after in prop::collection::vec(0..40u32, 0..200),
            max_hashes in 1..50usize,
        ) {
            let text = |rows: &[u32]| {
                let rows: String = rows.iter().map(|row| format!("{row},x\n")).collect();
                format!("number,word\n{rows}").into_bytes()
            };
            let change = compared(&text(&before), &text(&after), max_hashes);
            let mut counts = std::collections::HashMap::<u32, i64>::new();
            before.iter().for_each(|row| *counts.entry(*row).or_default() -= 1);
            after.iter().for_each(|row| *counts.entry(*row).or_default() += 1);
            let added: i64 = counts.values().filter(|count| **count > 0).sum();
            let removed: i64 = -counts.values().filter(|count| **count < 0).sum::<i64>();
            prop_assert_eq!((change.rows_before, change.rows_after), (before.len() as u64, after.len() as u64));
            prop_assert_eq!((change.rows_added, change.rows_removed), (added as u64, removed as u64));
        }
    }
}
