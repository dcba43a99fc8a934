//! Starting the user's `git`.

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use super::GitError;
use super::error::OrFailed;

/// What git sets for its hooks and aliases and what would lead a child of ours to another repository or index.
/// `GIT_CONFIG_*` stay: they carry what the user gave as `git -c`.
pub(crate) const MISLEADING: [&str; 12] = [
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_COMMON_DIR",
    "GIT_DIR",
    "GIT_GRAFT_FILE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_PREFIX",
    "GIT_QUARANTINE_PATH",
    "GIT_SHALLOW_FILE",
    "GIT_WORK_TREE",
];

/// The last lines of stderr that an error repeats.
const MESSAGE_LINES: usize = 5;

/// A `git` to be started.
#[must_use = "it does nothing until it is run"]
pub(super) struct Git {
    command: Command,
    input: Vec<u8>,
    patience: Option<Duration>,
}

impl Git {
    /// A `git` that works in the repository around `folder`, whatever the environment says.
    pub(super) fn at(folder: &Path) -> Self {
        let mut command = Command::new("git");
        for name in MISLEADING {
            command.env_remove(name);
        }
        // What we ask must never wait for, or make, the lock of the user's index.
        command.env("GIT_OPTIONAL_LOCKS", "0").current_dir(folder);
        Self { command, input: Vec::new(), patience: None }
    }

    /// Lets it ask nobody anything, and ends it when it takes longer than `patience`.
    pub(super) fn unattended(mut self, patience: Duration) -> Self {
        // Passwords that are not known are not asked for, neither on the terminal nor in a window.
        self.command.env("GIT_TERMINAL_PROMPT", "0").env("GIT_ASKPASS", "false");
        self.command.env("SSH_ASKPASS", "false").env("SSH_ASKPASS_REQUIRE", "force");
        // A group of its own, so that what it starts ends with it.
        self.command.process_group(0);
        self.patience = Some(patience);
        self
    }

    /// Sets a variable of its environment.
    pub(super) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Gives it `input` on stdin.
    pub(super) fn input(mut self, input: Vec<u8>) -> Self {
        self.input = input;
        self
    }

    /// Runs it to its end with the terminal as its own, so that it can page, ask and colour.
    pub(super) fn attended(mut self, arguments: &[&str]) -> Result<(), GitError> {
        let action = || format!("cannot run `git {}`", arguments.join(" "));
        let status = self.command.args(arguments).status().or_failed(action)?;
        match status.success() {
            true => Ok(()),
            false => Err(GitError::Command { command: arguments.join(" "), message: status.to_string() }),
        }
    }

    /// Runs it to its end; its stdout.
    pub(super) fn run(self, arguments: &[&str]) -> Result<Vec<u8>, GitError> {
        self.run_with_codes(arguments, &[]).map(|(_, output)| output)
    }

    /// Runs it to its end; its exit code, which is 0 or one of `codes`, and its stdout.
    pub(super) fn run_with_codes(mut self, arguments: &[&str], codes: &[i32]) -> Result<(i32, Vec<u8>), GitError> {
        let action = || format!("cannot run `git {}`", arguments.join(" "));
        let stdin = if self.input.is_empty() { Stdio::null() } else { Stdio::piped() };
        let mut child = self
            .command
            .args(arguments)
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .or_failed(action)?;
        let output = std::thread::scope(|scope| {
            if let Some(mut stdin) = child.stdin.take() {
                // A child that stops reading says on stderr why.
                scope.spawn(move || stdin.write_all(&self.input));
            }
            let group = Pid::from_child(&child);
            let (ended, has_ended) = mpsc::channel::<()>();
            if let Some(patience) = self.patience {
                scope.spawn(move || {
                    if has_ended.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout) {
                        // One that has just ended cannot get it, and need not.
                        let _ = kill_process_group(group, Signal::KILL);
                    }
                });
            }
            let output = child.wait_with_output();
            drop(ended);
            output
        })
        .or_failed(action)?;
        match output.status.code() {
            Some(code) if code == 0 || codes.contains(&code) => Ok((code, output.stdout)),
            _ => Err(GitError::Command { command: arguments.join(" "), message: last_lines(&output.stderr) }),
        }
    }
}

/// The end of what a `git` said, in one line.
fn last_lines(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    match lines.len() {
        0 => "it said nothing".to_owned(),
        count => lines[count.saturating_sub(MESSAGE_LINES)..].join("; "),
    }
}
