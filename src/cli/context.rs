//! What every command knows about its surroundings: the only place that reads the environment.

use std::env;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::Config;
use crate::config::trust::TrustStore;
use crate::remote::Environment;
use crate::track::Workspace;

use super::Failure;

/// The surroundings of a command.
#[derive(Debug)]
pub(crate) struct Context {
    /// The folder the command works from: the current one, or that of `-C`.
    pub(crate) folder: PathBuf,
    /// Say less.
    pub(crate) quiet: bool,
    /// Say more.
    pub(crate) verbose: bool,
    /// Whether stdout may be coloured.
    pub(crate) colour: bool,
    /// Whether stderr is a terminal, where progress is shown.
    pub(crate) shows_progress: bool,
    data_folder: Option<PathBuf>,
}

impl Context {
    /// The surroundings of this process; `folder` is what `-C` gave.
    pub(crate) fn new(folder: Option<&Path>, quiet: bool, verbose: bool) -> Result<Self, Failure> {
        let current = env::current_dir().map_err(|_| Failure::User {
            message: "the current folder is gone".to_owned(),
            hint: "change to a folder that exists".to_owned(),
        })?;
        let folder = match folder {
            None => current,
            Some(folder) if current.join(folder).is_dir() => current.join(folder),
            Some(folder) => {
                return Err(Failure::User {
                    message: format!("cannot change to {}: there is no such folder", folder.display()),
                    hint: "give -C a folder that exists".to_owned(),
                });
            }
        };
        let colourless = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || env::var_os("TERM").is_some_and(|term| term == "dumb");
        Ok(Self {
            folder,
            quiet,
            verbose,
            colour: std::io::stdout().is_terminal() && !colourless,
            shows_progress: std::io::stderr().is_terminal() && !quiet,
            data_folder: data_folder(),
        })
    }

    /// The repository that the folder lies in, with its store.
    pub(crate) fn workspace(&self) -> Result<Workspace, Failure> {
        Ok(Workspace::discover(&self.folder)?)
    }

    /// The repository's `ml.toml`.
    pub(crate) fn config(&self, workspace: &Workspace) -> Result<Config, Failure> {
        Ok(Config::load(workspace.repository.work_dir()?)?)
    }

    /// What the user approved.
    pub(crate) fn trust(&self) -> Result<TrustStore, Failure> {
        match &self.data_folder {
            Some(folder) => Ok(TrustStore::new(folder.join("git-ml").join("trust"))),
            None => Err(Failure::User {
                message: "there is no folder for your approvals: neither XDG_DATA_HOME nor HOME is set".to_owned(),
                hint: "set HOME".to_owned(),
            }),
        }
    }

    /// Fails unless the user approved what the repository's `ml.toml` may run.
    pub(crate) fn require_trust(&self, workspace: &Workspace) -> Result<(), Failure> {
        let repository = &workspace.repository;
        if self.trust()?.is_trusted(repository.common_dir(), repository.work_dir()?) {
            return Ok(());
        }
        Err(Failure::User {
            message: "ml.toml has not been approved: it names commands to run".to_owned(),
            hint: "read ml.toml, then `git ml trust`".to_owned(),
        })
    }

    /// What remotes may know of the surroundings: credentials are found there.
    pub(crate) fn environment(&self) -> Environment {
        let variables =
            env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
        let home = env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
        let is_quiet = self.quiet;
        let notice = move |words: &str| {
            if !is_quiet {
                eprintln!("{words}");
            }
        };
        Environment::new(variables, home).in_folder(&self.folder).with_notice(Arc::new(notice))
    }

    /// The value of a variable of the environment.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        env::var(name).ok().filter(|value| !value.is_empty())
    }

    /// The login name.
    pub(crate) fn user(&self) -> String {
        ["USER", "LOGNAME"].iter().find_map(|name| self.variable(name)).unwrap_or_else(|| {
            let id = rustix::process::getuid();
            if id.is_root() { "root".to_owned() } else { format!("uid-{}", id.as_raw()) }
        })
    }

    /// This machine's name.
    pub(crate) fn host(&self) -> String {
        rustix::system::uname().nodename().to_string_lossy().into_owned()
    }

    /// Says something to the person, on stderr, unless they asked for quiet.
    pub(crate) fn say(&self, words: &str) {
        if !self.quiet {
            eprintln!("{words}");
        }
    }

    /// Says something that only `-v` wants.
    pub(crate) fn say_more(&self, words: &str) {
        if self.verbose {
            eprintln!("{words}");
        }
    }

    /// Says why something is refused that is no failure of ours, also when quiet.
    pub(crate) fn refuse(&self, words: &str) {
        eprintln!("error: {words}");
    }

    /// A further line of that.
    pub(crate) fn refuse_line(&self, line: &str) {
        eprintln!("{line}");
    }

    /// Warns, on stderr, also when quiet.
    pub(crate) fn warn(&self, words: &str) {
        eprintln!("warning: {words}");
    }
}

fn data_folder() -> Option<PathBuf> {
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local").join("share")))
}
