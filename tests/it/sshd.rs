//! OpenSSH's own server on a port of this machine, with keys made for the test.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Where systems have the server. It wants to be started by its whole path.
const SERVERS: [&str; 3] = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd"];

/// A running server. Dropping it ends it, with all its connections.
#[derive(Debug)]
pub(crate) struct Sshd {
    folder: TempDir,
    server: Child,
    port: u16,
}

impl Sshd {
    /// Starts one that has SFTP; none where there is no server on this machine, which is said.
    pub(crate) fn start() -> Option<Self> {
        Self::start_with(true)
    }

    /// Starts one with SFTP or without.
    pub(crate) fn start_with(sftp: bool) -> Option<Self> {
        let Some(program) = SERVERS.into_iter().find(|server| Path::new(server).is_file()) else {
            eprintln!("skipped: there is no sshd on this machine (Debian's package is openssh-server)");
            return None;
        };
        let folder = TempDir::with_prefix("git-ml-sshd-").unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("home")).unwrap();
        for key in ["host", "user", "stranger"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-C", key, "-f"])
                .arg(at(key))
                .stdin(Stdio::null())
                .status();
            assert!(made.unwrap().success(), "ssh-keygen failed");
        }
        fs::copy(at("user.pub"), at("authorized_keys")).unwrap();
        // Where the server was started by root it wants this folder, which a machine that never ran one may lack.
        let _ = fs::create_dir_all("/run/sshd");
        let subsystem =
            if sftp { format!("Subsystem sftp internal-sftp -d {}\n", at("home").display()) } else { String::new() };
        let mut last = String::new();
        for _ in 0..5 {
            // Another program may take the port in between; then the next one is tried.
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
            let config = format!(
                "ListenAddress 127.0.0.1:{port}\nHostKey {host}\nAuthorizedKeysFile {keys}\nPidFile none\nUsePAM no\n\
                 StrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin yes\n\
                 MaxStartups 100\nLogLevel VERBOSE\n{subsystem}",
                host = at("host").display(),
                keys = at("authorized_keys").display(),
            );
            fs::write(at("sshd_config"), config).unwrap();
            let log = fs::File::create(at("log")).unwrap();
            let mut server = Command::new(program)
                .args(["-D", "-e", "-f"])
                .arg(at("sshd_config"))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
                .unwrap();
            if answers(port, &mut server, Duration::from_secs(20)) {
                let sshd = Self { folder, server, port };
                sshd.write_client_config("config", "user", &sshd.known_host());
                return Some(sshd);
            }
            let _ = server.kill();
            let _ = server.wait();
            last = fs::read_to_string(at("log")).unwrap_or_default();
        }
        panic!("sshd did not start: {last}");
    }

    /// The folder of the server's files.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where paths begin that are not given from the root.
    pub(crate) fn home(&self) -> PathBuf {
        self.folder().join("home")
    }

    /// The port.
    #[allow(dead_code, reason = "only the tests of the library ask")]
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// What starts `ssh` so that the host `far` is this server: a value of `GIT_SSH_COMMAND`.
    pub(crate) fn command(&self) -> String {
        self.command_with("config")
    }

    /// The same with another configuration, of [`Sshd::write_client_config`].
    pub(crate) fn command_with(&self, name: &str) -> String {
        format!("ssh -F '{}'", self.folder().join(name).display())
    }

    /// The line of a `known_hosts` file that knows this server.
    pub(crate) fn known_host(&self) -> String {
        let key = fs::read_to_string(self.folder().join("host.pub")).unwrap();
        format!("[127.0.0.1]:{} {key}", self.port)
    }

    /// Writes a configuration for `ssh` with one of the keys `user` and `stranger` and one `known_hosts` file.
    pub(crate) fn write_client_config(&self, name: &str, key: &str, known_hosts: &str) {
        let (folder, port) = (self.folder().display(), self.port);
        fs::write(self.folder().join(format!("{name}.known_hosts")), known_hosts).unwrap();
        let config = format!(
            "Host far\n HostName 127.0.0.1\n Port {port}\n IdentityFile {folder}/{key}\n IdentitiesOnly yes\n \
             IdentityAgent none\n UserKnownHostsFile {folder}/{name}.known_hosts\n GlobalKnownHostsFile none\n \
             StrictHostKeyChecking yes\n BatchMode yes\n"
        );
        fs::write(self.folder().join(name), config).unwrap();
    }

    /// How many connections have been let in.
    pub(crate) fn connections(&self) -> usize {
        self.log().matches("Accepted publickey").count()
    }

    /// What the server has said.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder().join("log")).unwrap()
    }

    /// Cuts all connections there are. The server goes on.
    pub(crate) fn cut(&self) {
        for process in descendants(self.server.id()) {
            let _ = Command::new("kill").args(["-KILL", &process.to_string()]).stderr(Stdio::null()).status();
        }
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.cut();
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn descendants(process: u32) -> Vec<u32> {
    let output = Command::new("ps").args(["-A", "-o", "pid=,ppid="]).output().unwrap().stdout;
    let text = String::from_utf8_lossy(&output).into_owned();
    let pairs: Vec<(u32, u32)> = text
        .lines()
        .filter_map(|line| line.trim().split_once(char::is_whitespace))
        .filter_map(|(own, parent)| Some((own.trim().parse().ok()?, parent.trim().parse().ok()?)))
        .collect();
    let mut found = vec![process];
    let mut at = 0;
    while at < found.len() {
        let parent = found[at];
        found.extend(pairs.iter().filter(|(_, own_parent)| *own_parent == parent).map(|(own, _)| *own));
        at += 1;
    }
    found.split_off(1)
}

/// Waits until somebody listens on a port of this machine; false if the server ends before, or the time is up.
pub(crate) fn answers(port: u16, server: &mut Child, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    while Instant::now() < deadline && server.try_wait().unwrap().is_none() {
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}
