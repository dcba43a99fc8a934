//! Manifests: the files of an artifact.

use std::fmt::Write as _;

use super::StoreError;
use crate::files::RelPath;
use crate::id::{ArtifactId, Digest};

/// The first line of the canonical form.
const FIRST_LINE: &str = "git-ml manifest 1";
/// What stands for the path of an artifact that is a single file.
const NO_PATH: &str = ".";

/// How a file of an artifact is to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// An ordinary file: `100644`.
    File,
    /// A file that can be run: `100755`.
    Executable,
    /// A symbolic link, whose content is its target: `120000`.
    Symlink,
}

impl Mode {
    /// The mode as git writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "100644",
            Self::Executable => "100755",
            Self::Symlink => "120000",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::File, Self::Executable, Self::Symlink].into_iter().find(|mode| mode.as_str() == text)
    }
}

/// One file of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The path in the artifact; none for an artifact that is a single file, whose name is not part of its content.
    pub path: Option<RelPath>,
    /// How the file is to be made.
    pub mode: Mode,
    /// Bytes of content.
    pub size: u64,
    /// BLAKE3 of the whole content.
    pub digest: Digest,
}

impl Entry {
    /// The path as the manifest writes it: `.` for the one file of an artifact that is a single file.
    pub fn path_text(&self) -> &str {
        self.path.as_ref().map_or(NO_PATH, RelPath::as_str)
    }
}

/// The files of an artifact, sorted by path as bytes.
///
/// Its canonical form is text, one line a file after the line `git-ml manifest 1`:
/// `<mode> <size> <blake3> <path>`, where an artifact that is a single file has the path `.`. The BLAKE3 of that text
/// is the artifact's id, so `git ml manifest data/x | b3sum` prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    entries: Vec<Entry>,
    total_size: u64,
}

impl Manifest {
    /// A manifest of these files: sorts them; refuses repeated paths, a file that is also a folder, and a nameless
    /// file beside others.
    pub fn new(mut entries: Vec<Entry>) -> Result<Self, StoreError> {
        entries.sort_by(|left, right| left.path.cmp(&right.path));
        Self::from_sorted(entries)
    }

    fn from_sorted(entries: Vec<Entry>) -> Result<Self, StoreError> {
        if entries.len() > 1 && entries.iter().any(|entry| entry.path.is_none()) {
            return Err(malformed("a single file without a name stands beside other files".to_owned()));
        }
        for pair in entries.windows(2) {
            if pair[0].path >= pair[1].path {
                let order = if pair[0].path == pair[1].path { "is there twice" } else { "is not in order" };
                return Err(malformed(format!("{} {order}", pair[1].path_text())));
            }
        }
        if let Some(path) = find_file_that_is_a_folder(&entries) {
            return Err(malformed(format!("{path} is a file and a folder")));
        }
        let total_size = entries
            .iter()
            .try_fold(0u64, |sum, entry| sum.checked_add(entry.size))
            .ok_or_else(|| malformed("its files have more bytes together than can be".to_owned()))?;
        Ok(Self { entries, total_size })
    }

    /// Reads the canonical form and nothing else: what it accepts, [`Manifest::to_bytes`] gives back.
    pub fn parse(bytes: &[u8]) -> Result<Self, StoreError> {
        let text = std::str::from_utf8(bytes).map_err(|_| malformed("it is not UTF-8".to_owned()))?;
        let Some(body) = text.strip_prefix(FIRST_LINE).and_then(|rest| rest.strip_prefix('\n')) else {
            return Err(malformed(format!("its first line is not `{FIRST_LINE}`")));
        };
        let mut entries = Vec::new();
        for (number, line) in body.split_inclusive('\n').enumerate() {
            let entry = match line.strip_suffix('\n') {
                Some(line) => parse_line(line)?,
                None => None,
            };
            entries.push(entry.ok_or_else(|| malformed(format!("line {} does not follow the format", number + 2)))?);
        }
        Self::from_sorted(entries)
    }

    /// The canonical form.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = String::with_capacity(64 + self.entries.len() * 128);
        text.push_str(FIRST_LINE);
        text.push('\n');
        for entry in &self.entries {
            let (mode, path) = (entry.mode.as_str(), entry.path_text());
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{mode} {} {} {path}", entry.size, entry.digest);
        }
        text.into_bytes()
    }

    /// The artifact's id.
    pub fn id(&self) -> ArtifactId {
        ArtifactId::from_bytes(*Digest::of(&self.to_bytes()).as_bytes())
    }

    /// The files, sorted by path.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The file at `path`.
    pub fn find(&self, path: &RelPath) -> Option<&Entry> {
        let place = self.entries.binary_search_by(|entry| entry.path.as_ref().cmp(&Some(path)));
        place.ok().map(|place| &self.entries[place])
    }

    /// Whether the artifact is a single file rather than a folder.
    pub fn is_single_file(&self) -> bool {
        matches!(self.entries.as_slice(), [entry] if entry.path.is_none())
    }

    /// Bytes of content in all files.
    pub fn total_size(&self) -> u64 {
        self.total_size
    }
}

fn malformed(problem: String) -> StoreError {
    StoreError::Malformed { what: "the manifest".to_owned(), problem }
}

/// One line without its end; none where it does not follow the format.
fn parse_line(line: &str) -> Result<Option<Entry>, StoreError> {
    let mut fields = line.splitn(4, ' ');
    let mut next = || fields.next().unwrap_or_default();
    let (mode, size, digest, path) = (next(), next(), next(), next());
    let (Some(mode), Some(size), Ok(digest)) = (Mode::parse(mode), parse_size(size), digest.parse()) else {
        return Ok(None);
    };
    let path = if path == NO_PATH { None } else { Some(RelPath::new(path)?) };
    Ok(Some(Entry { path, mode, size, digest }))
}

/// A number in the one way it is written: no sign, no leading zero.
fn parse_size(text: &str) -> Option<u64> {
    let canonical = text == "0" || (!text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()));
    if canonical { text.parse().ok() } else { None }
}

/// A path that is a file and that others lie below. In byte order `a` and `a/b` need not be neighbours (`a-b` comes
/// between them), but what comes between them begins with `a` and a byte below `/`.
fn find_file_that_is_a_folder(entries: &[Entry]) -> Option<&str> {
    let paths = || entries.iter().map(Entry::path_text);
    paths().enumerate().map(|(number, path)| (path, &entries[number + 1..])).find_map(|(path, after)| {
        let rest = |entry: &Entry| entry.path_text().strip_prefix(path).and_then(|rest| rest.bytes().next());
        let is_between = |entry: &Entry| rest(entry).is_some_and(|byte| byte < b'/');
        // Nearly always none is, and the next entry tells.
        let between = if after.first().is_some_and(is_between) { after.partition_point(is_between) } else { 0 };
        after.get(between).filter(|entry| rest(entry) == Some(b'/')).map(|_| path)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(path: &str, mode: Mode, content: &[u8]) -> Entry {
        let path = (path != NO_PATH).then(|| RelPath::new(path).unwrap());
        Entry { path, mode, size: content.len() as u64, digest: Digest::of(content) }
    }

    /// The id of an artifact must never change: other people's pointers hold it.
    #[test]
    fn the_canonical_form_and_the_id_are_fixed() {
        let manifest = Manifest::new(vec![
            entry("train/b.txt", Mode::File, b"bee"),
            entry("run.sh", Mode::Executable, b"#!/bin/sh\n"),
            entry("train-link", Mode::Symlink, b"train"),
            entry("train/a b.txt", Mode::File, b""),
        ])
        .unwrap();
        let text = "git-ml manifest 1\n\
            100755 10 bc1f407a11c9377c8b9b13f956b279c8462775105eb958fc9ae3c40de87cc96e run.sh\n\
            120000 5 4164c05580806a157d3dc6db8c3bc17c5625cc86cce39e4dd067048a2591795a train-link\n\
            100644 0 af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262 train/a b.txt\n\
            100644 3 e87b9700f8018acafa8d96524b92aa7f2dde9a1d8b9e35443d20c4edb4fdd59d train/b.txt\n";
        assert_eq!(String::from_utf8(manifest.to_bytes()).unwrap(), text);
        assert_eq!(manifest.id().to_string(), "207a7872f61887f0a5384f3e4176d192c9dd9977cbeb58cd3be394c9f90faff4");
        let single = Manifest::new(vec![entry(".", Mode::File, b"abc")]).unwrap();
        let text = "git-ml manifest 1\n\
            100644 3 6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85 .\n";
        assert_eq!(String::from_utf8(single.to_bytes()).unwrap(), text);
        assert_eq!(single.id().to_string(), "4b04c0432f470b9d3cb41c5c1bcb00c546eadde3b8f1229154630bb094cfad51");
        assert!(single.is_single_file());
    }

    #[test]
    fn contradictions_are_refused() {
        let file = |path| entry(path, Mode::File, b"x");
        for (entries, problem) in [
            (vec![file("a"), file("a")], "a is there twice"),
            (vec![file("a"), file("a-b"), file("a/b")], "a is a file and a folder"),
            (vec![file("a/b/c/d"), file("a/b"), file("a/a")], "a/b is a file and a folder"),
            (vec![file("a"), file("a!"), file("a!/x"), file("a.b"), file("b")], "a! is a file and a folder"),
            (vec![file("a"), file("a!"), file("a-"), file("a.b"), file("a/x/y")], "a is a file and a folder"),
            (vec![file("."), file("a")], "a single file without a name stands beside other files"),
            (vec![file("."), file(".")], "a single file without a name stands beside other files"),
        ] {
            let error = Manifest::new(entries).unwrap_err().to_string();
            assert_eq!(error, format!("the manifest is not valid: {problem}"));
        }
        let mut huge = vec![file("a"), file("b")];
        huge.iter_mut().for_each(|entry| entry.size = u64::MAX);
        assert!(Manifest::new(huge).is_err());
    }

    /// Folders that no two paths share must not cost more than their bytes.
    #[test]
    fn deep_folders_are_checked_in_no_time() {
        let digest = Digest::of(b"");
        let lines = (0..1000).map(|number| format!("100644 0 {digest} {number:04}{}/x\n", "/d".repeat(2000)));
        let text = format!("git-ml manifest 1\n{}", lines.collect::<String>());
        let start = std::time::Instant::now();
        assert_eq!(Manifest::parse(text.as_bytes()).unwrap().entries().len(), 1000);
        assert!(start.elapsed() < std::time::Duration::from_secs(5), "{:?}", start.elapsed());
    }

    #[test]
    fn only_the_canonical_form_is_read() {
        let digest = Digest::of(b"");
        let good = format!("git-ml manifest 1\n100644 0 {digest} a\n100644 12 {digest} b/c d\n");
        assert_eq!(Manifest::parse(good.as_bytes()).unwrap().to_bytes(), good.as_bytes());
        for bad in [
            String::new(),
            "git-ml manifest 1".to_owned(),
            "git-ml manifest 2\n".to_owned(),
            "git-ml manifest 1\r\n".to_owned(),
            good.trim_end().to_owned(),
            format!("{good}\n"),
            good.replace("100644 0", "100644 00"),
            good.replace("100644 0", "100644 +0"),
            good.replace("100644 0", "100644  0"),
            good.replace("100644 0", "100600 0"),
            good.replace("100644 0", "100644 99999999999999999999"),
            good.replace(" a\n", " ../a\n"),
            good.replace(" a\n", " \n"),
            good.replace(" a\n", " c\n"),
            good.replace(" a\n", " .\n"),
            good.replace(&digest.to_string(), &digest.to_string().to_uppercase()),
        ] {
            assert!(Manifest::parse(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(Manifest::parse(b"git-ml manifest 1\n\xff").is_err());
    }

    #[test]
    fn a_file_is_found_by_its_path() {
        let manifest = Manifest::new(["b", "a/x", "a.y"].map(|path| entry(path, Mode::File, b"")).to_vec()).unwrap();
        for path in ["b", "a/x", "a.y"] {
            let path = RelPath::new(path).unwrap();
            assert_eq!(manifest.find(&path).unwrap().path.as_ref(), Some(&path));
        }
        assert!(manifest.find(&RelPath::new("a").unwrap()).is_none());
        assert!(!manifest.is_single_file());
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            files in proptest::collection::btree_map("[a-c./ -]{1,8}", (0u8..3, any::<u64>(), any::<[u8; 32]>()), 0..20)
        ) {
            let entries = files.into_iter().filter_map(|(path, (mode, size, digest))| {
                let mode = [Mode::File, Mode::Executable, Mode::Symlink][usize::from(mode)];
                let path = Some(RelPath::new(path).ok()?);
                Some(Entry { path, mode, size: size >> 8, digest: Digest::from_bytes(digest) })
            });
            if let Ok(manifest) = Manifest::new(entries.collect()) {
                let bytes = manifest.to_bytes();
                let parsed = Manifest::parse(&bytes).unwrap();
                prop_assert_eq!(parsed.id(), manifest.id());
                prop_assert_eq!(parsed, manifest);
            }
        }

        #[test]
        fn what_reads_is_canonical(text in "(git-ml manifest 1\n)?((100644|100755) [0-9]{1,2} [0-9a-f]{64} [a-c/.]{1,3}\n){0,4}") {
            if let Ok(manifest) = Manifest::parse(text.as_bytes()) {
                prop_assert_eq!(manifest.to_bytes(), text.into_bytes());
            }
        }
    }
}
