//! What may stand at a word of a command line: options, and the repository's own names.
//!
//! An argument's value name says which names it takes: RUN, TARGET, MODEL, … So completing costs nothing when a
//! command runs, and a command needs to say nothing but what its help says already.
//!
//! All of it is silent: where the repository cannot be read, there is nothing to offer.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate, complete};

use crate::catalog::{Catalog, Search};
use crate::config::Config;
use crate::query::Query;
use crate::registry::Registry;
use crate::remote::configured;
use crate::run::{Run, Runs};
use crate::track::Workspace;
use crate::words::printable;

/// The candidates for the word at `at` of `words`, one a line, each with a tab and a remark where there is one.
pub(crate) fn lines(command: clap::Command, folder: &Path, words: Vec<OsString>, at: usize) -> Vec<String> {
    let folder = work_folder(folder, &words);
    let names = Arc::new(Names { folder: folder.clone() });
    let mut command = with_names(command, &names);
    let candidates = complete(&mut command, words, at, Some(&folder)).unwrap_or_default();
    let lines: Vec<String> = candidates.iter().filter_map(line).collect();
    // Options are offered to who types a dash, and where nothing else can follow.
    let (options, values): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| line.starts_with('-'));
    if values.is_empty() { options } else { values }
}

/// A candidate as a line; none where a shell could not take it back.
fn line(candidate: &CompletionCandidate) -> Option<String> {
    let value = candidate.get_value().to_str().filter(|value| !value.chars().any(char::is_control))?;
    let help = candidate.get_help().map(|help| printable(help.to_string().lines().next().unwrap_or_default()));
    Some(help.map_or_else(|| value.to_owned(), |help| format!("{value}\t{help}")))
}

/// The folder that `-C` in the words leads to.
fn work_folder(folder: &Path, words: &[OsString]) -> PathBuf {
    let given = words.windows(2).take_while(|pair| pair[0] != "--").find(|pair| pair[0] == "-C");
    given.map_or_else(|| folder.to_path_buf(), |pair| folder.join(&pair[1]))
}

/// Puts a completer on every argument whose value name is in the table.
fn with_names(command: clap::Command, names: &Arc<Names>) -> clap::Command {
    let command = command.mut_args(|argument| {
        let value_name = argument.get_value_names().and_then(|names| names.first()).map(|name| name.to_string());
        let Some(kind) = value_name.as_deref().and_then(kind_of) else { return argument };
        let names = Arc::clone(names);
        argument.add(ArgValueCompleter::new(move |current: &OsStr| {
            let current = current.to_str().unwrap_or_default();
            let candidates = names.of(kind, current).unwrap_or_default();
            candidates
                .into_iter()
                .filter(|(value, _)| value.starts_with(current))
                .map(|(value, help)| CompletionCandidate::new(value).help(help.map(Into::into)))
                .collect()
        }))
    });
    command.mut_subcommands(|subcommand| with_names(subcommand, names))
}

/// A kind of name that a repository has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Run,
    Target,
    File,
    Artifact,
    Model,
    Version,
    Alias,
    Experiment,
    Metric,
    Remote,
}

/// What a value name in the help stands for.
fn kind_of(value_name: &str) -> Option<Kind> {
    Some(match value_name {
        "RUN" => Kind::Run,
        "TARGET" => Kind::Target,
        "TARGET:FILE" => Kind::File,
        "ARTIFACT" => Kind::Artifact,
        "MODEL" | "DATASET" => Kind::Model,
        "VERSION" => Kind::Version,
        "ALIAS" => Kind::Alias,
        "EXPERIMENT" => Kind::Experiment,
        "METRIC" => Kind::Metric,
        "REMOTE" => Kind::Remote,
        _ => return None,
    })
}

/// A name and a remark on it.
type Name = (String, Option<String>);

/// The names in the repository that a folder lies in.
#[derive(Debug)]
struct Names {
    folder: PathBuf,
}

impl Names {
    /// The names of a kind, `current` being what is typed of one.
    fn of(&self, kind: Kind, current: &str) -> Option<Vec<Name>> {
        let workspace = Workspace::discover(&self.folder).ok()?;
        match kind {
            Kind::Run => Some(run_names(&workspace, current)),
            Kind::Target => Some(self.targets(&workspace, current)),
            Kind::File => Some(self.files(&workspace, current)),
            Kind::Artifact => Some(self.artifacts(&workspace)),
            Kind::Model => Some(models(&workspace)),
            Kind::Version => Some(versions(&workspace, current)),
            Kind::Alias => Some(aliases(&workspace)),
            Kind::Experiment => experiments(&workspace),
            Kind::Metric => Some(metrics(&workspace)),
            Kind::Remote => Some(remotes(&workspace)),
        }
    }

    /// The paths that have a pointer, as seen from the folder.
    fn artifacts(&self, workspace: &Workspace) -> Vec<Name> {
        let Ok(top) = workspace.repository.work_dir() else { return Vec::new() };
        let folder = self.folder.canonicalize().unwrap_or_else(|_| self.folder.clone());
        let top = top.canonicalize().unwrap_or_else(|_| top.to_path_buf());
        let below = folder.strip_prefix(&top).unwrap_or(Path::new("")).to_path_buf();
        let pointers = workspace.pointers().unwrap_or_default();
        let shown = pointers.iter().map(|(path, pointer)| {
            let path = PathBuf::from(path.to_string());
            let seen = match path.strip_prefix(&below) {
                Ok(seen) => seen.to_path_buf(),
                Err(_) => below.iter().map(|_| Path::new("..")).collect::<PathBuf>().join(&path),
            };
            (seen.to_string_lossy().into_owned(), Some(pointer.artifact_type.to_string()))
        });
        shown.collect()
    }

    fn targets(&self, workspace: &Workspace, current: &str) -> Vec<Name> {
        if let Some(wanted) = current.strip_prefix("run:") {
            let name = wanted.split_once(':').map_or(wanted, |(name, _)| name);
            let runs = runs(workspace, name);
            return match wanted.split_once(':') {
                None => run_candidates(&runs, wanted).map(|(name, help)| (format!("run:{name}"), help)).collect(),
                Some((wanted, _)) => outputs(&runs, wanted),
            };
        }
        let mut names = self.artifacts(workspace);
        names.extend(versions(workspace, current));
        names.push(("run:".to_owned(), Some("an output of a run".to_owned())));
        names
    }

    /// The files of a target, once it is typed whole; targets before.
    fn files(&self, workspace: &Workspace, current: &str) -> Vec<Name> {
        let registry = Registry::new(workspace);
        let resolved = current.rsplit_once(':').filter(|(target, _)| *target != "run").and_then(|(target, _)| {
            let artifact = registry.resolve(&self.folder, target).ok()?;
            Some((target, workspace.store.manifest(&artifact.id).ok()?))
        });
        match resolved {
            Some((target, manifest)) => {
                let paths = manifest.entries().iter().filter_map(|entry| entry.path.as_ref());
                paths.map(|path| (format!("{target}:{path}"), None)).collect()
            }
            None => {
                let targets = self.targets(workspace, current).into_iter();
                targets.map(|(name, help)| (if name.ends_with(':') { name } else { name + ":" }, help)).collect()
            }
        }
    }
}

/// Runs that are offered at most, the newest.
const MAX_RUNS: usize = 500;

/// The runs whose names or ids begin like this, newest first.
fn runs(workspace: &Workspace, current: &str) -> Vec<Run> {
    let is_plain = current.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c));
    let beginning = if is_plain { current } else { "" };
    let query = Query::parse(&format!("name like '{beginning}%' or id like '{beginning}%'")).ok();
    let search = Search { query: query.as_ref(), limit: Some(MAX_RUNS), ..Search::default() };
    let found = Catalog::open(workspace).search(&Runs::new(workspace), &search);
    found.map(|found| found.runs).unwrap_or_default()
}

fn run_names(workspace: &Workspace, current: &str) -> Vec<Name> {
    let runs = runs(workspace, current);
    let latest = (!runs.is_empty()).then(|| ("@".to_owned(), Some("the latest run".to_owned())));
    latest.into_iter().chain(run_candidates(&runs, current)).collect()
}

/// The names of runs, newest first; their ids for who has begun to type one.
fn run_candidates<'r>(runs: &'r [Run], current: &'r str) -> impl Iterator<Item = Name> + 'r {
    let names = runs.iter().map(|run| (run.name.clone(), Some(about(run))));
    let ids = runs.iter().filter(move |_| current.len() >= 4).map(|run| (run.id.to_string(), Some(about(run))));
    names.chain(ids)
}

fn about(run: &Run) -> String {
    let status = run.status.as_str();
    run.experiment.as_ref().map_or_else(|| status.to_owned(), |experiment| format!("{status}, {experiment}"))
}

fn outputs(runs: &[Run], wanted: &str) -> Vec<Name> {
    let run = runs.iter().find(|run| run.name == wanted || run.id.to_string().starts_with(wanted));
    let run = if wanted == "@" { runs.first() } else { run };
    let outputs = run.map(|run| run.outputs.as_slice()).unwrap_or_default();
    outputs.iter().map(|output| (format!("run:{wanted}:{}", output.name), Some(output.artifact_type.clone()))).collect()
}

fn models(workspace: &Workspace) -> Vec<Name> {
    let models = Registry::new(workspace).models().unwrap_or_default();
    models.into_iter().map(|model| (model.name, None)).collect()
}

/// `model@alias` and `model@vN`; only the models themselves before an `@` is typed.
fn versions(workspace: &Workspace, current: &str) -> Vec<Name> {
    let models = Registry::new(workspace).models().unwrap_or_default();
    if !current.contains('@') {
        return models.into_iter().map(|model| (model.name + "@", Some("a model".to_owned()))).collect();
    }
    let mut names = Vec::new();
    for model in &models {
        names.extend(
            model
                .aliases
                .iter()
                .map(|(alias, version)| (format!("{}@{alias}", model.name), Some(format!("v{version}")))),
        );
        names.extend(model.versions.iter().rev().map(|version| (format!("{}@v{}", model.name, version.version), None)));
    }
    names
}

fn aliases(workspace: &Workspace) -> Vec<Name> {
    let models = Registry::new(workspace).models().unwrap_or_default();
    let aliases: BTreeSet<String> = models.into_iter().flat_map(|model| model.aliases.into_keys()).collect();
    aliases.into_iter().map(|alias| (alias, None)).collect()
}

fn experiments(workspace: &Workspace) -> Option<Vec<Name>> {
    let config = Config::load(workspace.repository.work_dir().ok()?).ok()?;
    Some(config.experiments.into_iter().map(|(name, experiment)| (name, experiment.description)).collect())
}

fn metrics(workspace: &Workspace) -> Vec<Name> {
    let names = Catalog::open(workspace).names(&Runs::new(workspace)).unwrap_or_default();
    names.metrics.into_iter().map(|name| (name, None)).collect()
}

fn remotes(workspace: &Workspace) -> Vec<Name> {
    let remotes = configured(workspace).unwrap_or_default();
    remotes.into_iter().map(|remote| (remote.name, Some(remote.settings.url))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(words: &[&str]) -> Vec<String> {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let at = words.len() - 1;
        let lines = lines(super::super::command(), Path::new("/"), words, at);
        lines.iter().map(|line| line.split('\t').next().unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn commands_options_and_fixed_values_complete() {
        assert_eq!(offered(&["git-ml", "comp"]), ["compare", "completions"]);
        assert_eq!(offered(&["git-ml", "--verb"]), ["--verbose"]);
        assert_eq!(offered(&["git-ml", "completions", ""]), ["bash", "zsh", "fish"]);
    }

    #[test]
    fn outside_of_a_repository_there_are_no_names_and_no_failure() {
        let names = Names { folder: PathBuf::from("/") };
        assert_eq!(names.of(Kind::Run, ""), None);
    }

    #[test]
    fn the_folder_is_that_of_the_options() {
        let words: Vec<OsString> = ["git-ml", "-C", "x", "log", "--", "-C", "y"].map(OsString::from).to_vec();
        assert_eq!(work_folder(Path::new("/a"), &words), Path::new("/a/x"));
    }
}
