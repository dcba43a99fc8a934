//! The refs below `refs/ml`.

use std::collections::BTreeSet;

use super::{Code, Inspection};
use crate::words::error_in_a_line;

/// Where our refs are.
const OUR_REFS: &str = "refs/ml/";

impl Inspection<'_> {
    /// Every ref of ours has to point to a commit whose tree can be read.
    pub(super) fn check_refs(&mut self) {
        let repository = &self.workspace.repository;
        let readable = match repository.refs(OUR_REFS) {
            Ok(refs) => refs,
            Err(error) => return self.unreadable_ref(OUR_REFS, &error_in_a_line(&error)),
        };
        // Those that point to nothing, or to something else than a commit, are not among them.
        let listed = repository.run_git(&["for-each-ref", "--format=%(refname)", OUR_REFS]).unwrap_or_default();
        let names: BTreeSet<&str> = readable.iter().map(|(name, _)| name.as_str()).collect();
        let listed = String::from_utf8_lossy(&listed);
        let broken: Vec<&str> = listed.lines().filter(|name| !names.contains(name)).collect();
        for name in broken {
            self.unreadable_ref(name, "it points to no commit");
        }
        for (name, commit) in &readable {
            let read = repository.commit(commit).and_then(|_| repository.list_at(commit, ""));
            if let Err(error) = read {
                self.unreadable_ref(name, &error_in_a_line(&error));
            }
        }
    }

    pub(super) fn unreadable_ref(&mut self, name: &str, problem: &str) {
        let message = format!("{name} cannot be read: {problem}");
        let hint = "`git fsck` says what git itself misses; a fetch from another clone brings it back";
        self.report(Code::UnreadableRef, name, message, hint);
    }
}
