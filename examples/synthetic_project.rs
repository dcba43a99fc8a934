//! A repository with data, runs and a registry that belong together, for measuring what verifying all of it costs.
//!
//! `cargo run --release --example synthetic_project -- [--runs 1000] [--versions 50] [--files 50000] [--points 1000] FOLDER`
//! makes a git repository with that many files of 3 KB in ten tracked folders, runs that read one of those and made a
//! model, each with ten metrics of that many points, and versions of such models. All of it is stored, so
//! `git ml verify --all` has something to read and finds nothing.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

use git_ml::files::{Durability, RelPath, create_dir_all, publish};
use git_ml::git::{Identity, Repository};
use git_ml::id::{ArtifactId, CommitId, RunId};
use git_ml::registry::{Details, Registry, Resolved};
use git_ml::run::{MetricSummary, Point, Run, RunInput, RunOutput, RunStatus, Runs, Series, WholeRun};
use git_ml::store::{Entry, Manifest, Mode};
use git_ml::track::{Silent, TrackOptions, Workspace};
use jiff::{SignedDuration, Timestamp};

/// Tracked folders.
const FOLDERS: u64 = 10;
/// Bytes of each file in them.
const FILE_BYTES: usize = 3000;
/// Bytes of each model.
const MODEL_BYTES: usize = 400_000;
/// Metrics of each run.
const METRICS: u64 = 10;
/// Seconds from one run's start to the next one's.
const INTERVAL: i64 = 600;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

const USE: &str = "use: synthetic_project [--runs N] [--versions N] [--files N] [--points N] FOLDER";

fn main() -> Outcome {
    let (mut runs, mut versions, mut files, mut points, mut folder) = (1000, 50, 50_000, 1000, None);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut number = || words.next().and_then(|word| word.parse::<u64>().ok()).ok_or(USE);
        match word.as_str() {
            "--runs" => runs = number()?,
            "--versions" => versions = number()?,
            "--files" => files = number()?,
            "--points" => points = number()?,
            _ if word.starts_with('-') || folder.is_some() => return Err(USE.into()),
            _ => folder = Some(word),
        }
    }
    let folder = folder.ok_or(USE)?;
    let started = Instant::now();
    let workspace = begin(Path::new(&folder))?;
    let data = track(&workspace, Path::new(&folder), files)?;
    let commit = workspace.repository.resolve("HEAD")?;
    let models = (0..versions.max(1)).map(|number| store_model(&workspace, number)).collect::<Outcome<Vec<_>>>()?;
    let author = Identity { name: "Ada".to_owned(), email: "ada@example.org".to_owned() };
    let all: Vec<WholeRun> = (0..runs).map(|number| whole_run(number, points, &data, &models, commit)).collect();
    let ids: Vec<RunId> = all.iter().map(|whole| whole.run.id).collect();
    Runs::new(&workspace).record_all(all, &author)?;
    register(&workspace, author, &models[..models.len().min(versions as usize)], &ids)?;
    let words =
        format!("{runs} runs, {versions} versions, {files} files in {:.1} s\n", started.elapsed().as_secs_f64());
    Ok(std::io::stdout().lock().write_all(words.as_bytes())?)
}

fn begin(folder: &Path) -> Outcome<Workspace> {
    create_dir_all(folder)?;
    let repository = Repository::init(folder)?;
    repository.set_config("user.name", "Ada")?;
    repository.set_config("user.email", "ada@example.org")?;
    Ok(Workspace::discover(folder)?)
}

/// Bytes that do not compress, the same for the same number.
fn noise(number: u64, bytes: usize) -> Vec<u8> {
    let mut content = vec![0; bytes];
    blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof().fill(&mut content);
    content
}

/// Writes and tracks the data, and commits the pointers.
fn track(workspace: &Workspace, folder: &Path, files: u64) -> Outcome<Vec<(RelPath, ArtifactId)>> {
    let mut tracked = Vec::new();
    for part in 0..FOLDERS {
        let path = RelPath::new(format!("data/part-{part}"))?;
        create_dir_all(&path.under(folder))?;
        for number in (part..files).step_by(FOLDERS as usize) {
            let place = path.under(folder).join(format!("{number:06}.bin"));
            publish(&place, &noise(number, FILE_BYTES), Durability::Buffered)?;
        }
        workspace.track(&path, &TrackOptions::default(), &Silent)?;
        let id = workspace.pointer(&path)?.id;
        tracked.push((path, id));
    }
    workspace.repository.run_git(&["add", "--all"])?;
    workspace.repository.run_git(&["commit", "--quiet", "--message", "Track the data"])?;
    Ok(tracked)
}

/// Stores a model of a single file.
fn store_model(workspace: &Workspace, number: u64) -> Outcome<ArtifactId> {
    let writer = workspace.store.writer()?;
    let (digest, size) = writer.add(&mut noise(1 << 40 | number, MODEL_BYTES).as_slice(), "a model")?;
    let path = Some(RelPath::new("model.safetensors")?);
    let id = writer.add_manifest(&Manifest::new(vec![Entry { path, mode: Mode::File, size, digest }])?)?;
    writer.finish()?;
    Ok(id)
}

fn whole_run(
    number: u64,
    points: u64,
    data: &[(RelPath, ArtifactId)],
    models: &[ArtifactId],
    commit: CommitId,
) -> WholeRun {
    let started = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_760_000_000 + number as i64 * INTERVAL);
    let mut id = [0; 16];
    id.copy_from_slice(&noise(1 << 50 | number, 16));
    id[..6].copy_from_slice(&started.as_millisecond().to_be_bytes()[2..]);
    let mut series = Series::new();
    for metric in 0..METRICS {
        let value = |step: u64| 1.0 / (1.0 + step as f64 * (metric + 1) as f64);
        let point = |step: u64| Point { step: step as i64, time: started, value: value(step) };
        series.insert(format!("metric_{metric}"), (0..points).map(point).collect());
    }
    let (path, input) = &data[(number % data.len() as u64) as usize];
    let output = RunOutput {
        name: "model".to_owned(),
        artifact_type: "model".to_owned(),
        id: models[(number % models.len() as u64) as usize],
        files: 1,
        bytes: MODEL_BYTES as u64,
        path: None,
    };
    let summaries = series.iter().filter_map(|(name, points)| Some((name.clone(), MetricSummary::of(name, points)?)));
    let metrics: BTreeMap<String, MetricSummary> = summaries.collect();
    let run = Run {
        status: RunStatus::Finished,
        commit: Some(commit),
        snapshot: Some(commit),
        ended: Some(started + SignedDuration::from_secs(INTERVAL / 2)),
        duration_s: Some((INTERVAL / 2) as f64),
        exit_code: Some(0),
        user: "ada".to_owned(),
        host: "laptop".to_owned(),
        command: ["python", "train.py", "--trial", &number.to_string()].map(str::to_owned).to_vec(),
        seed: Some(number),
        metrics,
        inputs: vec![RunInput { path: path.clone(), name: path.file_name().to_owned(), id: *input }],
        outputs: vec![output],
        ..Run::begun(RunId::from_bytes(id), started)
    };
    WholeRun { run, series, log: format!("trial {number}\n").repeat(50).into_bytes() }
}

/// Registers the models as versions of one, the last of them in production.
fn register(workspace: &Workspace, author: Identity, models: &[ArtifactId], runs: &[RunId]) -> Outcome {
    let registry = Registry::signed(workspace, author);
    for (id, run) in models.iter().zip(runs) {
        let artifact = Resolved {
            target: "a model".to_owned(),
            id: *id,
            name: "digits".to_owned(),
            artifact_type: "model".to_owned(),
            run: Some(*run),
            commit: None,
        };
        let made = registry.register_anew("digits", &artifact, &Details::default())?;
        registry.promote("digits", "production", made.version.version, None)?;
    }
    Ok(())
}
