//! Checking a signature: who made it, whether the user trusts them, and whether it is about what it is kept under.

use jiff::{SignedDuration, Timestamp};
use rayon::prelude::*;

use super::bundle::Bundle;
use super::dsse::{Envelope, pre_authentication};
use super::model::{Comparison, SignedFiles};
use super::provenance::check_provenance;
use super::ssh::{self, Question};
use super::sshsig::SshSig;
use super::statement::Statement;
use super::trust::{AllowedLine, allowed_lines};
use super::{Form, Ledger, SSH_NAMESPACE, SignError, Signature, Subject, Trust};
use crate::id::{ArtifactId, Digest};
use crate::track::{Progress, Workspace};

/// How far the clocks of two machines may be apart.
const CLOCK_DIFFERENCE: SignedDuration = SignedDuration::from_mins(10);
/// Why an SSH signature does not count where nobody is allowed to sign.
const NO_ALLOWED: &str = "git's configuration names no allowed signers (gpg.ssh.allowedSignersFile)";
/// Patterns of a line of allowed signers that are tried.
const MAX_PRINCIPALS: usize = 32;

/// What came of checking a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// By somebody whom the user trusts, and about this.
    Good,
    /// Right in itself, by a key that the user has not said to trust for this.
    UnknownSigner,
    /// By a key that was trusted until before it signed.
    Expired,
    /// By a key that was trusted only after it signed, or with a time that is still to come.
    NotYetValid,
    /// By a key that is trusted no more.
    Revoked,
    /// Not what its key signed.
    Bad,
    /// Good, but about something else than what it is kept under.
    Mismatch,
    /// No signature of a known form.
    Unreadable,
    /// Good, but what it is about is not here to be compared.
    NotHere,
}

impl Outcome {
    /// The word for JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::UnknownSigner => "unknown-signer",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::Revoked => "revoked",
            Self::Bad => "bad-signature",
            Self::Mismatch => "mismatch",
            Self::Unreadable => "unreadable",
            Self::NotHere => "not-here",
        }
    }
}

/// What is known of a signature after it was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What came of it.
    pub outcome: Outcome,
    /// Who made it, as the user's own configuration names them; none where nobody there did.
    pub signer: Option<String>,
    /// The key that it names: `ssh-ed25519 SHA256:…`.
    pub key: Option<String>,
    /// When it was made, as the signer says.
    pub signed: Option<Timestamp>,
    /// The rest of a sentence about it: `it is about artifact …`. Printable.
    pub detail: String,
}

impl Verdict {
    pub(super) fn new(outcome: Outcome, detail: impl Into<String>) -> Self {
        Self { outcome, signer: None, key: None, signed: None, detail: detail.into() }
    }

    /// Whether it counts.
    pub fn is_good(&self) -> bool {
        self.outcome == Outcome::Good
    }

    pub(super) fn becomes(self, outcome: Outcome, detail: impl Into<String>) -> Self {
        Self { outcome, detail: detail.into(), ..self }
    }
}

/// How thoroughly to check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Where a signature names the artifact, that tells what it is about.
    Names,
    /// The contents of all files are hashed again and compared with what was signed.
    Content,
}

/// Checks a signature that is kept here. `now` tells which times are still to come.
pub fn check(
    workspace: &Workspace,
    trust: &Trust,
    signature: &Signature,
    depth: Depth,
    now: Timestamp,
    progress: &dyn Progress,
) -> Result<Verdict, SignError> {
    let place = &signature.place;
    match signature.content(&workspace.repository)? {
        Ok(content) => check_content(workspace, trust, (&place.subject, place.form), &content, depth, now, progress),
        Err(problem) => Ok(Verdict::new(Outcome::Unreadable, problem)),
    }
}

/// Checks all signatures of an artifact, or all attestations of a run, that are kept here.
pub fn check_all(
    workspace: &Workspace,
    trust: &Trust,
    subject: &Subject,
    depth: Depth,
    progress: &dyn Progress,
) -> Result<Vec<(Signature, Verdict)>, SignError> {
    let now = Timestamp::now();
    let signatures = Ledger::open(&workspace.repository)?.of(subject)?;
    // What takes time is starting `ssh-keygen`.
    let verdicts = signatures.into_par_iter().map(|signature| {
        let verdict = check(workspace, trust, &signature, depth, now, progress)?;
        Ok((signature, verdict))
    });
    verdicts.collect()
}

/// Checks a signature from anywhere: whether it is about `subject` and in the form that is said.
pub fn check_content(
    workspace: &Workspace,
    trust: &Trust,
    (subject, form): (&Subject, Form),
    content: &[u8],
    depth: Depth,
    now: Timestamp,
    progress: &dyn Progress,
) -> Result<Verdict, SignError> {
    let verdict = match (subject, form) {
        (Subject::Artifact(id), Form::Ssh) => check_statement(workspace, trust, id, content, now)?,
        (Subject::Artifact(id), Form::ModelSigning) => check_model(workspace, trust, id, content, depth, progress)?,
        (Subject::Run(id), Form::Provenance) => check_provenance(workspace, trust, id, content, depth, progress)?,
        (subject, form) => {
            let problem = format!("{} is not about {subject}", form.as_str());
            Verdict::new(Outcome::Unreadable, problem)
        }
    };
    Ok(verdict)
}

fn check_statement(
    workspace: &Workspace,
    trust: &Trust,
    artifact: &ArtifactId,
    content: &[u8],
    now: Timestamp,
) -> Result<Verdict, SignError> {
    let read = || {
        let (text, armour) = Statement::split(content)?;
        Ok::<_, String>((text, armour, Statement::parse(text)?))
    };
    let (text, armour, statement) = match read() {
        Ok(parts) => parts,
        Err(problem) => return Ok(Verdict::new(Outcome::Unreadable, problem)),
    };
    let verdict = by_ssh(trust, text.as_bytes(), armour, Some(statement.signed))?;
    if !verdict.is_good() {
        return Ok(verdict);
    }
    if statement.signed > now + CLOCK_DIFFERENCE {
        return Ok(verdict.becomes(Outcome::NotYetValid, format!("it is dated {}", statement.signed)));
    }
    if statement.artifact != *artifact {
        return Ok(verdict.becomes(Outcome::Mismatch, format!("it is about artifact {}", statement.artifact)));
    }
    // Where the manifest is here, it has the last word.
    if let Ok(manifest) = workspace.store.manifest(artifact)
        && (manifest.entries().len() as u64, manifest.total_size()) != (statement.files, statement.bytes)
    {
        let Statement { files, bytes, .. } = statement;
        return Ok(verdict.becomes(Outcome::Mismatch, format!("it is about {files} files of {bytes} bytes")));
    }
    Ok(verdict)
}

fn check_model(
    workspace: &Workspace,
    trust: &Trust,
    artifact: &ArtifactId,
    content: &[u8],
    depth: Depth,
    progress: &dyn Progress,
) -> Result<Verdict, SignError> {
    let unreadable = |problem: String| Verdict::new(Outcome::Unreadable, problem);
    let bundle = match Bundle::parse(content) {
        Ok(bundle) => bundle,
        Err(problem) => return Ok(unreadable(problem)),
    };
    let verdict = by_curve_key(trust, &bundle.envelope, bundle.hint.as_deref());
    if !verdict.is_good() {
        return Ok(verdict);
    }
    let signed = match SignedFiles::parse(&bundle.envelope.payload) {
        Ok(signed) => signed,
        Err(problem) => return Ok(verdict.becomes(Outcome::Unreadable, problem)),
    };
    let by_content = depth == Depth::Content;
    match signed.compare(&workspace.store, artifact, &Digest::of(content), by_content, progress)? {
        Comparison::Same => Ok(verdict),
        Comparison::Differs(problem) => Ok(verdict.becomes(Outcome::Mismatch, problem)),
        Comparison::NotHere => {
            Ok(verdict.becomes(Outcome::NotHere, format!("artifact {artifact} is not in this store")))
        }
    }
}

/// Who made the signatures of an envelope with an elliptic-curve key. `hint` is what the file calls the key.
pub(super) fn by_curve_key(trust: &Trust, envelope: &Envelope, hint: Option<&str>) -> Verdict {
    let message = pre_authentication(&envelope.payload);
    for trusted in &trust.keys {
        let is_by = envelope.signatures.iter().any(|signature| trusted.key.verifies(&message, &signature.bytes));
        if !is_by {
            continue;
        }
        let (signer, key) = (Some(trusted.name.clone()), Some(trusted.key.words()));
        let named = Verdict { signer, key, ..Verdict::new(Outcome::Good, String::new()) };
        return match hint {
            Some(hint) if hint != trusted.key.hint() => {
                named.becomes(Outcome::Bad, "it names another key than its own")
            }
            _ => named,
        };
    }
    let claimed = trust.keys.iter().find(|trusted| hint == Some(trusted.key.hint().as_str()));
    if let Some(claimed) = claimed {
        let detail = format!("it is not what the key of {} signed", claimed.name);
        return Verdict { key: Some(claimed.key.words()), ..Verdict::new(Outcome::Bad, detail) };
    }
    let is_digest = |hint: &&str| hint.len() == 64 && hint.bytes().all(|byte| byte.is_ascii_hexdigit());
    let key = hint.filter(is_digest).map(|hint| format!("ecdsa {}", &hint[..16]));
    let detail = match trust.keys.is_empty() {
        true => "git's configuration names no trusted keys (ml.trustedKeys)",
        false => "no key that ml.trustedKeys of git's configuration names made it",
    };
    Verdict { key, ..Verdict::new(Outcome::UnknownSigner, detail) }
}

/// Who made an SSH signature of a message, which was made at `time` where that is known.
pub(super) fn by_ssh(
    trust: &Trust,
    message: &[u8],
    armour: &str,
    time: Option<Timestamp>,
) -> Result<Verdict, SignError> {
    let signature = match SshSig::parse(armour) {
        Ok(signature) => signature,
        Err(problem) => return Ok(Verdict::new(Outcome::Unreadable, problem)),
    };
    let verdict = Verdict {
        key: Some(signature.key_words()),
        signed: time,
        ..Verdict::new(
            Outcome::UnknownSigner,
            "gpg.ssh.allowedSignersFile of git's configuration does not have its key",
        )
    };
    if signature.namespace != SSH_NAMESPACE {
        let other = signature.namespace.escape_debug();
        return Ok(verdict.becomes(Outcome::Bad, format!("it was made for `{other}`, not for `{SSH_NAMESPACE}`")));
    }
    let Some((allowed, text)) = &trust.allowed else {
        let verdict = Verdict { detail: NO_ALLOWED.to_owned(), ..verdict };
        return judge_alone(trust, message, armour, verdict);
    };
    let lines = allowed_lines(text, &base64_of(&signature.key));
    let moment = time.map(|time| time.strftime("%Y%m%d%H%M%SZ").to_string());
    let revoked = trust.revoked.as_deref();
    let question = |principal| Question { allowed, revoked, principal, time: moment.as_deref() };
    let mut principals: Vec<String> = lines.iter().flat_map(patterns).collect();
    if principals.is_empty() && signature.key_words().contains("-cert-v01@openssh.com") {
        principals = ssh::find_principals(&trust.program, &question(""), armour)?;
    }
    principals.dedup();
    principals.truncate(MAX_PRINCIPALS);
    for principal in &principals {
        if ssh::is_from(&trust.program, &question(principal), message, armour)? {
            let verdict = Verdict { signer: Some(super::statement::one_line(principal)), ..verdict };
            return Ok(verdict.becomes(Outcome::Good, ""));
        }
    }
    let verdict = judge_alone(trust, message, armour, verdict)?;
    if verdict.outcome == Outcome::Bad {
        return Ok(verdict);
    }
    for principal in principals.iter().filter(|_| revoked.is_some()) {
        let without = Question { revoked: None, ..question(principal) };
        if ssh::is_from(&trust.program, &without, message, armour)? {
            let file = "gpg.ssh.revocationFile of git's configuration has its key";
            return Ok(verdict.becomes(Outcome::Revoked, file));
        }
    }
    Ok(explain(verdict, &lines, moment.as_deref().unwrap_or_default()))
}

/// Whether a signature is right in itself.
fn judge_alone(trust: &Trust, message: &[u8], armour: &str, verdict: Verdict) -> Result<Verdict, SignError> {
    match ssh::is_by_its_key(&trust.program, message, armour)? {
        true => Ok(verdict),
        false => Ok(verdict.becomes(Outcome::Bad, "it is not what its key signed")),
    }
}

/// Why a key that stands among the allowed signers does not count at a moment, in digits.
fn explain(verdict: Verdict, lines: &[AllowedLine], moment: &str) -> Verdict {
    // Times without a zone are local ones; a day more or less does not matter to which of both it is.
    let as_moment = |digits: &str| format!("{:0<14}", digits.trim_end_matches('Z'));
    let moment = as_moment(moment);
    for line in lines {
        if let Some(end) = &line.valid_before
            && moment >= as_moment(end)
        {
            let detail = format!("its key was trusted until {}", end.escape_debug());
            return verdict.becomes(Outcome::Expired, detail);
        }
        if let Some(start) = &line.valid_after
            && moment < as_moment(start)
        {
            let detail = format!("its key is trusted from {} on", start.escape_debug());
            return verdict.becomes(Outcome::NotYetValid, detail);
        }
    }
    match lines.iter().find_map(|line| line.namespaces.as_deref()) {
        Some(namespaces) => {
            let detail = format!("its key is trusted for `{}`, not for `{SSH_NAMESPACE}`", namespaces.escape_debug());
            verdict.becomes(Outcome::UnknownSigner, detail)
        }
        None => verdict,
    }
}

/// The patterns of who may sign in a line; what is excluded there is none.
fn patterns(line: &AllowedLine) -> Vec<String> {
    line.principals
        .split(',')
        .filter(|pattern| !pattern.is_empty() && !pattern.starts_with('!'))
        .map(str::to_owned)
        .collect()
}

fn base64_of(key: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(key)
}
