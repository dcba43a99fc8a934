//! `git ml attest`

use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::json;

use crate::sign::{Depth, Trust, attest, check};
use crate::track::Workspace;
use crate::words::printable;

use super::output::{Bar, print_json, print_line};
use super::sign::{json_of, kept, signer, trust_hint, write};
use super::{Context, Failure, runs};

/// Sign how a run's outputs were made: code, data, parameters, environment
///
/// This makes SLSA provenance 1 as an in-toto statement and a DSSE envelope, about the outputs of the run and each of
/// their files, and keeps it in git. The key is chosen as by `git ml sign`.
#[derive(Debug, clap::Args)]
#[command(after_help = "docs/signing.md has what others type to check an attestation without git ml.")]
pub(crate) struct Args {
    /// The run: its id, the start of it, its name, or @
    #[arg(value_name = "RUN")]
    run: String,
    /// Sign with the key in this file: an SSH key, or a P-256 or P-384 key in PEM
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    key: Option<PathBuf>,
    /// Write the attestation to a file too
    #[arg(short, long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    output: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    let repository = &workspace.repository;
    let store = runs::open(context, &workspace)?;
    let run = runs::find(&workspace, &store, &args.run)?;
    let signer = signer(context, repository, args.key.as_deref())?;
    let source = source(&workspace)?;
    let (now, bar) = (Timestamp::now(), Bar::new(context));
    let (place, is_new) = attest(&workspace, &signer, &run, source.as_deref(), now, &bar)?;
    let signature = kept(repository, &place)?;
    if let Some(output) = &args.output {
        write(&workspace, &signature, &context.folder.join(output))?;
    }
    let verdict = check(&workspace, &Trust::of(repository)?, &signature, Depth::Names, now, &bar)?;
    if args.json {
        let mut document = json_of(&place, &verdict);
        document["run"] = json!(run.id);
        document["new"] = json!(is_new);
        return print_json(&document);
    }
    let with = verdict.key.as_deref().map(|key| format!(" with {key}")).unwrap_or_default();
    let words = if is_new { "attested" } else { "already attested" };
    context.say(&printable(&format!("{words} {}{with}", run.name)));
    if !verdict.is_good() {
        context.warn(&format!("it does not count here yet: {}", printable(&verdict.detail)));
        context.say(&format!("hint: {}", trust_hint(signer.is_ssh())));
    }
    print_line(&place.digest.to_string())
}

/// Where others find the code: the URL of `origin`, or of the only remote.
pub(super) fn source(workspace: &Workspace) -> Result<Option<String>, Failure> {
    let remotes = workspace.repository.remotes()?;
    let remote = remotes.iter().find(|name| *name == "origin").or(match remotes.as_slice() {
        [only] => Some(only),
        _ => None,
    });
    Ok(remote.map(|remote| workspace.repository.remote_url(remote)).transpose()?)
}
