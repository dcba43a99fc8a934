//! What is wrong with a commit that is about to be made.

use std::path::{Path, PathBuf};

use crate::config::{ChangedData, Config};
use crate::hooks::{Finding, HookError, before_commit};
use crate::track::POINTER_SUFFIX;
use crate::words::{count, printable, size};

use super::output::shell_word;
use super::{Context, Failure};

/// What git's configuration says of data whose changes a commit does not have, for one user.
const SETTING: &str = "ml.changedData";
/// What the name of the index begins with that git makes of a commit of named paths alone.
const PARTIAL: &str = "next-index-";
/// Findings that an error names; the rest is counted.
const NAMED: usize = 3;

/// Looks at the commit, and fails where it has to be refused.
pub(super) fn check(context: &Context) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    let config = match Config::load(workspace.repository.work_dir()?) {
        Ok(config) => config,
        Err(error) => {
            // Whoever is about to mend the file has to be able to commit it.
            context.warn(&format!("[hooks] of ml.toml is not used: {}", printable(&error.to_string())));
            Config::default()
        }
    };
    let settings = &config.hooks.pre_commit;
    let own = workspace.repository.config(SETTING)?.and_then(|text| ChangedData::parse(&text));
    let mut changed_data = own.or(settings.changed_data).unwrap_or_default();
    // While git runs this, it says which index it commits.
    let index = context.variable("GIT_INDEX_FILE").map(|index| context.folder.join(index));
    if changed_data == ChangedData::Refuse && index.as_deref().is_some_and(is_partial) {
        // Who names the files of a commit leaves the others out with a purpose.
        changed_data = ChangedData::Warn;
    }
    let findings = before_commit(&workspace, settings, changed_data, index.as_deref())?;
    let is_refused = |finding: &Finding| !finding.is_about_data() || changed_data == ChangedData::Refuse;
    let (refused, told): (Vec<Finding>, Vec<Finding>) = findings.into_iter().partition(is_refused);
    for finding in &told {
        context.warn(&words(finding));
        context.say(&format!("hint: {}", way_out(finding)));
    }
    if refused.is_empty() {
        return Ok(());
    }
    let mut shown: Vec<String> = refused.iter().take(NAMED).map(words).collect();
    if refused.len() > NAMED {
        shown.push(count((refused.len() - NAMED) as u64, "more problem"));
    }
    let mut ways: Vec<String> = Vec::new();
    for finding in refused.iter().take(NAMED) {
        let way = way_out(finding);
        if !ways.contains(&way) {
            ways.push(way);
        }
    }
    Err(HookError::Commit { problems: shown.join("; "), ways: ways.join("; ") }.into())
}

fn is_partial(index: &Path) -> bool {
    index.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PARTIAL))
}

/// What is wrong, in a line.
fn words(finding: &Finding) -> String {
    match finding {
        Finding::Changed { path, changes, differing } => {
            let named = changes.iter().take(2).map(|change| printable(change)).collect::<Vec<_>>().join(", ");
            let more = differing.saturating_sub(2.min(changes.len()));
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let named = if named.is_empty() { named } else { format!(" ({named}{more})") };
            format!("{path} has changes that its pointer does not have{named}")
        }
        Finding::NotStaged { path, is_new: true } => format!("the pointer of {path} is not in git"),
        Finding::NotStaged { path, is_new: false } => format!("the new pointer of {path} is not staged"),
        Finding::Faulty { path, problem } => format!("{} is no pointer: {}", printable(path), printable(problem)),
        Finding::Large { path, bytes, limit } => {
            format!("{} has {}, and git gets files of up to {}", printable(path), size(*bytes), size(*limit))
        }
    }
}

/// What to type.
fn way_out(finding: &Finding) -> String {
    let pointer = |path: &str| shell_word(&format!("{path}{POINTER_SUFFIX}"));
    match finding {
        Finding::Changed { path, .. } => {
            format!("`git ml track {} && git add {}`", shell_word(path.as_str()), pointer(path.as_str()))
        }
        Finding::NotStaged { path, is_new } => {
            let ignore = path
                .parent()
                .map_or_else(|| PathBuf::from(".gitignore"), |folder| Path::new(folder.as_str()).join(".gitignore"));
            let ignore = if *is_new { format!(" {}", shell_word(&ignore.to_string_lossy())) } else { String::new() };
            format!("`git add {}{ignore}`", pointer(path.as_str()))
        }
        Finding::Faulty { path, .. } => {
            let path = shell_word(&printable(path));
            format!("`git checkout --ours {path}` or `--theirs` chooses a version, `git add {path}` settles it")
        }
        Finding::Large { path, .. } => {
            let path = shell_word(&printable(path));
            format!("`git rm --cached {path} && git ml track {path}`")
        }
    }
}
