//! A repository with as many runs as one likes, for measuring how things grow.
//!
//! `cargo run --release --example synthetic_repo -- [--runs 10000] [--points 1000] FOLDER` makes a git repository with a
//! short history and records that many runs in it, each with ten parameters, ten metrics and that many points, through
//! the library's own way of recording: a commit each. The same numbers make the same runs.
//!
//! `cargo run --release --example synthetic_repo -- --measure FOLDER` measures what asking for runs costs there.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use git_ml::catalog::{Catalog, Search};
use git_ml::files::RelPath;
use git_ml::git::{BulkCommit, Identity, Repository, TreeEdit};
use git_ml::id::{ArtifactId, CommitId, Digest, RunId};
use git_ml::query::{Query, SortKey};
use git_ml::run::{MetricSummary, Point, Run, RunDataset, RunInput, RunOutput, RunStatus, Runs, Series, WholeRun};
use git_ml::track::Workspace;
use jiff::{SignedDuration, Timestamp};

/// Commits of code that the runs ran on.
const COMMITS: usize = 60;
/// Seconds from one run's start to the next one's.
const INTERVAL: i64 = 137;
const METRICS: [&str; 10] = [
    "train_loss",
    "train_accuracy",
    "val_loss",
    "val_accuracy",
    "test_loss",
    "test_accuracy",
    "learning_rate",
    "grad_norm",
    "throughput",
    "system.cpu_percent",
];

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> Outcome {
    let (mut runs, mut points, mut folder, mut measures) = (10_000, 1000, None, false);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || words.next().and_then(|word| word.parse().ok()).ok_or(USE);
        match word.as_str() {
            "--runs" => runs = number()?,
            "--points" => points = number()?,
            "--measure" => measures = true,
            _ if word.starts_with('-') || folder.is_some() => return Err(USE.into()),
            _ => folder = Some(word),
        }
    }
    let folder = folder.ok_or(USE)?;
    if measures { measure(Path::new(&folder)) } else { make(Path::new(&folder), runs, points) }
}

const USE: &str = "use: synthetic_repo [--runs N] [--points N] FOLDER, or synthetic_repo --measure FOLDER";

/// Says what it costs to ask which runs there are.
fn measure(folder: &Path) -> Outcome {
    const ROUNDS: usize = 21;
    let workspace = Workspace::discover(folder)?;
    let runs = Runs::new(&workspace);
    let mut lines = Vec::new();
    let mut told = |what: &str, seconds: f64| lines.push(format!("| {what} | {:.2} ms |", seconds * 1000.0));
    // The time of one call, and the median of many.
    let once = |call: &mut dyn FnMut() -> Outcome| -> Outcome<f64> {
        let started = Instant::now();
        call()?;
        Ok(started.elapsed().as_secs_f64())
    };
    let often = |call: &mut dyn FnMut() -> Outcome| -> Outcome<f64> {
        let mut times = (0..ROUNDS).map(|_| once(call)).collect::<Outcome<Vec<f64>>>()?;
        times.sort_by(f64::total_cmp);
        Ok(times[ROUNDS / 2])
    };
    let query = Query::parse("metrics.val_accuracy > 0.6 and params.optimizer = 'adam'")?;
    let sort = [SortKey::parse("-metrics.val_accuracy")?];
    let search = Search { query: Some(&query), sort: &sort, limit: Some(100), ..Search::default() };
    let newest = runs.list()?.0.into_iter().next().ok_or("there are no runs")?;

    for suffix in ["", "-wal", "-shm"] {
        git_ml::files::remove_file(&workspace.store.root().join(format!("runs.db{suffix}")))?;
    }
    told("all records parsed", once(&mut || Ok(runs.list().map(drop)?))?);
    told(
        "a search, the catalog made first",
        once(&mut || Ok(Catalog::open(&workspace).search(&runs, &search).map(drop)?))?,
    );
    told("a search in a new process", often(&mut || Ok(Catalog::open(&workspace).search(&runs, &search).map(drop)?))?);
    let catalog = Catalog::open(&workspace);
    told("a search in a process that goes on", often(&mut || Ok(catalog.search(&runs, &search).map(drop)?))?);
    told("the run of a name", often(&mut || Ok(catalog.find(&runs, &newest.name).map(drop)?))?);
    let mut number = 0;
    let mut after_a_change = || {
        number += 1;
        runs.set_note(&newest, &format!("note {number}"))?;
        Ok(())
    };
    let change = once(&mut after_a_change)?;
    let update = once(&mut || Ok(catalog.refresh(&runs)?))?;
    runs.set_note(&newest, "")?;
    told("recording a change of a run", change);
    told("taking that change in", update);
    Ok(writeln!(std::io::stdout().lock(), "{}", lines.join("\n"))?)
}

fn make(folder: &Path, runs: u64, points: u64) -> Outcome {
    let started = Instant::now();
    git_ml::files::create_dir_all(folder)?;
    Repository::init(folder)?;
    let workspace = Workspace::discover(folder)?;
    let author = Identity { name: "Ada".to_owned(), email: "ada@example.org".to_owned() };
    let commits = history(&workspace.repository, &author)?;
    let all = (0..runs).map(|number| whole_run(number, runs, points, &commits));
    let recorded = Runs::new(&workspace).record_all(all, &author)?;
    let words = format!("{recorded} runs with {points} points each in {:.1} s\n", started.elapsed().as_secs_f64());
    Ok(std::io::stdout().lock().write_all(words.as_bytes())?)
}

/// Some commits of code, oldest first.
fn history(repository: &Repository, author: &Identity) -> Outcome<Vec<CommitId>> {
    let branch = "refs/heads/main";
    if repository.read_ref(branch)?.is_none() {
        let edit = |path: &str, text: String| TreeEdit { path: path.to_owned(), content: Some(text.into_bytes()) };
        let commits: Vec<BulkCommit> = (0..COMMITS)
            .map(|number| BulkCommit {
                edits: vec![edit("train.py", format!("print({number})\n")), edit("ml.toml", String::new())],
                message: format!("Try idea {number}\n"),
                extra_parents: Vec::new(),
            })
            .collect();
        repository.commit_all_to_ref(branch, None, &commits, author)?;
        repository.run_git(&["checkout", "--quiet", "-f", "-B", "main", branch])?;
    }
    let tip = repository.resolve(branch)?;
    Ok(repository.first_parents(&tip, COMMITS)?.into_iter().rev().map(|commit| commit.id).collect())
}

/// Numbers that look random, the same for the same seed.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = self.0;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ (number >> 31)
    }

    /// From 0 to 1.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[(self.next() % choices.len() as u64) as usize]
    }
}

fn whole_run(number: u64, runs: u64, points: u64, commits: &[CommitId]) -> WholeRun {
    let mut noise = Noise(number);
    let started = start_of(number);
    let id = run_id(started, &mut noise);
    let lr = noise.one_of(&["0.1", "0.03", "0.01", "0.003", "0.001"]);
    let optimizer = noise.one_of(&["adam", "sgd", "adamw"]);
    let batch_size = noise.one_of(&["32", "64", "128"]);
    let status = match noise.next() % 20 {
        0 => RunStatus::Failed,
        1 => RunStatus::Killed,
        2 => RunStatus::Crashed,
        _ => RunStatus::Finished,
    };
    let duration_s = 30.0 + (noise.unit() * 7200.0).round();
    let ended = started + SignedDuration::from_secs_f64(duration_s);
    let series = series(points, started, duration_s, &mut noise);
    let metrics = series.iter().filter_map(|(name, points)| Some((name.clone(), MetricSummary::of(name, points)?)));
    let commit = commits.get((number * commits.len() as u64 / runs.max(1)) as usize).copied();
    let texts = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let data = noise.one_of(&["digits", "faces", "wine"]);
    let artifact = |text: String| ArtifactId::from_bytes(*Digest::of(text.as_bytes()).as_bytes());
    let run = Run {
        status,
        experiment: Some(noise.one_of(&["cnn", "mlp", "resnet", "baseline"]).to_owned()),
        commit,
        snapshot: commit,
        branch: Some(noise.one_of(&["main", "main", "augment"]).to_owned()),
        ended: Some(ended),
        duration_s: Some(duration_s),
        cpu_s: Some(duration_s * 1.7),
        exit_code: Some(i32::from(status != RunStatus::Finished)),
        signal: (status == RunStatus::Killed).then(|| "SIGTERM".to_owned()),
        note: number.is_multiple_of(50).then(|| format!("look at number {number} again")),
        user: noise.one_of(&["ada", "grace", "alan"]).to_owned(),
        host: noise.one_of(&["laptop", "node-1", "node-2"]).to_owned(),
        command: ["python", "train.py", "--lr", lr, "--optimizer", optimizer].map(str::to_owned).to_vec(),
        seed: Some(number),
        params: texts(&[
            ("lr", lr),
            ("optimizer", optimizer),
            ("batch_size", batch_size),
            ("epochs", noise.one_of(&["10", "20", "50"])),
            ("dropout", noise.one_of(&["0", "0.1", "0.5"])),
            ("weight_decay", noise.one_of(&["0", "1e-4", "1e-2"])),
            ("model.depth", noise.one_of(&["18", "34", "50"])),
            ("model.width", noise.one_of(&["64", "128"])),
            ("augmentation", noise.one_of(&["none", "flip", "flip+crop"])),
            ("trial", &number.to_string()),
        ]),
        metrics: metrics.collect(),
        tags: texts(&[("team", noise.one_of(&["vision", "search"])), ("purpose", noise.one_of(&["try", "release"]))]),
        inputs: RelPath::new(format!("data/{data}"))
            .map(|path| RunInput { path, name: data.to_owned(), id: artifact(data.to_owned()) })
            .into_iter()
            .collect(),
        datasets: vec![RunDataset {
            name: data.to_owned(),
            digest: format!("{:08x}", data.len()),
            source_type: "local".to_owned(),
            source: format!("data/{data}"),
            schema: None,
            profile: None,
            tags: BTreeMap::new(),
        }],
        outputs: vec![RunOutput {
            name: "model".to_owned(),
            artifact_type: "model".to_owned(),
            id: artifact(format!("model {number}")),
            files: 4,
            bytes: 1_000_000 + number,
            path: None,
        }],
        environment: texts(&[
            ("os", "Debian GNU/Linux 12"),
            ("cpu", "a fast one"),
            ("cores", "16"),
            ("memory_bytes", "68719476736"),
            ("python", "3.13.1"),
            ("git_ml", env!("CARGO_PKG_VERSION")),
        ]),
        ..Run::begun(id, started)
    };
    WholeRun { run, series, log: format!("epoch 1\nthis was run {number}\n").into_bytes() }
}

fn start_of(number: u64) -> Timestamp {
    let first = Timestamp::from_second(1_767_225_600).unwrap_or_default();
    first + SignedDuration::from_secs(number as i64 * INTERVAL)
}

/// A UUIDv7 of that moment.
fn run_id(started: Timestamp, noise: &mut Noise) -> RunId {
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&started.as_millisecond().to_be_bytes()[2..]);
    bytes[6..14].copy_from_slice(&noise.next().to_be_bytes());
    bytes[14..].copy_from_slice(&noise.next().to_be_bytes()[..2]);
    bytes[6] = 0x70 | bytes[6] & 0x0f;
    bytes[8] = 0x80 | bytes[8] & 0x3f;
    RunId::from_bytes(bytes)
}

fn series(points: u64, started: Timestamp, duration_s: f64, noise: &mut Noise) -> Series {
    let steps = points.div_ceil(METRICS.len() as u64);
    let mut series = Series::new();
    for (index, name) in METRICS.iter().enumerate() {
        let of_this = (points / METRICS.len() as u64) + u64::from((index as u64) < points % METRICS.len() as u64);
        let (start, end) = (1.0 + noise.unit(), noise.unit());
        let point = |step: u64| {
            let progress = (step + 1) as f64 / steps as f64;
            let falling = end + (start - end) * (-4.0 * progress).exp();
            let value = if git_ml::run::smaller_is_better(name) { falling } else { 1.0 / (1.0 + falling) };
            let time = started + SignedDuration::from_millis((progress * duration_s * 1000.0) as i64);
            Point { step: step as i64, time, value }
        };
        let points: Vec<Point> = (0..of_this).map(point).collect();
        if !points.is_empty() {
            series.insert((*name).to_owned(), points);
        }
    }
    series
}
