//! Gates: what must hold before an alias moves to a version, or before a push goes out.
//!
//! A gate is a list of conditions in the query language, in `ml.toml`. Its outcome is data: each condition with whether
//! it holds, the values that were found, and where each came from.
//!
//! Architecture invariant: a gate opens only for what is known. A value that is not there, a number that is not one and
//! a claim that nobody can answer keep it shut, also under `not`. The one exception is told: an alias that does not exist
//! yet is nothing to compare with.

mod outcome;
mod subject;
mod witness;

pub use outcome::{Checked, Looked, Origin, Outcome};
pub use subject::{Candidate, versions_where};
pub use witness::{Keeper, Testimony, Witness};

use std::path::{Path, PathBuf};

use crate::config::{self, Config, ConfigError, FILE_NAME};
use crate::git::{GitError, Repository};
use crate::query::{QueryError, Requirement, Verdict};
use crate::registry::{Registry, RegistryError, check_alias_name};
use crate::run::RunError;
use crate::track::Workspace;

/// What can go wrong with a gate, other than that it stays shut.
#[derive(Debug, thiserror::Error)]
pub enum GateError {
    /// A condition that cannot be read.
    #[error("{}: line {line}, column {column}: {gate}: `{condition}`: {}", path.display(), error.problem)]
    Condition {
        /// The `ml.toml`.
        path: PathBuf,
        /// The line of the condition, from 1; 0 where it cannot be told.
        line: usize,
        /// The character of that line where it cannot be read, from 1.
        column: usize,
        /// The table that has it: `gates.production`.
        gate: Box<str>,
        /// The condition.
        condition: Box<str>,
        /// What is wrong.
        error: Box<QueryError>,
    },
    /// `ml.toml` could not be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Runs failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// git failed.
    #[error(transparent)]
    Git(#[from] GitError),
}

/// Conditions, all of which must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    name: String,
    requirements: Vec<Requirement>,
}

impl Gate {
    /// The gate `[gates.<name>]` of the `ml.toml` in `work_dir`; none if it has no such gate.
    pub fn load(work_dir: &Path, name: &str) -> Result<Option<Self>, GateError> {
        Self::load_from(work_dir, &["gates", name, "require"], name, |config| {
            config.gates.get(name).map(|gate| gate.require.clone())
        })
    }

    /// The names of the gates in the `ml.toml` in `work_dir`, each of which is valid.
    pub fn check_all(work_dir: &Path) -> Result<Vec<String>, GateError> {
        let names: Vec<String> = Config::load(work_dir)?.gates.into_keys().collect();
        for name in &names {
            Self::load(work_dir, name)?;
        }
        Ok(names)
    }

    /// A gate whose conditions are the list under `keys` of the `ml.toml` in `work_dir`, which `find` takes from it;
    /// `name` is for people.
    pub fn load_from(
        work_dir: &Path,
        keys: &[&str],
        name: &str,
        find: impl FnOnce(&Config) -> Option<Vec<String>>,
    ) -> Result<Option<Self>, GateError> {
        let path = work_dir.join(FILE_NAME);
        let Some(content) = config::read(work_dir)? else { return Ok(None) };
        let Some(conditions) = find(&Config::parse_bytes(&content, &path)?) else { return Ok(None) };
        Self::in_content((&path, &content), keys, name, conditions).map(Some)
    }

    /// A gate with these conditions, which stand as a list under `keys` in the content of an `ml.toml`; its path is for
    /// errors, and `name` is for people.
    pub fn in_content(
        (path, content): (&Path, &[u8]),
        keys: &[&str],
        name: &str,
        conditions: Vec<String>,
    ) -> Result<Self, GateError> {
        let text = String::from_utf8_lossy(content);
        let parse = |(index, condition): (usize, String)| {
            Requirement::parse(&condition).map_err(|error| {
                let place = config::place_of_element(&text, keys, index);
                let (line, start) = place.map_or((0, 1), |place| (place.line, place.column));
                let table = keys.split_last().map_or(&[][..], |(_, table)| table).join(".");
                let column = start + error.column.saturating_sub(1);
                GateError::Condition {
                    path: path.to_path_buf(),
                    line,
                    column,
                    gate: table.into(),
                    condition: condition.into(),
                    error: Box::new(error),
                }
            })
        };
        let requirements = conditions.into_iter().enumerate().map(parse).collect::<Result<_, _>>()?;
        Ok(Self { name: name.to_owned(), requirements })
    }

    /// Its name: the alias that it guards, or what a hook calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its conditions as they were written.
    pub fn conditions(&self) -> impl Iterator<Item = &str> {
        self.requirements.iter().map(Requirement::as_str)
    }

    /// Judges a candidate: every condition, also after one that does not hold.
    pub fn check(&self, candidate: &Candidate<'_>) -> Result<Outcome, GateError> {
        let mut conditions = Vec::new();
        for requirement in &self.requirements {
            let condition = requirement.as_str().to_owned();
            let mut requirement = requirement.clone();
            // A range of commits that git does not know has no commits in it.
            let range = requirement.resolve(candidate.repository());
            let (verdict, found) = requirement.judge(candidate);
            let mut looked: Vec<Looked> = found.into_iter().map(Looked::from).collect();
            if let Err(error) = range {
                looked.push(Looked::unknown(&condition, &error.to_string()));
            }
            conditions.push(Checked {
                condition,
                passed: matches!(verdict, Verdict::Holds | Verdict::Vacuous),
                known: verdict != Verdict::Unknown,
                looked,
            });
        }
        let passed = conditions.iter().all(|checked| checked.passed);
        Ok(Outcome { gate: self.name.clone(), subject: candidate.label(), passed, conditions })
    }
}

/// What the gate of an alias has to say before the alias moves.
#[derive(Debug, Clone, PartialEq)]
pub struct Guarded {
    /// Where the alias points to now, which is what its move is to expect.
    pub expected: Option<u64>,
    /// What came of the gate; none where the alias has none.
    pub outcome: Option<Outcome>,
}

/// Asks the gate of an alias, if it has one, whether the alias may point to a version.
///
/// An alias that points there already is not asked about. A bare repository has no `ml.toml` and so no gates.
pub fn for_alias(workspace: &Workspace, model: &str, alias: &str, version: u64) -> Result<Guarded, GateError> {
    check_alias_name(alias)?;
    let model = Registry::new(workspace).model(model)?;
    let expected = model.aliases.get(alias).copied();
    let no_version = || RegistryError::NoVersion { model: model.name.clone(), version };
    let candidate = model.find(version).ok_or_else(no_version)?;
    let gate = match workspace.repository.work_dir() {
        Ok(work_dir) if expected != Some(version) => Gate::load(work_dir, alias)?,
        _ => None,
    };
    let keeper = Keeper { workspace };
    let check = |gate: Gate| gate.check(&Candidate::version(workspace, &keeper, &model, candidate)?);
    Ok(Guarded { expected, outcome: gate.map(check).transpose()? })
}

/// The repository that candidates are of, for ranges of commits.
impl<'w> Candidate<'w> {
    fn repository(&self) -> &'w Repository {
        &self.workspace().repository
    }
}

#[cfg(test)]
mod tests;
