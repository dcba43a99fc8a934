//! Running `ssh-keygen -Y`, or the program that git's configuration names in its place.
//!
//! Programs that keep keys elsewhere are made for being called by git, so they are called as git calls them.

use std::fs;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rustix::io::FdFlags;

use super::sshsig::{ARMOUR_START, MAX_ARMOUR};
use super::{SSH_NAMESPACE, SignError};
use crate::files::{self, Draft, FileError};

/// A key to sign with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SshKey {
    /// The file of a private key, or of a public one whose private one is beside it or with the agent.
    File(PathBuf),
    /// A public key, `ssh-ed25519 AAAA…`, whose private one is with the agent.
    Agent(String),
}

/// Signs a message: the armoured signature. The program may ask for a passphrase on the terminal.
pub(super) fn sign(program: &str, key: &SshKey, scratch: &Path, message: &[u8]) -> Result<String, SignError> {
    files::create_dir_all(scratch)?;
    let draft = |content: &[u8]| -> Result<Draft, SignError> {
        let mut draft = Draft::new_in(scratch)?;
        draft.write_all(content).map_err(|source| FileError::new("write", draft.path(), source))?;
        Ok(draft)
    };
    let mut command = Command::new(program);
    command.args(["-Y", "sign", "-n", SSH_NAMESPACE, "-f"]);
    let _public_key = match key {
        SshKey::File(path) => {
            command.arg(path);
            None
        }
        SshKey::Agent(public) => {
            let file = draft(format!("{public}\n").as_bytes())?;
            command.arg(file.path()).arg("-U");
            Some(file)
        }
    };
    let message = draft(message)?;
    command.arg(message.path()).stdin(Stdio::null());
    let output = command.output().map_err(|source| no_program(program, source))?;
    let place = PathBuf::from(format!("{}.sig", message.path().display()));
    let signature = fs::read_to_string(&place);
    files::remove_file(&place)?;
    match signature {
        Ok(signature) if output.status.success() && signature.starts_with(ARMOUR_START) => Ok(signature),
        _ => Err(SignError::NotSigned { program: program.to_owned(), message: reason(&output.stderr) }),
    }
}

/// Who may have signed, according to a file of allowed signers: the question of [`is_from`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Question<'q> {
    /// The file of allowed signers.
    pub(super) allowed: &'q Path,
    /// The file of keys that are trusted no more.
    pub(super) revoked: Option<&'q Path>,
    /// Who it has to be, or a pattern of that file.
    pub(super) principal: &'q str,
    /// The time of the signature, `20261121080000Z`; now where it is not known.
    pub(super) time: Option<&'q str>,
}

/// Whether a signature of a message is by somebody who may have signed.
pub(super) fn is_from(program: &str, question: &Question<'_>, message: &[u8], armour: &str) -> Result<bool, SignError> {
    let ask = |command: &mut Command| {
        command.args(["-Y", "verify", "-n", SSH_NAMESPACE, "-I", question.principal, "-f"]).arg(question.allowed);
        if let Some(revoked) = question.revoked {
            command.arg("-r").arg(revoked);
        }
    };
    Ok(verify_at(program, question.time, &ask, message, armour)?.status.success())
}

/// Whether a signature of a message is by the key that it names, whoever that is.
pub(super) fn is_by_its_key(program: &str, message: &[u8], armour: &str) -> Result<bool, SignError> {
    let mut command = Command::new(program);
    command.args(["-Y", "check-novalidate", "-n", SSH_NAMESPACE]);
    Ok(verify(program, command, message, armour)?.status.success())
}

/// The patterns of a file of allowed signers that stand for a certificate's key.
pub(super) fn find_principals(program: &str, question: &Question<'_>, armour: &str) -> Result<Vec<String>, SignError> {
    let ask = |command: &mut Command| {
        command.args(["-Y", "find-principals", "-f"]).arg(question.allowed);
    };
    let output = verify_at(program, question.time, &ask, b"", armour)?;
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(|line| line.trim_end().to_owned()).collect())
}

/// Runs a command as of a time, where one is known.
fn verify_at(
    program: &str,
    time: Option<&str>,
    ask: &dyn Fn(&mut Command),
    message: &[u8],
    armour: &str,
) -> Result<Output, SignError> {
    let mut command = Command::new(program);
    ask(&mut command);
    let Some(time) = time else { return verify(program, command, message, armour) };
    command.arg(format!("-Overify-time={time}"));
    let output = verify(program, command, message, armour)?;
    if output.status.success() || !String::from_utf8_lossy(&output.stderr).contains("verify-time") {
        return Ok(output);
    }
    // Before version 9.1 OpenSSH knows local times only.
    let mut command = Command::new(program);
    ask(&mut command);
    command.arg(format!("-Overify-time={}", time.trim_end_matches('Z'))).env("TZ", "UTC");
    verify(program, command, message, armour)
}

/// Runs a command with a message on stdin and the signature in a file.
///
/// The file is a pipe that has all of it already, so that checking writes nothing: not to a repository that cannot be
/// written either.
fn verify(program: &str, mut command: Command, message: &[u8], armour: &str) -> Result<Output, SignError> {
    let failed = |source| no_program(program, source);
    if armour.len() > MAX_ARMOUR {
        // More than a pipe has room for, and than any signature has.
        return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, "the signature is too large")));
    }
    let (reader, mut writer) = io::pipe().map_err(failed)?;
    writer.write_all(armour.as_bytes()).map_err(failed)?;
    drop(writer);
    rustix::io::fcntl_setfd(&reader, FdFlags::empty()).map_err(|error| failed(error.into()))?;
    command.args(["-s", &format!("/dev/fd/{}", reader.as_raw_fd())]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // Who stops reading says with its exit code why. What it says itself is less than a pipe has room for.
        let _ = stdin.write_all(message);
    }
    child.wait_with_output().map_err(failed)
}

fn no_program(program: &str, source: io::Error) -> SignError {
    SignError::NoProgram { program: program.to_owned(), source }
}

/// The line of stderr that says why: of keys that others may read, OpenSSH says so first and then that it has none.
fn reason(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let open = lines.clone().find(|line| line.starts_with("Permissions "));
    open.or(lines.next_back()).unwrap_or("it said nothing").to_owned()
}
