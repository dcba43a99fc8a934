//! Giftless, a Git LFS server that others wrote: `scripts/giftless install` installs it.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::sshd::answers;

/// A running server that lets anybody read and write. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Giftless {
    folder: TempDir,
    server: Child,
    port: u16,
}

impl Giftless {
    /// Starts one; none where it is not installed, which is said.
    pub(crate) fn start() -> Option<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/giftless");
        let known = Command::new(&script).arg("python").stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
        if !known.success() {
            eprintln!("skipped: Giftless is not installed (`scripts/giftless install`)");
            return None;
        }
        let folder = TempDir::with_prefix("git-ml-giftless-").unwrap();
        for _ in 0..5 {
            // Another program may take the port in between; then the next one is tried.
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
            let log = fs::File::create(folder.path().join("log")).unwrap();
            let mut server = Command::new(&script)
                .args(["run", &port.to_string()])
                .arg(folder.path().join("served"))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
                .unwrap();
            if answers(port, &mut server, Duration::from_secs(120)) {
                return Some(Self { folder, server, port });
            }
            let _ = server.kill();
            let _ = server.wait();
        }
        panic!("Giftless did not start: {}", fs::read_to_string(folder.path().join("log")).unwrap_or_default());
    }

    /// The URL of the LFS server of a repository.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/org/repo.git/info/lfs", self.port)
    }

    /// The files in which it keeps contents.
    pub(crate) fn contents(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.folder.path().join("served")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { found.push(path) }
            }
        }
        found
    }
}

impl Drop for Giftless {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
