//! Keeping signatures that were made elsewhere.

use std::fs;
use std::path::Path;

use jiff::Timestamp;

use super::check::{Depth, Outcome, check_content};
use super::statement::one_line;
use super::{Form, Place, SignError, Subject, Target, Trust, ledger};
use crate::track::{Progress, Workspace};

/// Reads a signature that somebody made with another tool, in whichever form it is.
pub fn read_signature(path: &Path) -> Result<(Form, Vec<u8>), SignError> {
    let read = |source| SignError::Read { path: path.to_path_buf(), source };
    let bytes = fs::metadata(path).map_err(read)?.len();
    if bytes > Form::ModelSigning.limit() {
        let problem = format!("it has {bytes} bytes");
        return Err(SignError::NoSignature { path: path.to_path_buf(), problem });
    }
    let content = fs::read(path).map_err(read)?;
    let form = match content.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') => Form::ModelSigning,
        _ => Form::Ssh,
    };
    Ok((form, content))
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
