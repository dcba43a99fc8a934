//! `git ml sign`

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::files::{self, Durability};
use crate::git::Repository;
use crate::registry::{Registry, Resolved};
use crate::sign::{
    Depth, Form, Ledger, Outcome, Place, STATEMENT_SUFFIX, SignError, Signature, Signer, Statement, Subject, Target,
    Trust, Verdict, attach, check, check_content, read_signature, sign_model, sign_statement,
};
use crate::track::Workspace;
use crate::words::printable;

use super::output::{Align, Bar, Table, print_json, print_line};
use super::{Context, Failure};

/// Sign a dataset or model, or say who signed it
///
/// Without a key this signs with the SSH key that git signs commits with (gpg.format, user.signingkey), and
/// `ssh-keygen -Y verify` confirms what was made. With an elliptic-curve key in PEM it makes a signature of OpenSSF Model
/// Signing, which `model_signing verify key` confirms. Signatures are kept in git and travel with `git ml push`.
#[derive(Debug, clap::Args)]
#[command(after_help = "docs/signing.md has what others type to check a signature without git ml.")]
pub(crate) struct Args {
    /// A tracked path, NAME@v3, NAME@ALIAS, run:RUN or run:RUN:OUTPUT
    #[arg(value_name = "TARGET")]
    target: String,
    /// Sign with the key in this file: an SSH key, or a P-256 or P-384 key in PEM
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    key: Option<PathBuf>,
    /// Write the signature to a file too, for whoever checks it without git ml
    ///
    /// An SSH signature gets two files beside it: FILE.statement, which is what was signed, and FILE.manifest, the list of
    /// the artifact's files, whose BLAKE3 the statement names.
    #[arg(short, long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    output: Option<PathBuf>,
    /// Keep a signature that was made elsewhere, such as with model_signing, instead of making one
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath, conflicts_with = "key")]
    attach: Option<PathBuf>,
    /// Check a signature in a file against the target, instead of signing; exit code 3 where it does not count
    ///
    /// Such as one that model_signing made. With an SSH signature its statement has to stand beside it, in
    /// FILE.statement.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath,
          conflicts_with_all = ["key", "output", "attach"])]
    check: Option<PathBuf>,
    /// Say who signed it, and whether you trust them, instead of signing
    #[arg(long, conflicts_with_all = ["key", "output", "attach", "check"])]
    list: bool,
    /// With --list or --check: hash all files again, also where a signature names the artifact
    #[arg(long, conflicts_with_all = ["key", "output", "attach"])]
    deep: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    let resolved = Registry::new(&workspace).resolve(&context.folder, &args.target)?;
    if args.list {
        return list(context, args, &workspace, &resolved);
    }
    if let Some(file) = &args.check {
        return check_file(context, args, &workspace, &resolved, &context.folder.join(file));
    }
    let target = Target {
        id: resolved.id,
        name: &resolved.name,
        artifact_type: &resolved.artifact_type,
        label: &resolved.target,
    };
    let bar = Bar::new(context);
    let (place, is_new) = match &args.attach {
        Some(file) => attach(&workspace, &target, &context.folder.join(file), &bar)?,
        None => {
            let signer = signer(context, &workspace.repository, args.key.as_deref())?;
            match signer.is_ssh() {
                true => sign_statement(&workspace, &signer, &target, Timestamp::now())?,
                false => sign_model(&workspace, &signer, &target, &bar)?,
            }
        }
    };
    let signature = kept(&workspace.repository, &place)?;
    if let Some(output) = &args.output {
        write(&workspace, &signature, &context.folder.join(output))?;
    }
    let trust = Trust::of(&workspace.repository)?;
    let verdict = check(&workspace, &trust, &signature, Depth::Names, Timestamp::now(), &bar)?;
    if args.json {
        let mut document = json_of(&place, &verdict);
        document["target"] = json!(args.target);
        document["new"] = json!(is_new);
        return print_json(&document);
    }
    let with = verdict.key.as_deref().map(|key| format!(" with {key}")).unwrap_or_default();
    let words = if is_new { "signed" } else { "already signed" };
    context.say(&printable(&format!("{words} {}{with}", args.target)));
    if !verdict.is_good() {
        context.warn(&format!("it does not count here yet: {}", printable(&verdict.detail)));
        context.say(&format!("hint: {}", trust_hint(place.form == Form::Ssh)));
    }
    print_line(&place.digest.to_string())
}

/// The key to sign with.
pub(super) fn signer(context: &Context, repository: &Repository, key: Option<&Path>) -> Result<Signer, Failure> {
    let path = key.map(|key| context.folder.join(key));
    Ok(Signer::find(repository, path.as_deref())?)
}

/// How to trust whoever signed.
pub(super) fn trust_hint(is_ssh: bool) -> &'static str {
    match is_ssh {
        true => {
            "`git config gpg.ssh.allowedSignersFile FILE`, with a line `ADDRESS namespaces=\"git-ml\" KEY` for each signer"
        }
        false => "`git config ml.trustedKeys FILE`, with the public keys in PEM",
    }
}

/// What is kept at a place.
pub(super) fn kept(repository: &Repository, place: &Place) -> Result<Signature, Failure> {
    let ledger = Ledger::open(repository).map_err(SignError::from)?;
    let all = ledger.of(&place.subject).map_err(SignError::from)?;
    all.into_iter().find(|signature| signature.place == *place).ok_or_else(|| Failure::User {
        message: "the signature was removed while it was made".to_owned(),
        hint: "run it again".to_owned(),
    })
}

/// Writes a signature as the tools of others read it.
pub(super) fn write(workspace: &Workspace, signature: &Signature, place: &Path) -> Result<(), Failure> {
    let content = signature.content(&workspace.repository).map_err(SignError::from)?;
    let unreadable = |problem| Failure::from(SignError::NoSignature { path: place.to_path_buf(), problem });
    let content = content.map_err(unreadable)?;
    if signature.place.form != Form::Ssh {
        return Ok(files::publish(place, &content, Durability::Buffered)?);
    }
    let (statement, armour) = Statement::split(&content).map_err(unreadable)?;
    let beside = |suffix: &str| PathBuf::from(format!("{}.{suffix}", place.display()));
    files::publish(&beside(STATEMENT_SUFFIX), statement.as_bytes(), Durability::Buffered)?;
    if let Subject::Artifact(id) = signature.place.subject {
        let manifest = workspace.store.manifest(&id)?;
        files::publish(&beside("manifest"), &manifest.to_bytes(), Durability::Buffered)?;
    }
    Ok(files::publish(place, armour.as_bytes(), Durability::Buffered)?)
}

/// Checks a signature that is in a file.
fn check_file(
    context: &Context,
    args: &Args,
    workspace: &Workspace,
    resolved: &Resolved,
    file: &Path,
) -> Result<(), Failure> {
    let (form, content) = read_signature(file)?;
    let place = Place::of(Subject::Artifact(resolved.id), form, &content);
    let trust = Trust::of(&workspace.repository)?;
    let depth = if args.deep { Depth::Content } else { Depth::Names };
    let (now, bar) = (Timestamp::now(), Bar::new(context));
    let verdict = check_content(workspace, &trust, (&place.subject, form), &content, depth, now, &bar)?;
    if args.json {
        print_json(&json_of(&place, &verdict))?;
    } else {
        let by = verdict.signer.as_deref().map(|signer| format!(" by {signer}")).unwrap_or_default();
        let detail = if verdict.detail.is_empty() { String::new() } else { format!(": {}", verdict.detail) };
        let target = &args.target;
        print_line(&printable(&format!("{}: the signature of {target}{by}{detail}", verdict.outcome.as_str())))?;
    }
    if verdict.is_good() { Ok(()) } else { Err(Failure::Verification) }
}

/// The signatures of an artifact, and the attestations of the run that made it, where that is known.
pub(super) fn signatures(workspace: &Workspace, resolved: &Resolved) -> Result<Vec<Signature>, Failure> {
    let ledger = Ledger::open(&workspace.repository).map_err(SignError::from)?;
    let mut signatures = ledger.of(&Subject::Artifact(resolved.id)).map_err(SignError::from)?;
    if let Some(run) = resolved.run {
        signatures.extend(ledger.of(&Subject::Run(run)).map_err(SignError::from)?);
    }
    Ok(signatures)
}

fn list(context: &Context, args: &Args, workspace: &Workspace, resolved: &Resolved) -> Result<(), Failure> {
    let signatures = signatures(workspace, resolved)?;
    let trust = Trust::of(&workspace.repository)?;
    let depth = if args.deep { Depth::Content } else { Depth::Names };
    let (now, bar) = (Timestamp::now(), Bar::new(context));
    let checked = signatures.into_iter().map(|signature| {
        let verdict = check(workspace, &trust, &signature, depth, now, &bar)?;
        Ok((signature.place, verdict))
    });
    let checked = checked.collect::<Result<Vec<_>, SignError>>()?;
    if args.json {
        return print_json(&checked.iter().map(|(place, verdict)| json_of(place, verdict)).collect::<Vec<_>>());
    }
    if checked.is_empty() {
        context.say(&format!("nobody signed {}", printable(&args.target)));
        return Ok(());
    }
    let mut table = Table::new(["outcome", "form", "by", "key", "signed"].map(|name| (name, Align::Left)));
    for (place, verdict) in &checked {
        let Verdict { outcome, signer, key, signed, .. } = verdict;
        table.row(vec![
            outcome.as_str().to_owned(),
            place.form.as_str().to_owned(),
            signer.clone().unwrap_or_default(),
            key.clone().unwrap_or_default(),
            signed.map(|time| time.to_string()).unwrap_or_default(),
        ]);
    }
    print_line(&table.render(context.colour))?;
    for (place, verdict) in checked.iter().filter(|(_, verdict)| verdict.outcome != Outcome::Good) {
        context.warn(&printable(&format!("{}: {}", place.digest.short(), verdict.detail)));
    }
    Ok(())
}

/// A signature as `--json` has it.
pub(super) fn json_of(place: &Place, verdict: &Verdict) -> Value {
    json!({
        "signature": place.digest,
        "subject": place.subject.to_string(),
        "form": place.form.as_str(),
        "outcome": verdict.outcome.as_str(),
        "signer": verdict.signer,
        "key": verdict.key,
        "signed": verdict.signed,
        "detail": if verdict.detail.is_empty() { None } else { Some(&verdict.detail) },
    })
}
