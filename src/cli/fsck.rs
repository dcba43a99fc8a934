//! `git ml fsck`

use serde::Serialize;

use crate::id::{ArtifactId, PackId};
use crate::remote::{Remote, configured};
use crate::run::Runs;
use crate::store::Salvaged;
use crate::track::Workspace;
use crate::upkeep::{Lost, mend};
use crate::verify::{Code, Depth, Finding, Request, Scope, Severity, verify};
use crate::words::{count, printable};

use super::output::{Bar, print_json, print_line};
use super::verify::print_findings;
use super::{Context, Failure};

/// Check the store and mend what can be mended
///
/// Damaged packs keep what is good in them, the index is made again, and what is missing is stored again from the work
/// tree where that has it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit code 3 says that damage remains. `git ml verify` checks runs and the registry too.")]
pub(crate) struct Args {
    /// Read every byte, not only the store's index
    #[arg(long)]
    deep: bool,
    /// Fetch what is missing from the remotes too
    #[arg(long)]
    repair: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What `git ml fsck --json` prints.
#[derive(Debug, Serialize)]
struct Outcome {
    ok: bool,
    mended: Vec<String>,
    lost: Vec<LostRow>,
    findings: Vec<Finding>,
}

/// An artifact that stays lost.
#[derive(Debug, Serialize)]
struct LostRow {
    id: ArtifactId,
    files: Option<u64>,
    first: Vec<String>,
    names: Vec<String>,
    names_count: u64,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    let mut mended = Vec::new();
    let leftovers = workspace.store.remove_leftovers()?;
    if leftovers > 0 {
        mended.push(format!("removed {} of commands that were killed", count(leftovers as u64, "leftover")));
    }
    let (recovered, unrecovered) = Runs::new(&workspace).recover()?;
    for error in unrecovered {
        context.warn(&format!("a run cannot be recorded yet: {error}"));
    }
    for run in recovered {
        mended.push(format!("recorded run {}, whose parent died, as {}", run.name, run.status.as_str()));
    }
    let bar = Bar::new(context);
    let remotes = if args.repair { remotes(context, &workspace)? } else { Vec::new() };
    let outcome = mend(&workspace, args.deep, &remotes, &bar)?;
    mended.extend(outcome.salvaged.iter().map(|(pack, salvaged)| describe(pack, salvaged)));
    mended.push("made the index again from the packs".to_owned());
    if outcome.stored_again > 0 {
        mended.push(format!("stored {} again from the work tree", count(outcome.stored_again as u64, "lost part")));
    }
    for (artifact, remote) in &outcome.fetched {
        mended.push(format!("fetched what was lost of artifact {} from {remote}", artifact.short()));
    }
    let depth = if args.deep { Depth::Everything } else { Depth::Index };
    let report = verify(&workspace, &Request::of(Scope::Checkout, depth), &bar)?;
    let mut findings = report.findings;
    findings.retain(|finding| is_about_the_store(finding.code));
    let ok = outcome.lost.is_empty() && findings.iter().all(|finding| finding.severity != Severity::Error);
    if args.json {
        let lost = outcome.lost.into_iter().map(row).collect();
        print_json(&Outcome { ok, mended, lost, findings })?;
    } else {
        for words in &mended {
            context.say(words);
        }
        for failure in &outcome.failures {
            context.warn(failure);
        }
        for lost in &outcome.lost {
            print_lost(lost, args.repair)?;
        }
        print_findings(context, &findings)?;
        print_line(match (ok, args.deep) {
            (true, true) => "the store is whole",
            (true, false) => "the store is whole by its index; --deep reads every byte",
            (false, _) => "damage remains that cannot be mended here",
        })?;
    }
    if ok { Ok(()) } else { Err(Failure::Verification) }
}

/// Every remote that can be opened.
fn remotes(context: &Context, workspace: &Workspace) -> Result<Vec<Remote>, Failure> {
    let mut opened = Vec::new();
    for remote in configured(workspace)? {
        match remote.open(workspace, &context.environment()) {
            Ok(remote) => opened.push(remote),
            Err(error) => context.warn(&format!("the remote `{}` cannot help: {error}", remote.name)),
        }
    }
    Ok(opened)
}

fn row(lost: Lost) -> LostRow {
    let Lost { id, names, files, first } = lost;
    LostRow { id, files, first, names: names.places, names_count: names.count }
}

/// What is lost of an artifact, who names it, and what to do.
fn print_lost(lost: &Lost, has_asked: bool) -> Result<(), Failure> {
    let what = match (lost.files, lost.first.first()) {
        (Some(files), Some(first)) => format!("{} of it, first {first}", count(files, "file")),
        _ => "the list of its files".to_owned(),
    };
    print_line(&format!("artifact {} is not whole: {what}", lost.id.short()))?;
    for place in &lost.names.places {
        print_line(&format!("  named by {}", printable(place)))?;
    }
    let more = lost.names.count.saturating_sub(lost.names.places.len() as u64);
    if more > 0 {
        print_line(&format!("  and by {more} more"))?;
    }
    print_line(match has_asked {
        true => {
            "  hint: no remote has it: put its files back where they were and `git ml track` them, or copy the packs from a clone"
        }
        false => "  hint: `git ml fsck --repair` asks the remotes for it",
    })
}

/// What was done about a damaged pack, in one line.
fn describe(pack: &PackId, salvaged: &Salvaged) -> String {
    let kept = count(salvaged.kept as u64, "good part");
    match &salvaged.set_aside {
        None => format!("put pack {pack} right"),
        Some(place) => {
            let lost = count(salvaged.lost.len() as u64, "damaged part");
            format!("kept {kept} of pack {pack} and set it aside, with {lost}, as {}", place.display())
        }
    }
}

fn is_about_the_store(code: Code) -> bool {
    match code {
        Code::MissingArtifact
        | Code::MissingInput
        | Code::MissingContent
        | Code::MissingPack
        | Code::MalformedManifest
        | Code::ReservedName
        | Code::DamagedChunk
        | Code::DamagedPack
        | Code::UnreadableContent => true,
        Code::UnreadablePointer
        | Code::ConflictedPointer
        | Code::UnsafePath
        | Code::SwappedPointer
        | Code::PointerMismatch
        | Code::CaseCollision
        | Code::FormCollision
        | Code::RenamedFiles
        | Code::MalformedRun
        | Code::MisplacedRun
        | Code::MissingSnapshot
        | Code::UnanchoredSnapshot
        | Code::InputNotInCommit
        | Code::OutputMismatch
        | Code::RecordMismatch
        | Code::UnreadableSeries
        | Code::UnreadableLog
        | Code::RewrittenRun
        | Code::RemovedRun
        | Code::MalformedRegistry
        | Code::ForeignFile
        | Code::VersionGap
        | Code::ChangedVersion
        | Code::RemovedVersion
        | Code::UnrecordedVersion
        | Code::DanglingAlias
        | Code::MovedAlias
        | Code::EventMismatch
        | Code::VersionNotRunOutput
        | Code::VersionCommitMismatch
        | Code::MissingRun
        | Code::MissingCommit
        | Code::UnreadableSignature
        | Code::BadSignature
        | Code::SignedSubjectDiffers
        | Code::UnknownSigner
        | Code::ExpiredSigner
        | Code::SignerNotValidYet
        | Code::RevokedSigner
        | Code::MissingSignature
        | Code::UnusableTrust
        | Code::RemoteMissing
        | Code::RemoteUnreadable
        | Code::UnreadableRef => false,
    }
}
