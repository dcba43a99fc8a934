//! Before a push: whether there has to be a run of what is pushed, and the run that there is already.

use super::HookError;
use crate::catalog::{Catalog, Search};
use crate::config::FILE_NAME;
use crate::git::{GitError, Patterns, Repository, Untracked};
use crate::id::CommitId;
use crate::query::Query;
use crate::reproduce::Wanted;
use crate::run::{Run, RunStatus, Runs};
use crate::track::{POINTER_SUFFIX, Workspace};

/// Runs that are read at once from the catalog, the newest first.
const PAGE: usize = 64;
/// Pages that are read: who has that many runs with the same parameters has the one that is looked for among them.
const PAGES: usize = 64;
/// Characters of a value that the catalog is asked for. Longer ones are compared here alone.
const MAX_VALUE: usize = 256;
/// What a recipe has for what the machine decides.
const AUTO: &str = "auto";

/// The code that matters to an experiment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Code {
    /// All of it, but for `ml.toml` and pointers: the command, the parameters and the data are compared by themselves.
    All,
    /// What these patterns match.
    Matching(Patterns),
}

impl Code {
    /// The first path of the code that matters and that two commits do not have alike.
    pub fn first_difference(
        &self,
        repository: &Repository,
        before: &CommitId,
        after: &CommitId,
    ) -> Result<Option<String>, GitError> {
        repository.first_difference(before, after, &|path| self.matters(path))
    }

    fn matters(&self, path: &str) -> bool {
        match self {
            Self::All => path != FILE_NAME && !path.ends_with(POINTER_SUFFIX),
            Self::Matching(patterns) => patterns.matches(path),
        }
    }

    /// Whether a file that git does not track, or a folder of such, may be code that matters.
    pub fn may_have(&self, untracked: &str) -> bool {
        match self {
            Self::All => !untracked.ends_with(POINTER_SUFFIX),
            Self::Matching(patterns) if untracked.ends_with('/') => patterns.may_match_in(untracked),
            Self::Matching(patterns) => patterns.matches(untracked),
        }
    }

    /// Whether a run may have read code that its snapshot does not have.
    fn is_left_out_of(&self, run: &Run) -> bool {
        let is_none = matches!(self, Self::Matching(patterns) if patterns.is_empty());
        let left_out = &run.left_out;
        !is_none
            && (left_out.more > 0
                || left_out.untracked.iter().any(|Untracked { path, .. }| self.may_have(path))
                || left_out.submodules.iter().any(|module| module.dirty && self.may_have(&format!("{}/", module.path))))
    }
}

/// The newest run that came to a good end and was run with what `wanted` has: the code that matters, the data, the
/// parameters, the command. What the recipe leaves to the machine may be anything. One whose code was not committed when
/// it ran comes after all others.
pub fn known_run(
    workspace: &Workspace,
    catalog: &Catalog,
    runs: &Runs<'_>,
    wanted: &Wanted,
    code: &Code,
) -> Result<Option<Run>, HookError> {
    // What the text cannot say is compared below.
    let query = Query::parse(&question(wanted)).ok();
    let is_of = |experiment: Option<&str>| experiment == wanted.experiment.as_deref();
    let mut uncommitted = None;
    for page in 0..PAGES {
        let search = Search {
            query: query.as_ref(),
            experiments: Some(&is_of),
            offset: page * PAGE,
            limit: Some(PAGE),
            ..Search::default()
        };
        let found = catalog.search(runs, &search)?.runs;
        let is_last = found.len() < PAGE;
        for run in found {
            if run.dirty && uncommitted.is_some() || !shows(&workspace.repository, &run, wanted, code)? {
                continue;
            }
            if !run.dirty {
                return Ok(Some(run));
            }
            uncommitted = Some(run);
        }
        if is_last {
            break;
        }
    }
    Ok(uncommitted)
}

/// Whether a run came to a good end and was run with what `wanted` has.
pub fn shows(repository: &Repository, run: &Run, wanted: &Wanted, code: &Code) -> Result<bool, GitError> {
    let Some(snapshot) = run.snapshot else { return Ok(false) };
    let has_value = |(name, value): (&String, &String)| {
        run.params.get(name).is_some_and(|known| known == value || is_left_to_the_machine(name, value))
    };
    let inputs = run.inputs.iter().map(|input| (input.path.clone(), input.id)).collect();
    let is_alike = run.status == RunStatus::Finished
        && run.removed.is_none()
        && run.experiment == wanted.experiment
        && wanted.command.as_ref().is_none_or(|command| *command == run.command)
        && wanted.params.iter().all(has_value)
        && wanted.inputs == inputs
        && !code.is_left_out_of(run);
    if !is_alike || !repository.has_commit(&snapshot) {
        return Ok(false);
    }
    Ok(code.first_difference(repository, &snapshot, &wanted.commit)?.is_none())
}

fn is_left_to_the_machine(name: &str, value: &str) -> bool {
    value == AUTO || name == "threads" && value == "0"
}

/// What of it a query can say.
fn question(wanted: &Wanted) -> String {
    let mut question = "status = 'finished'".to_owned();
    for (name, value) in &wanted.params {
        let is_plain = |text: &str| text.len() <= MAX_VALUE && !text.contains(['\'', '"', '`', '\\']);
        if is_plain(name) && is_plain(value) && !is_left_to_the_machine(name, value) {
            question += &format!(" and params.\"{name}\" = '{value}'");
        }
    }
    question
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(params: &[(&str, &str)]) -> Wanted {
        let params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let commit = "1111111111111111111111111111111111111111".parse().unwrap();
        Wanted { commit, experiment: Some("a".to_owned()), command: None, params, inputs: Default::default() }
    }

    #[test]
    fn what_can_be_asked_for_is_asked_for() {
        let wanted = wanted(&[("a b", "1"), ("device", "auto"), ("lr", "0.1"), ("note", "it's"), ("threads", "0")]);
        assert_eq!(question(&wanted), "status = 'finished' and params.\"a b\" = '1' and params.\"lr\" = '0.1'");
        Query::parse(&question(&wanted)).unwrap();
    }

    #[test]
    fn code_that_no_snapshot_has_is_told() {
        let python = Code::Matching(Patterns::new(["src/**/*.py"]));
        assert!(Code::All.matters("README.md") && !Code::All.matters("ml.toml") && !Code::All.matters("data/x.mlref"));
        assert!(python.matters("src/a.py") && !python.matters("README.md"));
        assert!(python.may_have("src/new.py") && python.may_have("src/more/") && !python.may_have("notes/"));
        let none = Code::Matching(Patterns::default());
        assert!(!none.may_have("src/") && Code::All.may_have("notes/"));
    }
}
