//! `git-ml-torch`: the worker, linked to libtorch through `tch`. The only program that is.
//!
//! `git-ml-torch train JOB` does what the file JOB says (see `git_ml::train::Job`), and `git-ml-torch evaluate JOB` (see
//! `git_ml::train::EvaluateJob`): `git ml train` starts it, and it can be started by hand just as well.

mod artifact;
mod classic;
mod evaluate;
mod failure;
mod figures;
mod input;
mod job;
mod log;
mod models;
mod native;
mod stop;
mod training;

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use failure::Failure;
use log::RunLog;

const USAGE: &str = "usage: git-ml-torch train JOB | evaluate JOB | --version";
/// The version of libtorch that this was built with.
const LIBTORCH_VERSION: &str = env!("GIT_ML_LIBTORCH_VERSION");

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let words: Vec<_> = arguments.iter().map(|argument| argument.to_str().unwrap_or_default()).collect();
    match words.as_slice() {
        ["--version" | "-V"] => {
            let devices = if tch::Cuda::is_available() { tch::Cuda::device_count() } else { 0 };
            say(&format!(
                "git-ml-torch {}\nlibtorch {LIBTORCH_VERSION}\ncuda-devices {devices}",
                env!("CARGO_PKG_VERSION")
            ));
        }
        ["--help" | "-h"] => say(USAGE),
        ["train", _] => return work(|log| job::train(Path::new(&arguments[1]), log)),
        ["evaluate", _] => return work(|log| evaluate::evaluate(Path::new(&arguments[1]), log)),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

fn work(task: impl FnOnce(&mut RunLog) -> failure::Result<()>) -> ExitCode {
    native::keep_memory();
    let mut log = RunLog::from_environment();
    match failure::catch(|| task(&mut log)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => report(&failure, &mut log),
    }
}

/// One line for people and for the run's record; what libtorch said beyond it is in the run's log alone.
fn report(failure: &Failure, log: &mut RunLog) -> ExitCode {
    eprintln!("error: {}", failure.line);
    if let Some(hint) = &failure.hint {
        eprintln!("hint: {hint}");
    }
    log.failure(&failure.line);
    ExitCode::from(failure.exit_code)
}

/// Writes a line to stdout; nobody there to read it is no reason to stop.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
