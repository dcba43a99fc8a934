//! Keeping signatures that were made elsewhere.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::check::{Depth, Outcome, check_content};
use super::sshsig::ARMOUR_START;
use super::statement::one_line;
use super::{Form, Place, SignError, Subject, Target, Trust, ledger};
use crate::track::{Progress, Workspace};

/// How the name of the file ends that has what an SSH signature signs.
pub const STATEMENT_SUFFIX: &str = "statement";

/// Reads a signature that somebody made with another tool, in whichever form it is.
pub fn read_signature(path: &Path) -> Result<(Form, Vec<u8>), SignError> {
    let read = |source| SignError::Read { path: path.to_path_buf(), source };
    let bytes = fs::metadata(path).map_err(read)?.len();
    if bytes > Form::ModelSigning.limit() {
        let problem = format!("it has {bytes} bytes");
        return Err(SignError::NoSignature { path: path.to_path_buf(), problem });
    }
    let content = fs::read(path).map_err(read)?;
    if content.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{') {
        return Ok((Form::ModelSigning, content));
    }
    if !content.starts_with(ARMOUR_START.as_bytes()) {
        return Ok((Form::Ssh, content));
    }
    // As `git ml sign --output` writes it: what was signed is beside it.
    let statement = PathBuf::from(format!("{}.{STATEMENT_SUFFIX}", path.display()));
    let read = |source| SignError::Read { path: statement.clone(), source };
    if fs::metadata(&statement).map_err(read)?.len() > Form::Ssh.limit() {
        return Err(SignError::NoSignature { path: statement, problem: "it is larger than any".to_owned() });
    }
    let mut whole = fs::read(&statement).map_err(read)?;
    whole.extend_from_slice(&content);
    Ok((Form::Ssh, whole))
}

/// Keeps a signature of an artifact that was made elsewhere; its place, and whether it is new.
///
/// By whom it is need not be known. What is not a signature of this artifact is refused.
pub fn attach(
    workspace: &Workspace,
    target: &Target<'_>,
    path: &Path,
    progress: &dyn Progress,
) -> Result<(Place, bool), SignError> {
    let repository = &workspace.repository;
    let author = repository.identity()?;
    let (form, content) = read_signature(path)?;
    let subject = Subject::Artifact(target.id);
    let trust = Trust::of(repository)?;
    let now = Timestamp::now();
    let verdict = check_content(workspace, &trust, (&subject, form), &content, Depth::Content, now, progress)?;
    match verdict.outcome {
        Outcome::Good | Outcome::UnknownSigner | Outcome::Expired | Outcome::NotYetValid | Outcome::NotHere => {}
        Outcome::Revoked | Outcome::Bad | Outcome::Mismatch | Outcome::Unreadable => {
            return Err(SignError::NoSignature { path: path.to_path_buf(), problem: verdict.detail });
        }
    }
    let place = Place::of(subject, form, &content);
    let line = format!("Keep a signature of {}", one_line(target.label));
    let is_new = ledger::keep(repository, &author, &place, &content, &line)?;
    Ok((place, is_new))
}
