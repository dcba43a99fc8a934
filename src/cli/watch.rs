//! Showing a run while it lasts: its output as it comes, its progress as a bar.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::Child;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Deserialize;

use crate::config::trust::TrustStore;
use crate::git::Repository;
use crate::run::{Ended, Observer, Run};
use crate::words::{duration, printable};

use super::approve::mark_of;
use super::output::number;
use super::{Context, Failure, share_live};

/// Passes on what a run prints, and shows how far it is where stderr is a terminal.
#[derive(Debug)]
pub(crate) struct Watcher {
    bar: Option<ProgressBar>,
    /// Where the run was started.
    folder: PathBuf,
    /// What the user started is remembered there.
    trust: Option<TrustStore>,
    /// Whether what the command writes to stdout goes to stderr too.
    has_all_on_stderr: bool,
    /// The process that shares the run while it goes on. Its stdin closes with us.
    companion: Option<Child>,
}

/// The value of `progress` in a line of the log, as far as it can be shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Shown {
    epoch: Option<u64>,
    epochs: Option<u64>,
    step: Option<u64>,
    steps: Option<u64>,
    loss: Option<f64>,
    accuracy: Option<f64>,
    samples_per_second: Option<f64>,
    seconds_left: Option<f64>,
    message: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Line {
    progress: Shown,
}

impl Watcher {
    /// A watcher that shows what the context allows.
    pub(crate) fn new(context: &Context) -> Self {
        let bar = context.shows_progress.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
            if let Ok(style) = ProgressStyle::with_template("{prefix}{wide_bar} {msg}") {
                bar.set_style(style);
            }
            bar
        });
        let (folder, trust) = (context.folder.clone(), context.trust().ok());
        Self { bar, folder, trust, has_all_on_stderr: false, companion: None }
    }

    /// Shows everything on stderr, for commands whose stdout is their own.
    pub(crate) fn with_all_on_stderr(mut self) -> Self {
        self.has_all_on_stderr = true;
        self
    }

    fn show(&self, bar: &ProgressBar, shown: &Shown) {
        let of = |part: Option<u64>, whole: Option<u64>| match (part, whole) {
            (Some(part), Some(whole)) => format!("{part}/{whole}"),
            (Some(part), None) => part.to_string(),
            _ => String::new(),
        };
        let prefix = of(shown.epoch, shown.epochs);
        bar.set_prefix(if prefix.is_empty() { prefix } else { format!("epoch {prefix} ") });
        bar.set_length(shown.steps.unwrap_or(0));
        bar.set_position(shown.step.unwrap_or(0));
        let parts = [
            Some(of(shown.step, shown.steps)).filter(|steps| !steps.is_empty()),
            shown.loss.map(|loss| format!("loss {}", number(loss))),
            shown.accuracy.map(|accuracy| format!("accuracy {}", number(accuracy))),
            shown.samples_per_second.map(|rate| format!("{rate:.0}/s")),
            shown.seconds_left.map(|seconds| format!("{} left", duration(seconds))),
            shown.message.as_deref().map(printable),
        ];
        bar.set_message(parts.into_iter().flatten().collect::<Vec<_>>().join("  "));
    }
}

impl Observer for Watcher {
    fn started(&mut self, run: &Run) {
        let Ok(repository) = Repository::discover(&self.folder) else { return };
        if let Some(trust) = &self.trust {
            // Without the note, whoever reproduces the run is asked.
            let _ = trust.note_start(repository.common_dir(), &mark_of(run));
        }
        self.companion = share_live::start(&repository, &run.id);
    }

    fn output(&mut self, stderr: bool, bytes: &[u8]) {
        // A reader that went away, as `head` does, is no reason to stop a training: its log is kept all the same.
        let write = || -> io::Result<()> {
            if stderr || self.has_all_on_stderr {
                io::stderr().write_all(bytes)
            } else {
                let mut stdout = io::stdout().lock();
                stdout.write_all(bytes)?;
                stdout.flush()
            }
        };
        let _ = match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        };
    }

    fn logged(&mut self, line: &str) {
        let Some(bar) = &self.bar else { return };
        if !line.contains("\"progress\"") {
            return;
        }
        if let Ok(Line { progress }) = serde_json::from_str(line) {
            self.show(bar, &progress);
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Says how a run ended, and ends with the command's own exit code.
pub(crate) fn finish(context: &Context, watcher: Watcher, ended: &Ended) -> Result<(), Failure> {
    drop(watcher);
    for warning in &ended.warnings {
        context.warn(&printable(warning));
    }
    let run = &ended.run;
    let mut words = format!("run {} {}", run.name, run.status.as_str());
    if let Some(signal) = &run.signal {
        words += &format!(" by {signal}");
    }
    if let Some(seconds) = run.duration_s {
        words += &format!(" after {}", duration(seconds));
    }
    if let Some(reason) = &run.reason {
        words += &format!(": {}", printable(reason));
    }
    context.say(&words);
    match ended.exit_code {
        0 => Ok(()),
        code => Err(Failure::Child(code)),
    }
}
