//! What is done beside a command while it runs, on a thread of its own: taking samples of its resources, following its
//! files, and getting its logs onto the disk.
//!
//! The thread starts when the first of that is due. A command that ends before costs none of it.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use super::collect::COMMAND_LOG;
use super::event::OwnLine;
use super::follow::Followers;
use super::live::{keep, note_soon, now};
use super::log_text::LOG;
use super::resources::Sampler;
use crate::files;

/// When there is something to do for the first time, and how often then.
const FIRST: Duration = Duration::from_secs(1);
/// The longest that files wait to be followed, and a log for the disk.
const LONGEST: Duration = Duration::from_secs(10);

/// The companion of a command.
#[derive(Debug)]
pub(super) struct Companion {
    folder: PathBuf,
    started: Instant,
    state: State,
}

#[derive(Debug)]
enum State {
    Waiting(Followers),
    Running { stop: Sender<()>, thread: JoinHandle<Followers> },
    Failed,
}

impl Companion {
    /// The companion of a command that starts now, in the run's live folder.
    pub(super) fn new(folder: &Path, followers: Followers) -> Self {
        Self { folder: folder.to_path_buf(), started: Instant::now(), state: State::Waiting(followers) }
    }

    /// Starts the thread if it is time.
    pub(super) fn look_after(&mut self, process: u32) {
        if !matches!(self.state, State::Waiting(_)) || self.started.elapsed() < FIRST {
            return;
        }
        let State::Waiting(followers) = std::mem::replace(&mut self.state, State::Failed) else { return };
        let (stop, stopped) = mpsc::channel();
        let (folder, started) = (self.folder.clone(), self.started);
        let thread = Builder::new().name("companion".to_owned()).spawn(move || {
            let mut work =
                Work { sampler: Sampler::new(process, &folder, started), folder, started, followers, kept: 0 };
            let mut next_sample = Instant::now();
            loop {
                let now = Instant::now();
                if now >= next_sample {
                    work.sample();
                    // The longer a run lasts, the fewer its samples: some four thousand in a week.
                    next_sample = now + FIRST.max(started.elapsed() / 500);
                }
                work.followers.advance(false);
                work.keep_logs();
                let pause = FIRST.max(started.elapsed() / 500).min(LONGEST);
                match stopped.recv_timeout(pause) {
                    Err(RecvTimeoutError::Timeout) => {}
                    Ok(()) | Err(RecvTimeoutError::Disconnected) => return work.followers,
                }
            }
        });
        if let Ok(thread) = thread {
            self.state = State::Running { stop, thread };
        }
    }

    /// Ends the thread, and follows the files to their ends. Returns lines for people.
    pub(super) fn finish(self) -> Vec<String> {
        let followers = match self.state {
            State::Waiting(followers) => Some(followers),
            State::Running { stop, thread } => {
                drop(stop);
                thread.join().ok()
            }
            State::Failed => None,
        };
        match followers {
            Some(mut followers) => {
                followers.advance(true);
                followers.into_warnings()
            }
            None => vec!["the run's resources and files were not followed".to_owned()],
        }
    }
}

struct Work {
    sampler: Sampler,
    folder: PathBuf,
    started: Instant,
    followers: Followers,
    /// How long the logs were when they were last on the disk.
    kept: u64,
}

impl Work {
    fn sample(&mut self) {
        let values = self.sampler.sample().into_iter();
        let metrics = values.map(|(name, value)| (format!("system.{name}"), value.into())).collect();
        let step = Some(i64::try_from(self.started.elapsed().as_secs()).unwrap_or(i64::MAX));
        // A full disk costs the sample.
        let _ = note_soon(&self.folder, &[OwnLine { step, time: Some(now()), metrics, ..OwnLine::default() }]);
    }

    /// Gets what the command logged onto the disk. What it writes to a file itself is acknowledged by nobody; but a power
    /// cut should not cost more than the last seconds.
    fn keep_logs(&mut self) {
        let logs = [self.folder.join(COMMAND_LOG), self.folder.join(LOG)];
        let length = logs.iter().filter_map(|log| log.metadata().ok()).map(|metadata| metadata.len()).sum();
        if length != self.kept && files::sync_all(&logs).is_ok() && keep(&self.folder).is_ok() {
            self.kept = length;
        }
    }
}
