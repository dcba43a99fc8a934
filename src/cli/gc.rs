//! `git ml gc`

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde::Serialize;

use crate::id::ArtifactId;
use crate::remote::RemoteOptions;
use crate::store::{Fate, PrunePlan};
use crate::track::Workspace;
use crate::upkeep::{CollectOptions, Collected, Collection, Unreachable, collect_remote};
use crate::words::{count, size};

use super::output::{Align, Bar, Table, print_json, print_line};
use super::transfer::choose;
use super::{Context, Failure};

/// How much of a pack on a remote has to be unused before what is in use moves out of it: it has to travel twice.
const REWRITE_FROM: f64 = 0.5;
/// How many artifacts that go are listed.
const SHOWN: usize = 20;

/// Give back the room of what nothing names any more
///
/// Everything stays that a branch, tag, stash, reflog, index, work tree, run or version names. The rest goes once the
/// grace period is over: after it was stored, and after it was first seen unused.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  git ml gc --dry-run     what would go, and when\n  git ml gc --grace now   what goes without a grace period: only while nothing else is at work"
)]
pub(crate) struct Args {
    /// Only say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// How long to keep what nothing names: 14d, 12h, now
    #[arg(long, value_name = "TIME", default_value = "14d", value_parser = parse_duration)]
    grace: Duration,
    /// How much unused room to leave rather than write packs anew, of what is used: 10%
    #[arg(long, value_name = "SHARE", default_value = "10%", value_parser = parse_share)]
    max_unused: f64,
    /// Collect on this remote instead, in two calls: the first marks what goes, one after the grace period removes it
    #[arg(long, value_name = "REMOTE")]
    remote: Option<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// What `git ml gc --json` prints.
#[derive(Debug, Serialize)]
struct Document {
    dry_run: bool,
    grace_s: u64,
    artifacts: Artifacts,
    packs: Packs,
    bytes: Bytes,
    litter: Litter,
    next: Option<String>,
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Artifacts {
    reachable: usize,
    present: usize,
    unreachable: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    id: ArtifactId,
    files: u64,
    bytes: u64,
    first: String,
}

#[derive(Debug, Serialize)]
struct Packs {
    total: usize,
    removed: usize,
    rewritten: usize,
    written: usize,
    damaged: usize,
}

#[derive(Debug, Serialize)]
struct Bytes {
    total: u64,
    used: u64,
    waiting: u64,
    freed: u64,
}

#[derive(Debug, Serialize)]
struct Litter {
    files: usize,
    bytes: u64,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let workspace = context.workspace()?;
    let bar = Bar::new(context);
    if let Some(name) = &args.remote {
        return collect_there(context, args, &workspace, name);
    }
    let options = CollectOptions { now: SystemTime::now(), grace: args.grace, max_unused: args.max_unused };
    let collection = Collection::plan(&workspace, options, &bar)?;
    let unreachable = collection.unreachable()?;
    let plan = collection.plan.clone();
    let warnings = warnings(&collection);
    let mut document = Document {
        dry_run: args.dry_run,
        grace_s: args.grace.as_secs(),
        artifacts: Artifacts {
            reachable: collection.reach().artifacts().len(),
            present: collection.present,
            unreachable: unreachable.iter().map(row).collect(),
        },
        packs: Packs {
            total: plan.packs.len(),
            removed: plan.with_fate(Fate::Remove).count(),
            rewritten: plan.with_fate(Fate::Rewrite).count(),
            written: 0,
            damaged: plan.with_fate(Fate::Damaged).count(),
        },
        bytes: Bytes {
            total: plan.sum(|pack| pack.bytes),
            used: plan.sum(|pack| pack.used),
            waiting: plan.sum(|pack| pack.waiting),
            freed: plan.freed(),
        },
        litter: Litter {
            files: collection.litter.len(),
            bytes: collection.litter.iter().map(|(_, bytes)| bytes).sum(),
        },
        next: plan.next.and_then(|next| Timestamp::try_from(next).ok()).map(|next| next.to_string()),
        warnings: warnings.clone(),
    };
    if !args.json {
        warnings.iter().for_each(|words| context.warn(words));
        say_plan(context, &document, &unreachable, &plan)?;
    }
    if !args.dry_run {
        let collected = collection.carry_out(&bar)?;
        document.bytes.freed = collected.freed();
        document.packs.written = collected.written;
        document.packs.removed = collected.removed.packs.saturating_sub(document.packs.rewritten);
        document.litter = Litter { files: collected.litter, bytes: collected.litter_bytes };
        if !args.json {
            say_outcome(context, &collected)?;
        }
    }
    if args.json { print_json(&document) } else { Ok(()) }
}

/// What `git ml gc --remote NAME --json` prints.
#[derive(Debug, Serialize)]
struct RemoteDocument<'a> {
    dry_run: bool,
    grace_s: u64,
    remote: &'a str,
    packs: usize,
    bytes: u64,
    used: u64,
    marked: Amount,
    waiting: Amount,
    rewritten: Amount,
    removed: Amount,
    revived: usize,
    lost: usize,
    artifacts_not_whole: usize,
}

#[derive(Debug, Serialize)]
struct Amount {
    packs: usize,
    bytes: u64,
}

impl From<(usize, u64)> for Amount {
    fn from((packs, bytes): (usize, u64)) -> Self {
        Self { packs, bytes }
    }
}

fn collect_there(context: &Context, args: &Args, workspace: &Workspace, name: &str) -> Result<(), Failure> {
    let remote = choose(workspace, Some(name))?.open(workspace, &context.environment())?;
    let options = RemoteOptions { grace: args.grace, rewrite_from: REWRITE_FROM, dry_run: args.dry_run };
    let done = collect_remote(workspace, &remote, &options, &Bar::new(context))?;
    if args.json {
        return print_json(&RemoteDocument {
            dry_run: args.dry_run,
            grace_s: args.grace.as_secs(),
            remote: name,
            packs: done.packs.0,
            bytes: done.packs.1,
            used: done.used,
            marked: done.marked.into(),
            waiting: done.waiting.into(),
            rewritten: done.rewritten.into(),
            removed: done.removed.into(),
            revived: done.revived,
            lost: done.lost,
            artifacts_not_whole: done.not_whole,
        });
    }
    let would = if args.dry_run { "would be " } else { "" };
    let packs = |(number, bytes): (usize, u64)| format!("{}, {}", count(number as u64, "pack"), size(bytes));
    print_line(&format!("{name}: {}, of which {} is in use", packs(done.packs), size(done.used)))?;
    let parts = [
        ("removed", done.removed),
        ("marked, to be removed by a call after the grace period", done.marked),
        ("in use and moved out of packs that are little used", done.rewritten),
        ("marked before, and within its grace period", done.waiting),
    ];
    for (what, amount) in parts.into_iter().filter(|(_, amount)| amount.0 > 0) {
        print_line(&format!("{would}{what}: {}", packs(amount)))?;
    }
    if done.not_whole > 0 {
        let artifacts = count(done.not_whole as u64, "artifact");
        context.say_more(&format!("{artifacts} that something names: not there, or not whole"));
    }
    if done.lost > 0 {
        let lost = count(done.lost as u64, "pack");
        context.warn(&format!("{lost} that an index names was not there: `git ml push` sends again what it had"));
    }
    Ok(())
}

fn row(artifact: &Unreachable) -> Row {
    let Unreachable { id, files, bytes, first } = artifact.clone();
    Row { id, files, bytes, first }
}

fn warnings(collection: &Collection<'_>) -> Vec<String> {
    let mut warnings: Vec<String> = collection
        .reach()
        .malformed()
        .iter()
        .map(|bad| format!("{}: {}; every id in it counts", bad.place, bad.problem))
        .collect();
    let damaged = collection.plan.with_fate(Fate::Damaged).count();
    if damaged > 0 {
        let packs = count(damaged as u64, "pack");
        warnings.push(format!(
            "nothing goes while there is a damaged pack ({packs}): `git ml fsck --deep --repair` keeps what is good"
        ));
    }
    if let Some(behind) = collection.plan.clock_behind {
        warnings.push(format!(
            "this machine's clock is {} behind the newest pack or the last collection: nothing goes until it is right",
            words_of(behind)
        ));
    }
    warnings
}

fn say_plan(
    context: &Context,
    document: &Document,
    unreachable: &[Unreachable],
    plan: &PrunePlan,
) -> Result<(), Failure> {
    let used = size(document.bytes.used);
    print_line(&format!("in use: {used} of {}", count(document.artifacts.present as u64, "artifact")))?;
    if !unreachable.is_empty() {
        print_line(&format!("nothing names {}:", count(unreachable.len() as u64, "artifact")))?;
        let columns = ["ARTIFACT", "FILES", "SIZE", "FIRST FILE"];
        let aligns = [Align::Left, Align::Right, Align::Right, Align::Left];
        let mut table = Table::new(columns.into_iter().zip(aligns));
        for Unreachable { id, files, bytes, first } in unreachable.iter().take(SHOWN) {
            table.row(vec![id.short(), files.to_string(), size(*bytes), first.clone()]);
        }
        print_line(&table.render(context.colour))?;
        if let Some(more) = unreachable.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            print_line(&format!("… and {more} more"))?;
        }
    }
    if document.dry_run {
        let (removed, rewritten) = (document.packs.removed, document.packs.rewritten);
        let mut parts = Vec::new();
        if removed > 0 {
            parts.push(format!("remove {}", count(removed as u64, "pack")));
        }
        if rewritten > 0 {
            parts.push(format!("write what is in use of {} anew", count(rewritten as u64, "pack")));
        }
        if document.litter.files > 0 {
            parts.push(format!("remove {} of killed commands", count(document.litter.files as u64, "leftover")));
        }
        let freed = size(plan.freed() + document.litter.bytes);
        print_line(&match parts.is_empty() {
            true => "nothing would be given back now".to_owned(),
            false => format!("would {}, which gives back {freed}", parts.join(" and ")),
        })?;
    }
    if document.bytes.waiting > 0 {
        let until = document.next.as_deref().and_then(|next| next.split('T').next()).unwrap_or("later");
        let waiting = size(document.bytes.waiting);
        print_line(&format!("{waiting} more is not in use and within its grace period: the first of it ends {until}"))?;
    }
    Ok(())
}

fn say_outcome(context: &Context, collected: &Collected) -> Result<(), Failure> {
    if collected.was_busy {
        context.warn("others kept writing to the store, so old packs stay until the next `git ml gc`");
    }
    if collected.removed.kept > 0 {
        let packs = count(collected.removed.kept as u64, "pack");
        context
            .warn(&format!("{packs} stays, since something was needed after all: `git ml fsck --deep` looks closer"));
    }
    let packs = count(collected.removed.packs as u64, "pack");
    print_line(&match (collected.removed.packs, collected.litter) {
        (0, 0) => "nothing to give back now".to_owned(),
        _ => format!("gave back {}: {packs} removed, {} written", size(collected.freed()), collected.written),
    })
}

/// A time in its largest whole unit.
fn words_of(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        172_800.. => count(seconds / 86_400, "day"),
        7200.. => count(seconds / 3600, "hour"),
        120.. => count(seconds / 60, "minute"),
        _ => count(seconds, "second"),
    }
}

/// `14d`, `2w`, `12h`, `30m`, `90s`, `now`.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let fail = || "give a number and a unit: 14d, 2w, 12h, 30m, 90s; or now".to_owned();
    if matches!(text, "now" | "0") {
        return Ok(Duration::ZERO);
    }
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(fail)?;
    let unit = match unit {
        "w" => 7 * 86_400,
        "d" => 86_400,
        "h" => 3600,
        "m" => 60,
        "s" => 1,
        _ => return Err(fail()),
    };
    number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)).map(Duration::from_secs).ok_or_else(fail)
}

/// `10%` or `0.1`.
fn parse_share(text: &str) -> Result<f64, String> {
    let (number, whole) = text.strip_suffix('%').map_or((text, 1.0), |number| (number, 100.0));
    let share = number.parse::<f64>().ok().map(|number| number / whole);
    share.filter(|share| share.is_finite() && *share >= 0.0).ok_or_else(|| "give a share: 10% or 0.1".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_shares_are_read() {
        assert_eq!(parse_duration("14d"), Ok(Duration::from_secs(14 * 86_400)));
        assert_eq!(parse_duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("now"), Ok(Duration::ZERO));
        for bad in ["", "d", "14", "-1d", "1é", "99999999999999999999w"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
        assert_eq!((parse_share("10%"), parse_share("0.5")), (Ok(0.1), Ok(0.5)));
        for bad in ["", "%", "-1%", "nan", "inf"] {
            assert!(parse_share(bad).is_err(), "{bad}");
        }
    }
}
