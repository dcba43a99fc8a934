//! A connection: the user's `ssh`, started, with SFTP over its stdin and stdout.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openssh_sftp_client::{Sftp, SftpOptions};
use tokio::io::AsyncReadExt;
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::{sleep, timeout};

use super::super::ObjectError;
use super::{Address, SshProgram};

/// Seconds after which a machine that does not answer is out of reach, where the user's configuration has no other.
const CONNECT_TIMEOUT: &str = "ConnectTimeout=20";

/// Seconds after which `ssh` asks whether the other side is still there. It gives up after three that go unanswered.
const ALIVE_INTERVAL: &str = "ServerAliveInterval=20";

/// As `sftp` starts `ssh`: nothing of this machine is offered to the other.
const OPTIONS: [&str; 4] = ["ForwardX11=no", "ForwardAgent=no", "PermitLocalCommand=no", "ClearAllForwardings=yes"];

/// How long `ssh` may take to print its effective configuration.
const CONFIGURATION_PATIENCE: Duration = Duration::from_secs(10);

/// How long an `ssh` whose connection has ended may take to say why.
const END_PATIENCE: Duration = Duration::from_secs(3);

/// What `ssh` says is for the user if it goes on running for so long: it waits for something then. What it says before
/// it ends is why.
const NOTICE_DELAY: Duration = Duration::from_millis(700);

/// The bytes that are kept of what `ssh` says.
const KEPT: usize = 16 << 10;

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) sftp: Sftp,
    ssh: tokio::sync::Mutex<Child>,
    said: Arc<Said>,
    has_drafted: AtomicBool,
}

impl Connection {
    /// Connects. Where `ssh` asks for a password or about a key, it does so on the terminal.
    pub(super) async fn open(address: &Address, program: &SshProgram) -> Result<Self, ObjectError> {
        let mut command = program.command();
        for option in OPTIONS.iter().copied().chain(missing_options(address, program).await) {
            command.args(["-o", option]);
        }
        command.arg("-s");
        add_target(&mut command, address).arg("sftp");
        let mut ssh = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| not_started(address, &error))?;
        let (Some(stdin), Some(stdout), Some(stderr)) = (ssh.stdin.take(), ssh.stdout.take(), ssh.stderr.take()) else {
            return Err(not_started(address, &io::Error::other("its output cannot be read")));
        };
        let said = Arc::new(Said::default());
        tokio::spawn(listen(stderr, Arc::clone(&said), program.clone()));
        // Requests leave at once: the pipe gathers what is sent together.
        let options = SftpOptions::new().flush_interval(Duration::ZERO);
        match Sftp::new(stdin, stdout, options).await {
            Ok(sftp) => {
                said.tell(program);
                Ok(Self { sftp, ssh: tokio::sync::Mutex::new(ssh), said, has_drafted: AtomicBool::new(false) })
            }
            Err(error) => {
                let status = end_of(&mut ssh).await;
                let _ = ssh.start_kill();
                Err(explain(address, status, &said.text(), &error.to_string()))
            }
        }
    }

    /// Whether nothing has been written over this connection before this call.
    pub(super) fn is_first_draft(&self) -> bool {
        !self.has_drafted.swap(true, Ordering::Relaxed)
    }

    /// Why it ended, after an operation failed with `problem`.
    pub(super) async fn ended(&self, address: &Address, problem: &str) -> ObjectError {
        let status = end_of(&mut *self.ssh.lock().await).await;
        explain(address, status, &self.said.text(), problem)
    }
}

async fn end_of(ssh: &mut Child) -> Option<ExitStatus> {
    let status = timeout(END_PATIENCE, ssh.wait()).await.ok()?.ok();
    // Its last words may still be on their way. Its stderr need not end with it: a connection that it shares goes on.
    sleep(Duration::from_millis(50)).await;
    status
}

/// Options that the user's configuration says nothing about, without which a machine that does not answer is waited for
/// very long. An `ssh` that cannot be asked is another program, which need not know the options.
async fn missing_options(address: &Address, program: &SshProgram) -> Vec<&'static str> {
    let mut command = program.command();
    add_target(command.arg("-G"), address);
    command.stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let Ok(Ok(output)) = timeout(CONFIGURATION_PATIENCE, command.output()).await else { return Vec::new() };
    options_for(&String::from_utf8_lossy(&output.stdout))
}

fn options_for(configuration: &str) -> Vec<&'static str> {
    let has = |line: &str| configuration.lines().any(|own| own.trim().eq_ignore_ascii_case(line));
    let mut options = Vec::new();
    if has("connecttimeout none") || has("connecttimeout 0") {
        options.push(CONNECT_TIMEOUT);
    }
    if has("serveraliveinterval 0") {
        options.push(ALIVE_INTERVAL);
    }
    options
}

pub(super) fn add_target<'c>(command: &'c mut Command, address: &Address) -> &'c mut Command {
    if let Some(port) = address.port {
        command.arg("-p").arg(port.to_string());
    }
    command.arg("--").arg(address.target())
}

fn not_started(address: &Address, error: &io::Error) -> ObjectError {
    let problem = match error.kind() {
        io::ErrorKind::NotFound => "the program `ssh` is not installed".to_owned(),
        _ => format!("`ssh` cannot be started: {error}"),
    };
    ObjectError::Failed { place: address.to_string(), action: "connect".to_owned(), problem }
}

/// What `ssh` has said, and how much of it the user has been told.
#[derive(Debug, Default)]
struct Said {
    state: Mutex<(Vec<u8>, usize)>,
}

impl Said {
    fn add(&self, bytes: &[u8]) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (text, told) = &mut *state;
        text.extend_from_slice(bytes);
        let surplus = text.len().saturating_sub(KEPT);
        text.drain(..surplus);
        *told = told.saturating_sub(surplus);
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.state.lock().unwrap_or_else(PoisonError::into_inner).0).into_owned()
    }

    fn has_news(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.1 < state.0.len()
    }

    /// Tells the user what they have not been told.
    fn tell(&self, program: &SshProgram) {
        let news = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let (text, told) = &mut *state;
            let news = String::from_utf8_lossy(&text[*told..]).into_owned();
            *told = text.len();
            news
        };
        for line in news.lines().map(printable).filter(|line| !line.is_empty()) {
            program.tell(&line);
        }
    }
}

async fn listen(mut stderr: ChildStderr, said: Arc<Said>, program: SshProgram) {
    let mut buffer = [0; 4096];
    loop {
        // A timer is needed only while there is something to tell.
        let delay = if said.has_news() { NOTICE_DELAY } else { Duration::MAX };
        match timeout(delay, stderr.read(&mut buffer)).await {
            Ok(Ok(count)) if count > 0 => said.add(&buffer[..count]),
            Ok(_) => return,
            Err(_) => said.tell(&program),
        }
    }
}

/// A line without what would move a terminal's cursor.
fn printable(line: &str) -> String {
    line.trim().chars().filter(|c| !c.is_control()).take(300).collect()
}

/// Why a connection ended, in the words of `ssh` where it had some.
fn explain(address: &Address, status: Option<ExitStatus>, said: &str, otherwise: &str) -> ObjectError {
    let place = address.to_string();
    let lines: Vec<String> = said.lines().map(printable).filter(|line| !line.is_empty()).collect();
    let find = |words: &[&str]| lines.iter().rev().find(|line| words.iter().any(|word| line.contains(word))).cloned();
    let failed =
        |problem: String| ObjectError::Failed { place: address.to_string(), action: "connect".to_owned(), problem };
    if let Some(line) = find(&["Permission denied", "Too many authentication failures"]) {
        let problem =
            line.rsplit_once(": ").map_or(line.as_str(), |(_, problem)| problem).trim_end_matches('.').to_owned();
        return ObjectError::Denied { place, action: "in".to_owned(), problem };
    }
    if find(&["HOST IDENTIFICATION HAS CHANGED"]).is_some() {
        return failed(
            "the machine has another key than `known_hosts` says: it may not be the one you mean".to_owned(),
        );
    }
    if find(&["Host key verification failed"]).is_some() {
        let target = address.target();
        return failed(format!("its key is not in `known_hosts`; `ssh {target}` shows it and adds it"));
    }
    if find(&["subsystem request failed"]).is_some() {
        return failed("that machine's SSH server has no SFTP".to_owned());
    }
    // What is about the user's own configuration or command, and not about the other machine.
    if let Some(line) =
        find(&["Bad configuration option", "bad configuration option", "unknown option", "command not found"])
    {
        return failed(line);
    }
    let said = find(&["ssh: ", "Connection ", "connection ", "Timeout, server", "timed out"])
        .or_else(|| lines.last().cloned());
    let problem = match (said, status) {
        (Some(line), _) => line.trim_start_matches("ssh: ").trim_end_matches('.').to_owned(),
        (None, Some(status)) if !status.success() => format!("`ssh` ended with {status} and said nothing"),
        (None, None) => format!("what answers there is no SFTP: {otherwise}"),
        (None, Some(_)) => format!("the connection ended: {otherwise}"),
    };
    ObjectError::Unreachable { place, problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(said: &str) -> String {
        let address = Address::parse("ssh://ada@host/srv").unwrap().unwrap();
        explain(&address, None, said, "nothing").to_string()
    }

    #[test]
    fn what_ssh_says_becomes_one_line() {
        let place = "ssh://ada@host/srv";
        for (said, expected) in [
            (
                "** a banner **\r\nada@host: Permission denied (publickey,password).\r\n",
                format!("{place} does not let us in: Permission denied (publickey,password)"),
            ),
            (
                "ssh: Could not resolve hostname host: Name or service not known\r\n",
                format!("{place} cannot be reached: Could not resolve hostname host: Name or service not known"),
            ),
            (
                "ssh: connect to host host port 22: Connection refused\n",
                format!("{place} cannot be reached: connect to host host port 22: Connection refused"),
            ),
            (
                "No ED25519 host key is known for host and you have requested strict checking.\r\n\
                 Host key verification failed.\r\n",
                format!(
                    "{place} failed to connect: its key is not in `known_hosts`; `ssh ada@host` shows it and adds it"
                ),
            ),
            (
                "subsystem request failed on channel 0\nConnection closed\n",
                format!("{place} failed to connect: that machine's SSH server has no SFTP"),
            ),
            ("x\u{1b}[2Jy\n", format!("{place} cannot be reached: x[2Jy")),
            ("", format!("{place} cannot be reached: what answers there is no SFTP: nothing")),
        ] {
            assert_eq!(explained(said), expected);
        }
        let changed = "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\nHost key verification failed.\n";
        assert!(explained(changed).contains("another key than `known_hosts` says"));
    }

    #[test]
    fn the_users_own_timeouts_stay() {
        assert_eq!(options_for("user x\nconnecttimeout none\nserveraliveinterval 0\n").len(), 2);
        assert_eq!(options_for("connecttimeout 5\nserveraliveinterval 0\n"), [ALIVE_INTERVAL]);
        assert!(options_for("").is_empty(), "a program that is not OpenSSH's gets none of its options");
    }

    #[test]
    fn what_is_kept_of_a_talkative_ssh_is_bounded() {
        let said = Said::default();
        for _ in 0..100 {
            said.add(&[b'x'; 1000]);
        }
        said.add(b"the end");
        assert_eq!(said.text().len(), KEPT);
        assert!(said.text().ends_with("the end"));
    }
}
