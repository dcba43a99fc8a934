//! Which key to sign with.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::keys::PrivateKey;
use super::ssh::{self, SshKey};
use super::sshsig::SshSig;
use super::trust::ssh_program;
use super::{SSH_NAMESPACE, SignError};
use crate::git::Repository;
use crate::track::Workspace;

/// Bytes that the file of a key may have.
const MAX_KEY: u64 = 64 << 10;

/// Somebody's key.
pub struct Signer {
    key: Key,
    program: String,
}

enum Key {
    Ssh(SshKey),
    Curve(PrivateKey),
}

impl fmt::Debug for Signer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Signer").field("is_ssh", &self.is_ssh()).finish_non_exhaustive()
    }
}

impl Signer {
    /// The key in a file, an SSH key or an elliptic-curve key in PEM; or the SSH key that git signs commits with.
    pub fn find(repository: &Repository, file: Option<&Path>) -> Result<Self, SignError> {
        let program = ssh_program(repository)?;
        let key = match file {
            None => Key::Ssh(of_git(repository)?),
            Some(path) => read_key(path)?,
        };
        Ok(Self { key, program })
    }

    /// Whether it is an SSH key.
    pub fn is_ssh(&self) -> bool {
        matches!(self.key, Key::Ssh(_))
    }

    /// The elliptic-curve key, if it is one.
    pub(super) fn curve_key(&self) -> Option<&PrivateKey> {
        match &self.key {
            Key::Curve(key) => Some(key),
            Key::Ssh(_) => None,
        }
    }

    /// The program that signs and verifies with SSH keys.
    pub(super) fn program(&self) -> &str {
        &self.program
    }

    /// Signs with the SSH key: the armoured signature, and the public key in OpenSSH's binary form.
    pub(super) fn sign_ssh(&self, workspace: &Workspace, message: &[u8]) -> Result<(String, Vec<u8>), SignError> {
        let Key::Ssh(key) = &self.key else {
            return Err(SignError::NoKey { problem: "the key is no SSH key".to_owned() });
        };
        let armour = ssh::sign(&self.program, key, &workspace.store.root().join("signing"), message)?;
        let fail = |message: String| SignError::NotSigned { program: self.program.clone(), message };
        let signature = SshSig::parse(&armour).map_err(fail)?;
        if signature.namespace != SSH_NAMESPACE {
            return Err(fail(format!("it signed for the namespace `{}`", signature.namespace.escape_debug())));
        }
        Ok((armour, signature.key))
    }
}

/// The SSH key that git signs commits with.
fn of_git(repository: &Repository) -> Result<SshKey, SignError> {
    let no_key = |problem: String| SignError::NoKey { problem };
    let is_ssh = repository.config("gpg.format")?.is_some_and(|format| format == "ssh");
    let Some(configured) = repository.config_path("user.signingkey")? else {
        return match repository.config("gpg.ssh.defaultKeyCommand")? {
            Some(command) if is_ssh => by_command(&command),
            _ => Err(no_key("git's configuration has no user.signingkey".to_owned())),
        };
    };
    let text = configured.to_string_lossy().into_owned();
    if let Some(public) = literal(&text) {
        return Ok(SshKey::Agent(public));
    }
    let place = repository.work_dir().unwrap_or(repository.git_dir()).join(&configured);
    match (is_ssh, place.exists()) {
        (_, true) => Ok(SshKey::File(place)),
        (true, false) => Err(no_key(format!("user.signingkey names {}, which is not there", place.display()))),
        (false, false) => Err(no_key(format!("user.signingkey is `{}`, which is no SSH key", text.escape_debug()))),
    }
}

/// A public key that stands in git's configuration itself.
fn literal(text: &str) -> Option<String> {
    let public = text.strip_prefix("key::").or_else(|| text.starts_with("ssh-").then_some(text))?;
    Some(public.trim().to_owned())
}

/// The first key that the user's own command names, as git takes it.
fn by_command(command: &str) -> Result<SshKey, SignError> {
    let run = Command::new("sh").args(["-c", command]).stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = run.map_err(|source| SignError::NoProgram { program: "sh".to_owned(), source })?;
    let text = String::from_utf8_lossy(&output.stdout);
    let key = text.lines().find_map(literal).filter(|_| output.status.success());
    key.map(SshKey::Agent).ok_or_else(|| SignError::NoKey {
        problem: "gpg.ssh.defaultKeyCommand of git's configuration names none".to_owned(),
    })
}

/// The key in a file, by what the file holds.
fn read_key(path: &Path) -> Result<Key, SignError> {
    let read = |source| SignError::Read { path: path.to_path_buf(), source };
    let bad = |problem: &str| SignError::BadKey { path: path.to_path_buf(), problem: problem.to_owned() };
    if fs::metadata(path).map_err(read)?.len() > MAX_KEY {
        return Err(bad("it is larger than any key"));
    }
    let content = fs::read(path).map_err(read)?;
    let text = std::str::from_utf8(&content).map_err(|_| bad("it is not text"))?;
    let is_public_ssh = text.starts_with("ssh-") || text.starts_with("ecdsa-") || text.starts_with("sk-");
    if is_public_ssh || text.contains("-----BEGIN OPENSSH PRIVATE KEY-----") {
        return Ok(Key::Ssh(SshKey::File(PathBuf::from(path))));
    }
    PrivateKey::from_pem(text, path).map(Key::Curve)
}
