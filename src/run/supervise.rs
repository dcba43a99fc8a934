//! Running a command to its end: its output passed through, signals passed on, its log followed.
//!
//! Everything happens on one thread that waits for the two pipes and for signals. At a terminal the command stays in
//! our process group, so that Ctrl-C and Ctrl-Z mean what they always mean, and signals sent to us alone go to it and
//! what it started; elsewhere it gets a group of its own, and signals go to all of that group.

use std::io::{self, IsTerminal, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::WithRawSiginfo;
use signal_hook::low_level::signal_name;

use super::collect::{COMMAND_LOG, Collector};
use super::companion::Companion;
use super::event::{End, Note, OwnLine};
use super::follow::Followers;
use super::live::{note_soon, now};
use super::log_text::{BOUNDS, LogText};
use super::resources::family;
use super::{Launch, Observer, Run, RunError};
use crate::words;

/// How often the command's log is looked at.
const TICK: Duration = Duration::from_millis(100);
/// How long a pipe that somebody keeps open is read after the command has ended.
const GRACE: Duration = Duration::from_secs(1);
/// The same, where whoever keeps it open goes on writing.
const LAST_GRACE: Duration = Duration::from_secs(10);
/// How long a command that was told to end, because its time is over, has for that.
const END_GRACE: Duration = Duration::from_secs(10);
/// Signals that are passed on to the command.
const PASSED_ON: [i32; 6] = [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2];
/// `git` passes a Ctrl-C on to us that the terminal sent us already; it does so at once.
const ECHO: Duration = Duration::from_secs(1);

/// A command that ended.
pub(super) struct Outcome {
    pub(super) end: End,
    /// What was read of its log.
    pub(super) collector: Collector,
    /// What went wrong beside it.
    pub(super) warnings: Vec<String>,
}

/// A command that runs.
pub(super) struct Started {
    child: Child,
    signals: Signals,
    cpu_before: Option<f64>,
    followers: Followers,
}

/// Starts the command of a live run.
pub(super) fn start(folder: &Path, run: &Run, launch: &Launch) -> Result<Started, RunError> {
    // Signals are listened to first: one that comes right after the start is not lost.
    let mut signals = Signals::listen().map_err(|source| spawn_error(launch, source))?;
    let cpu_before = children_cpu_seconds();
    let followers = Followers::new(folder, &launch.supervision.tensorboard, &launch.supervision.csv_logs);
    let child = spawn(folder, run, launch, signals.shared_terminal)?;
    signals.target = Pid::from_raw(child.id().cast_signed());
    Ok(Started { child, signals, cpu_before, followers })
}

impl Started {
    /// Follows the command to its end.
    pub(super) fn supervise(
        self,
        folder: &Path,
        launch: &Launch,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, RunError> {
        let Self { mut child, mut signals, cpu_before, followers } = self;
        let mut supervisor = Supervisor {
            log: LogText::start(folder, BOUNDS).map_err(|error| error.to_string()),
            collector: Collector::new(folder),
            folder,
            started: Instant::now(),
            last_mark: None,
            marked: 0,
            observer,
            companion: Companion::new(folder, followers),
            timeout: launch.supervision.timeout,
            timed_out: None,
            left_behind: false,
        };
        let status = supervisor.run(&mut child, &mut signals);
        let status = status.map_err(|source| RunError::Supervise { command: program(launch), source })?;
        let Supervisor { collector, log, companion, timed_out, left_behind, .. } = supervisor;
        let unkept = log.err().map(|problem| format!("the rest of the run's output is not kept: {problem}"));
        let left_behind = left_behind.then(|| {
            "something that the command started goes on and has its output open: what it prints is not kept".to_owned()
        });
        let cpu_s = cpu_before.zip(children_cpu_seconds()).map(|(before, after)| (after - before).max(0.0));
        let mut end = end_of(status, signals.stopped_by, now(), cpu_s);
        let timeout = launch.supervision.timeout.filter(|_| timed_out.is_some() && end.signal.is_some());
        end.reason = timeout.map(|time| format!("it took longer than {}", words::duration(time.as_secs_f64())));
        let mut warnings = companion.finish();
        warnings.extend(unkept.into_iter().chain(left_behind));
        Ok(Outcome { end, collector, warnings })
    }
}

/// How the command ended. One that was asked to stop and then fails was stopped, however it puts it.
fn end_of(status: ExitStatus, stopped_by: Option<i32>, time: Timestamp, cpu_s: Option<f64>) -> End {
    let exit_code = status.code();
    let failed = exit_code.is_some_and(|code| code != 0);
    let signal = status.signal().or(stopped_by.filter(|_| failed));
    let signal = signal.map(|number| signal_name(number).map_or_else(|| format!("signal {number}"), str::to_owned));
    End { time, exit_code, signal, cpu_s, status: None, reason: None }
}

/// The exit code that tells a shell how the command ended.
pub(super) fn shell_code(end: &End) -> i32 {
    let number = |name: &str| (1..65).find(|number| signal_name(*number) == Some(name));
    let named = |name: &str| number(name).or_else(|| name.strip_prefix("signal ")?.parse().ok());
    end.exit_code.unwrap_or_else(|| 128 + end.signal.as_deref().and_then(named).unwrap_or(0))
}

fn program(launch: &Launch) -> String {
    launch.command.first().cloned().unwrap_or_default()
}

fn spawn_error(launch: &Launch, source: io::Error) -> RunError {
    RunError::Spawn { command: program(launch), source }
}

fn spawn(folder: &Path, run: &Run, launch: &Launch, shared_terminal: bool) -> Result<Child, RunError> {
    let (program, arguments) = launch.command.split_first().ok_or_else(|| {
        let what = "there is no command to run".to_owned();
        RunError::BadValue { what }
    })?;
    let mut command = Command::new(program);
    // What git sets for its hooks would lead a `git` of the command's to another repository or index.
    for name in crate::git::MISLEADING {
        command.env_remove(name);
    }
    command
        .args(arguments)
        .current_dir(&launch.folder)
        .envs(launch.variables.iter().map(|(name, value)| (name, value)))
        .env("GIT_ML_RUN_ID", run.id.to_string())
        .env("GIT_ML_RUN_NAME", &run.name)
        .env("GIT_ML_RUN_DIR", folder)
        .env("GIT_ML_LOG", folder.join(COMMAND_LOG))
        .stdin(Stdio::inherit())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if !shared_terminal {
        command.process_group(0);
    }
    command.spawn().map_err(|source| spawn_error(launch, source))
}

struct Supervisor<'a> {
    folder: &'a Path,
    /// The log of stdout and stderr, or why it is no longer written: a full disk does not stop a training.
    log: Result<LogText, String>,
    collector: Collector,
    started: Instant,
    last_mark: Option<Instant>,
    marked: u64,
    observer: &'a mut dyn Observer,
    companion: Companion,
    timeout: Option<Duration>,
    /// When its time was over.
    timed_out: Option<Instant>,
    /// Whether somebody kept the command's output open when it had ended.
    left_behind: bool,
}

impl Supervisor<'_> {
    fn run(&mut self, child: &mut Child, signals: &mut Signals) -> io::Result<ExitStatus> {
        let mut stdout = child.stdout.take();
        let mut stderr = child.stderr.take();
        let mut buffer = vec![0; 64 << 10];
        let mut status = None;
        let mut deadline = None;
        let mut next_look = Instant::now() + TICK;
        loop {
            if status.is_some() && stdout.is_none() && stderr.is_none() {
                break;
            }
            let until = deadline.map_or(next_look, |deadline: Instant| deadline.min(next_look));
            let ready = wait(stdout.as_ref(), stderr.as_ref(), signals, until)?;
            if ready.stdout {
                self.pass_on(&mut stdout, false, &mut buffer)?;
            }
            if ready.stderr {
                self.pass_on(&mut stderr, true, &mut buffer)?;
            }
            signals.handle();
            if status.is_none() {
                self.companion.look_after(child.id());
                self.watch_time(signals);
                status = child.try_wait()?;
                if status.is_some() {
                    // The process id may be given to somebody else from here on.
                    signals.target = None;
                    deadline = Some(Instant::now() + GRACE);
                }
            }
            let idle = !ready.stdout && !ready.stderr;
            let over = |deadline: Instant| {
                let late = Instant::now().saturating_duration_since(deadline);
                Instant::now() >= deadline && (idle || late >= LAST_GRACE)
            };
            if deadline.is_some_and(over) {
                self.left_behind = true;
                break;
            }
            if Instant::now() >= next_look {
                self.follow_log();
                next_look = Instant::now() + TICK;
            }
        }
        self.follow_log();
        status.ok_or_else(|| io::Error::other("it did not end"))
    }

    /// Tells the command to end when its time is over, and kills what is left of it later.
    fn watch_time(&mut self, signals: &mut Signals) {
        let is_over = self.timeout.is_some_and(|timeout| self.started.elapsed() >= timeout);
        match self.timed_out {
            None if is_over => {
                self.timed_out = Some(Instant::now());
                signals.stopped_by = Some(SIGTERM);
                signals.pass_on(SIGTERM);
            }
            Some(time) if time.elapsed() >= END_GRACE => signals.pass_on(SIGKILL),
            _ => {}
        }
    }

    /// Moves what is in a pipe to the observer and the log; forgets the pipe at its end.
    fn pass_on<R: Read>(&mut self, pipe: &mut Option<R>, stderr: bool, buffer: &mut [u8]) -> io::Result<()> {
        let Some(reader) = pipe else { return Ok(()) };
        let count = match reader.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            count => count?,
        };
        if count == 0 {
            *pipe = None;
            return Ok(());
        }
        self.observer.output(stderr, &buffer[..count]);
        if let Ok(log) = &mut self.log
            && let Err(error) = log.append(&buffer[..count])
        {
            self.log = Err(error.to_string());
        }
        Ok(())
    }

    /// Reads what the command logged, and notes how long its log is by now.
    fn follow_log(&mut self) {
        let Self { collector, observer, .. } = self;
        if collector.advance(&mut |line| observer.logged(line)).is_err() {
            // It is read again at the end, where a failure counts.
            return;
        }
        let length = collector.command_log_offset();
        // The longer a run lasts, the coarser its marks: some thousands in a week.
        let pause = Duration::from_secs(1).max(self.started.elapsed() / 1000);
        if length == self.marked || self.last_mark.is_some_and(|mark| mark.elapsed() < pause) {
            return;
        }
        self.marked = length;
        self.last_mark = Some(Instant::now());
        let mark = Note { mark: Some((length, now())), ..Note::default() };
        // Without the mark, lines get a later time.
        let _ = note_soon(self.folder, &[OwnLine { git_ml: Some(mark), ..OwnLine::default() }]);
    }
}

struct Ready {
    stdout: bool,
    stderr: bool,
}

/// Waits until there is something to read, a signal came, or it is `until`.
fn wait(
    stdout: Option<&impl AsFd>,
    stderr: Option<&impl AsFd>,
    signals: &Signals,
    until: Instant,
) -> io::Result<Ready> {
    let time = until.saturating_duration_since(Instant::now());
    let time = Timespec { tv_sec: time.as_secs().cast_signed(), tv_nsec: time.subsec_nanos().into() };
    fn watched(fd: BorrowedFd<'_>) -> PollFd<'_> {
        PollFd::from_borrowed_fd(fd, PollFlags::IN)
    }
    let mut list = vec![watched(signals.delivery.get_read().as_fd())];
    list.extend(stdout.map(|pipe| watched(pipe.as_fd())));
    list.extend(stderr.map(|pipe| watched(pipe.as_fd())));
    match poll(&mut list, Some(&time)) {
        Ok(_) => {}
        Err(rustix::io::Errno::INTR) => return Ok(Ready { stdout: false, stderr: false }),
        Err(error) => return Err(error.into()),
    }
    // The end of a pipe is ready too: reading it says so.
    let mut ready = list[1..].iter().map(|fd| !fd.revents().is_empty());
    let stdout = stdout.is_some() && ready.next().unwrap_or_default();
    let stderr = stderr.is_some() && ready.next().unwrap_or_default();
    Ok(Ready { stdout, stderr })
}

/// The signals that this process gets while it supervises.
struct Signals {
    delivery: SignalDelivery<UnixStream, WithRawSiginfo>,
    /// The command; none before it starts and after it ended.
    target: Option<Pid>,
    /// Whether the command is in our process group, so that the terminal reaches it without us.
    shared_terminal: bool,
    /// When the terminal sent us a signal last.
    from_terminal: Option<Instant>,
    /// The last signal that asks to stop.
    stopped_by: Option<i32>,
    /// Whether Ctrl-C was pressed.
    interrupted: bool,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        let (read, write) = UnixStream::pair()?;
        read.set_nonblocking(true)?;
        write.set_nonblocking(true)?;
        // What is ignored when we start, as `nohup` has it, stays so, for us and for the command.
        let ignored = ignored_signals();
        let wanted = PASSED_ON.iter().filter(|number| ignored >> (*number - 1) & 1 == 0).chain(&[SIGCHLD]);
        let delivery = SignalDelivery::with_pipe(read, write, WithRawSiginfo, wanted)?;
        let shared_terminal = io::stdin().is_terminal() || io::stdout().is_terminal() || io::stderr().is_terminal();
        Ok(Self { delivery, target: None, shared_terminal, from_terminal: None, stopped_by: None, interrupted: false })
    }

    /// Takes the signals that came, and passes on those that the command has not got yet.
    fn handle(&mut self) {
        let arrived: Vec<_> =
            self.delivery.pending().map(|info| (info.si_signo, is_from_kernel(info.si_code))).collect();
        for (number, from_kernel) in arrived {
            if number == SIGCHLD {
                continue;
            }
            if [SIGHUP, SIGINT, SIGQUIT, SIGTERM].contains(&number) {
                self.stopped_by = Some(number);
            }
            let is_echo = !from_kernel && self.from_terminal.is_some_and(|time| time.elapsed() < ECHO);
            if self.shared_terminal && is_echo {
                continue;
            }
            // Who presses Ctrl-C once more does not want to wait for what the first one began.
            if number == SIGINT && std::mem::replace(&mut self.interrupted, true) {
                self.pass_on(SIGKILL);
                continue;
            }
            if self.shared_terminal && from_kernel {
                self.from_terminal = Some(Instant::now());
                continue;
            }
            self.pass_on(number);
        }
    }

    fn pass_on(&self, number: i32) {
        let (Some(target), Some(signal)) = (self.target, Signal::from_named_raw(number)) else { return };
        // What has just ended cannot get it, and need not.
        if self.shared_terminal {
            // Our group is not the command's own: it may have our caller in it, and the rest of a pipeline.
            for process in family(target.as_raw_nonzero().get().cast_unsigned()) {
                if let Some(process) = Pid::from_raw(process.cast_signed()) {
                    let _ = kill_process(process, signal);
                }
            }
        } else {
            let _ = kill_process_group(target, signal);
        }
    }
}

/// The signals that this process ignores, a bit each; none where the system does not tell.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// Whether the kernel made a signal, as for a key of the terminal, rather than a process.
fn is_from_kernel(code: i32) -> bool {
    if cfg!(target_os = "linux") { code > 0 } else { code != 0x10001 && code > 0 }
}

/// CPU seconds of the children that ended, and of theirs; none where the system does not say.
fn children_cpu_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the program's name in parentheses, which may hold anything.
    let (_, fields) = text.rsplit_once(')')?;
    let ticks: u64 = fields.split_whitespace().skip(13).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Some(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}
