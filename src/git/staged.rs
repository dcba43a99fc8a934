//! What is about to be committed.

use std::collections::BTreeMap;
use std::path::Path;

use gix::bstr::ByteSlice;

use super::error::OrFailed;
use super::{GitError, Repository};

/// A tree without anything in it, which git knows without having it.
const EMPTY_TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

/// A file of the index that HEAD does not have like that.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StagedFile {
    /// Its path.
    pub path: String,
    /// Bytes of content.
    pub bytes: u64,
}

impl Repository {
    /// The files that a commit of the index would add or change, sorted by path. `index` is the one that git gives its
    /// hooks; by default it is the work tree's own.
    pub fn staged_files(&self, index: Option<&Path>) -> Result<Vec<StagedFile>, GitError> {
        let head = self.head()?.commit;
        let against = head.map_or_else(|| EMPTY_TREE.to_owned(), |commit| commit.to_string());
        let arguments = [
            "diff-index",
            "--cached",
            "--raw",
            "-z",
            "--no-renames",
            "--no-abbrev",
            "--diff-filter=AMT",
            "--ignore-submodules=all",
            &against,
            "--",
        ];
        let mut git = self.git();
        if let Some(index) = index {
            git = git.env("GIT_INDEX_FILE", index);
        }
        let output = git.run(&arguments)?;
        let repository = self.gix();
        let mut staged = Vec::new();
        let mut fields = output.split(|byte| *byte == 0);
        // `:<old mode> <new mode> <old id> <new id> <what>`, then the path.
        while let (Some(what), Some(path)) = (fields.next(), fields.next()) {
            let words: Vec<&[u8]> = what.split(|byte| *byte == b' ').collect();
            let [_, mode, _, id, _] = words[..] else { continue };
            if !mode.starts_with(b"100") {
                continue;
            }
            let action = || format!("cannot read {}", path.as_bstr());
            let id = gix::ObjectId::from_hex(id).or_failed(action)?;
            let bytes = repository.find_header(id).or_failed(action)?.size();
            staged.push(StagedFile { path: path.to_str_lossy().into_owned(), bytes });
        }
        staged.sort();
        Ok(staged)
    }

    /// The contents of the files in an index whose paths end with `suffix`; none for one above `limit` bytes.
    pub fn indexed_files(
        &self,
        index: Option<&Path>,
        suffix: &str,
        limit: u64,
    ) -> Result<BTreeMap<String, Option<Vec<u8>>>, GitError> {
        let place = index.map_or_else(|| self.git_dir().join("index"), Path::to_path_buf);
        let options = gix::index::decode::Options::default();
        let index = gix::index::File::at_or_default(place, gix::hash::Kind::Sha1, false, options)
            .or_failed(|| "cannot read git's index")?;
        let repository = self.gix();
        let mut files = BTreeMap::new();
        for entry in index.entries() {
            let path = entry.path(&index);
            if !path.ends_with(suffix.as_bytes()) || entry.flags.contains(gix::index::entry::Flags::INTENT_TO_ADD) {
                continue;
            }
            let action = || format!("cannot read {path}");
            let is_small = repository.find_header(entry.id).or_failed(action)?.size() <= limit;
            let content = match is_small {
                true => Some(std::mem::take(&mut repository.find_object(entry.id).or_failed(action)?.data)),
                false => None,
            };
            files.insert(path.to_str_lossy().into_owned(), content);
        }
        Ok(files)
    }

    /// Merges three texts into the file `ours`, as git does with files that have no driver: whether without a conflict.
    pub fn merge_text(&self, base: &Path, ours: &Path, theirs: &Path, marks: usize) -> Result<bool, GitError> {
        let size = format!("--marker-size={marks}");
        let shown = [ours, base, theirs].map(|path| path.to_string_lossy().into_owned());
        let labels = ["-L", "ours", "-L", "base", "-L", "theirs"];
        let files = shown.each_ref().map(String::as_str);
        // The exit code is the number of conflicts.
        let conflicts: Vec<i32> = (1..=127).collect();
        let arguments = [&["merge-file", "--quiet", size.as_str()][..], &labels, &["--"], &files].concat();
        self.git().run_with_codes(&arguments, &conflicts).map(|(code, _)| code == 0)
    }
}
