//! `git ml fsck`

use serde::Serialize;

use crate::id::PackId;
use crate::run::Runs;
use crate::store::Salvaged;
use crate::verify::{Code, Finding, Scope, Severity, verify};
use crate::words::count;

use super::output::{Bar, print_json, print_line};
use super::verify::print_findings;
use super::{Context, Failure};

/// Check the store and mend what can be mended
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit code 3 says that damage remains. `git ml verify` checks runs and the registry too.")]
pub(crate) struct Args {
    /// Read every byte, not only the store's index
    #[arg(long)]
    deep: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What `git ml fsck --json` prints.
#[derive(Debug, Serialize)]
struct Outcome {
    ok: bool,
    mended: Vec<String>,
    findings: Vec<Finding>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    let mut mended = Vec::new();
    let leftovers = workspace.store.remove_leftovers()?;
    if leftovers > 0 {
        mended.push(format!("removed {} of commands that were killed", count(leftovers as u64, "leftover")));
    }
    if args.deep {
        for pack in workspace.store.packs()? {
            mended.extend(workspace.store.salvage_pack(&pack.id)?.map(|salvaged| describe(&pack.id, &salvaged)));
        }
    }
    workspace.store.rebuild_index()?;
    mended.push("made the index again from the packs".to_owned());
    let (recovered, unrecovered) = Runs::new(&workspace).recover()?;
    for error in unrecovered {
        context.warn(&format!("a run cannot be recorded yet: {error}"));
    }
    for run in recovered {
        mended.push(format!("recorded run {}, whose parent died, as {}", run.name, run.status.as_str()));
    }
    let report = verify(&workspace, &Scope::All, args.deep, &Bar::new(context))?;
    let mut findings = report.findings;
    findings.retain(|finding| is_about_the_store(finding.code));
    let ok = findings.iter().all(|finding| finding.severity != Severity::Error);
    if args.json {
        print_json(&Outcome { ok, mended, findings })?;
    } else {
        for words in &mended {
            context.say(words);
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
        | Code::MalformedManifest
        | Code::DamagedChunk
        | Code::DamagedPack
        | Code::UnreadableContent => true,
        Code::UnreadablePointer
        | Code::PointerMismatch
        | Code::MalformedRun
        | Code::MissingSnapshot
        | Code::UnanchoredSnapshot
        | Code::RecordMismatch
        | Code::UnreadableSeries
        | Code::UnreadableLog
        | Code::MalformedRegistry
        | Code::VersionGap
        | Code::ChangedVersion
        | Code::DanglingAlias
        | Code::VersionNotRunOutput
        | Code::MissingRun
        | Code::MissingCommit
        | Code::UnreadableRef => false,
    }
}
