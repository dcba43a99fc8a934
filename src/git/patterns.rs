//! Parts of the code: patterns of paths, and whether two commits have them alike.

use std::collections::BTreeMap;

use gix::bstr::ByteSlice;
use gix::glob::wildmatch;
use gix::objs::tree::EntryMode;

use super::error::OrFailed;
use super::repository::to_gix;
use super::{GitError, Repository};
use crate::id::CommitId;

/// Bytes that a pattern may have: matching takes time by the product of the lengths.
const MAX_PATTERN: usize = 1024;

/// Patterns of paths, as `.gitignore` has those that count from the top on: `src/**`, `*.py` (at the top alone),
/// `conf/train.toml`. A pattern that matches a folder matches all that is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patterns {
    patterns: Vec<Pattern>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Path(String),
    Wild(String),
}

impl Patterns {
    /// The patterns in `texts`; one that is too long is left out.
    pub fn new<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        let mut patterns = Vec::new();
        for text in texts.into_iter().filter(|text| text.len() <= MAX_PATTERN) {
            let text = text.trim_matches('/').to_owned();
            let is_wild = text.contains(['*', '?', '[', '\\']);
            patterns.push(if is_wild { Pattern::Wild(text) } else { Pattern::Path(text) });
        }
        Self { patterns }
    }

    /// The same, and this path with all below it.
    #[must_use]
    pub fn with_path(mut self, path: &str) -> Self {
        self.patterns.push(Pattern::Path(path.trim_matches('/').to_owned()));
        self
    }

    /// Whether there is none, so that nothing matches.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Whether the path of a file matches one of them.
    pub fn matches(&self, path: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(path))
    }

    /// Whether anything in a folder may match one of them.
    pub fn may_match_in(&self, folder: &str) -> bool {
        let folder = folder.trim_matches('/');
        self.matches(folder) || self.patterns.iter().any(|pattern| pattern.may_match_in(folder))
    }
}

impl Pattern {
    fn matches(&self, path: &str) -> bool {
        match self {
            Self::Path(known) => is_or_contains(known, path),
            Self::Wild(pattern) => {
                let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
                let mode = wildmatch::Mode::NO_MATCH_SLASH_LITERAL;
                ends.into_iter().any(|end| {
                    gix::glob::wildmatch(pattern.as_bytes().as_bstr(), path.as_bytes()[..end].as_bstr(), mode)
                })
            }
        }
    }

    fn may_match_in(&self, folder: &str) -> bool {
        let text = match self {
            Self::Path(known) => return is_or_contains(folder, known),
            Self::Wild(pattern) => pattern,
        };
        // The folders before the first sign that may stand for another one.
        let wild = text.find(['*', '?', '[', '\\']).unwrap_or(text.len());
        let fixed = text[..wild].rfind('/').map_or("", |end| &text[..end]);
        fixed.is_empty() || is_or_contains(folder, fixed) || is_or_contains(fixed, folder)
    }
}

/// Whether a path is `folder`, or in it.
fn is_or_contains(folder: &str, path: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Repository {
    /// The first path, of those that `matters` says yes to, that two commits do not have alike. Folders that are the same
    /// in both are not looked into.
    pub fn first_difference(
        &self,
        old: &CommitId,
        new: &CommitId,
        matters: &dyn Fn(&str) -> bool,
    ) -> Result<Option<String>, GitError> {
        type Side = Option<(EntryMode, gix::ObjectId)>;
        let action = || format!("cannot compare commits {old} and {new}");
        let repository = self.gix();
        let root = |commit| {
            let tree = repository.find_commit(to_gix(commit)).and_then(|commit| commit.tree_id());
            tree.map(|tree| Some(tree.detach())).or_failed(action)
        };
        let mut pending = vec![(String::new(), [root(old)?, root(new)?])];
        while let Some((folder, trees)) = pending.pop() {
            if trees[0] == trees[1] {
                continue;
            }
            let mut names: BTreeMap<String, [Side; 2]> = BTreeMap::new();
            for (side, tree) in trees.into_iter().enumerate() {
                let Some(tree) = tree else { continue };
                for entry in repository.find_tree(tree).or_failed(action)?.iter() {
                    let entry = entry.or_failed(action)?;
                    let path = format!("{folder}{}", entry.filename().to_str_lossy());
                    names.entry(path).or_default()[side] = Some((entry.mode(), entry.object_id()));
                }
            }
            let mut folders = Vec::new();
            for (path, sides) in names.into_iter().filter(|(_, [old, new])| old != new) {
                let is_file = |side: &Side| side.is_some_and(|(mode, _)| !mode.is_tree());
                if sides.iter().any(is_file) && matters(&path) {
                    return Ok(Some(path));
                }
                let trees = sides.map(|side| side.filter(|(mode, _)| mode.is_tree()).map(|(_, id)| id));
                if trees != [None, None] {
                    folders.push((format!("{path}/"), trees));
                }
            }
            pending.extend(folders.into_iter().rev());
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_git_takes_them() {
        let patterns = Patterns::new(["src/**/*.py", "/conf/", "*.toml", "lib*/x"]);
        for path in ["src/a.py", "src/deep/er/a.py", "conf/a/b", "ml.toml", "lib2/x", "lib2/x/y"] {
            assert!(patterns.matches(path), "{path}");
        }
        for path in ["a.py", "src/a.rs", "config/a", "deep/ml.toml", "lib/2/x", "conf.py"] {
            assert!(!patterns.matches(path), "{path}");
        }
        assert!(!Patterns::default().matches("a"));
        assert!(Patterns::new(["a[b]"]).with_path("a[b]").matches("a[b]/c"), "a path is no pattern");
    }

    #[test]
    fn a_folder_is_asked_about_before_it_is_listed() {
        let patterns = Patterns::new(["src/model/*.py", "conf/a.toml"]);
        for folder in ["src/", "src/model/", "src/model/deep/", "conf/"] {
            assert!(patterns.may_match_in(folder), "{folder}");
        }
        for folder in ["notes/", "src/data/", "configuration/"] {
            assert!(!patterns.may_match_in(folder), "{folder}");
        }
        assert!(Patterns::new(["**/*.py"]).may_match_in("anything/"));
    }

    #[test]
    fn a_pattern_cannot_take_forever() {
        let pattern = format!("{}b", "*a".repeat(400));
        assert!(!Patterns::new([pattern.as_str()]).matches(&"a".repeat(2000)));
        assert!(Patterns::new(["x".repeat(5000).as_str()]).is_empty());
    }
}
