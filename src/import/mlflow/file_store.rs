//! The folder `mlruns`: `<experiment>/meta.yaml`, `<experiment>/<run>/{meta.yaml,metrics,params,tags,…}`.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde::Deserialize;

use crate::run::{Point, RunDataset};
use crate::track::{Progress, Workspace};

use super::super::ImportError;
use super::super::runs::{Recorder, SourceRun};
use super::{Facts, LoggedModel, SourceModel, SourceVersion, artifacts, milliseconds, place_of, status};

/// Bytes that a small file may have: a parameter, a tag, a description.
const MAX_SMALL: u64 = 1 << 20;
/// Bytes that a metric's file may have.
const MAX_METRIC: u64 = 2 << 30;
/// Runs that are read at once.
const CHUNK: usize = 64;
/// Folders that names may be nested in.
const MAX_DEPTH: usize = 16;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ExperimentMeta {
    name: String,
    lifecycle_stage: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RunMeta {
    name: Option<String>,
    run_name: Option<String>,
    status: Option<String>,
    start_time: Option<i64>,
    end_time: Option<i64>,
    deleted_time: Option<i64>,
    lifecycle_stage: Option<String>,
    user_id: Option<String>,
    source_name: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct InputMeta {
    source_type: String,
    source_id: String,
    tags: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct DatasetMeta {
    name: String,
    digest: String,
    source: Option<String>,
    source_type: Option<String>,
    schema: Option<String>,
    profile: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct LoggedModelMeta {
    name: String,
    model_id: String,
    source_run_id: Option<String>,
    lifecycle_stage: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct VersionMeta {
    description: Option<String>,
    run_id: Option<String>,
    source: Option<String>,
    storage_location: Option<String>,
    model_id: Option<String>,
    current_stage: Option<String>,
}

/// Whether a folder is one of MLflow's, with experiments in it.
pub(super) fn is_one(folder: &Path) -> bool {
    // An experiment has runs in it, which look alike, and says itself what it is.
    let is_top = !folder.join("meta.yaml").exists();
    is_top && children(folder).iter().any(|(name, place)| is_experiment(name) && place.join("meta.yaml").is_file())
}

fn is_experiment(name: &str) -> bool {
    name != "models" && !name.starts_with('.')
}

/// Reads all runs, and returns the registered models.
pub(super) fn read(
    root: &Path,
    recorder: &mut Recorder<'_>,
    progress: &dyn Progress,
) -> Result<Vec<SourceModel>, ImportError> {
    for (name, folder) in children(root).into_iter().filter(|(name, _)| is_experiment(name)) {
        match meta::<ExperimentMeta>(&folder) {
            Ok(Some(experiment)) if experiment.lifecycle_stage == "deleted" => {
                recorder.leave_out(shown(root, &folder), "the experiment is deleted");
            }
            Ok(Some(experiment)) => {
                let name = if experiment.name.is_empty() { name } else { experiment.name };
                read_experiment(root, &folder, &name, recorder, progress)?;
            }
            Ok(None) => {}
            Err(problem) => recorder.leave_out(shown(root, &folder.join("meta.yaml")), problem),
        }
    }
    for (_, folder) in children(&root.join(".trash")) {
        recorder.leave_out(shown(root, &folder), "the experiment is deleted");
    }
    Ok(read_models(root, recorder))
}

fn read_experiment(
    root: &Path,
    folder: &Path,
    name: &str,
    recorder: &mut Recorder<'_>,
    progress: &dyn Progress,
) -> Result<(), ImportError> {
    let mut models: BTreeMap<String, Vec<LoggedModel>> = BTreeMap::new();
    for (id, place) in children(&folder.join("models")) {
        match meta::<LoggedModelMeta>(&place) {
            Ok(Some(model)) if model.lifecycle_stage.as_deref() != Some("deleted") && model.model_id == id => {
                let logged = LoggedModel { id, name: model.name, place: place.join("artifacts") };
                models.entry(model.source_run_id.unwrap_or_default()).or_default().push(logged);
            }
            Ok(_) => {}
            Err(problem) => recorder.leave_out(shown(root, &place.join("meta.yaml")), problem),
        }
    }
    let is_run = |name: &str| !matches!(name, "models" | "datasets" | "tags" | "traces") && !name.starts_with('.');
    let runs: Vec<(String, PathBuf)> = children(folder).into_iter().filter(|(name, _)| is_run(name)).collect();
    let workspace = recorder.workspace();
    for chunk in runs.chunks(CHUNK) {
        let read: Vec<_> = chunk
            .par_iter()
            .map(|(id, place)| {
                let logged = models.get(id).map(Vec::as_slice).unwrap_or_default();
                read_run(root, folder, place, id, name, logged, workspace)
            })
            .collect();
        for (source, problems) in read {
            problems.into_iter().for_each(|(what, why)| recorder.leave_out(what, why));
            if let Some(source) = source {
                recorder.take(source)?;
            }
            progress.advance(1);
        }
    }
    Ok(())
}

type Problems = Vec<(String, String)>;

/// A run, and what of it does not read; none where the folder is none.
fn read_run(
    root: &Path,
    experiment_folder: &Path,
    folder: &Path,
    id: &str,
    experiment: &str,
    models: &[LoggedModel],
    workspace: &Workspace,
) -> (Option<SourceRun>, Problems) {
    let mut problems = Problems::new();
    let meta = match meta::<RunMeta>(folder) {
        Ok(Some(meta)) => meta,
        Ok(None) => return (None, vec![(shown(root, folder), "it has no meta.yaml".to_owned())]),
        Err(problem) => return (None, vec![(shown(root, &folder.join("meta.yaml")), problem)]),
    };
    let mut facts = Facts {
        id: id.to_owned(),
        name: meta.run_name.or(meta.name).unwrap_or_default(),
        status: meta.status.as_deref().and_then(status),
        started: meta.start_time,
        ended: meta.end_time,
        user: meta.user_id.unwrap_or_default(),
        source_name: meta.source_name.unwrap_or_default(),
        is_deleted: meta.lifecycle_stage.as_deref() == Some("deleted"),
        deleted: meta.deleted_time,
        experiment: experiment.to_owned(),
        ..Facts::default()
    };
    let mut texts = |kind: &str, texts: &mut BTreeMap<String, String>| {
        for (name, place) in files(&folder.join(kind)) {
            match small(&place) {
                Ok(text) => drop(texts.insert(name, text)),
                Err(problem) => problems.push((shown(root, &place), problem)),
            }
        }
    };
    texts("params", &mut facts.params);
    texts("tags", &mut facts.tags);
    // MLflow takes the spaces off a value of one line.
    for value in facts.params.values_mut() {
        if !value.trim().contains('\n') {
            *value = value.trim().to_owned();
        }
    }
    let mut metrics = Vec::new();
    for (name, place) in files(&folder.join("metrics")) {
        match read_metric(&place) {
            Ok((points, bad_lines)) => {
                if bad_lines > 0 {
                    problems.push((shown(root, &place), format!("{bad_lines} of its lines do not read")));
                }
                metrics.push((name, points));
            }
            Err(problem) => problems.push((shown(root, &place), problem)),
        }
    }
    let first = metrics.iter().flat_map(|(_, points)| points).map(|point| point.time).min();
    let mut source = facts.into_run(first, workspace);
    source.series = metrics.into_iter().filter(|(_, points)| !points.is_empty()).collect();
    source.run.datasets = read_datasets(root, experiment_folder, folder, &mut problems);
    source.artifacts = artifacts(Some(&folder.join("artifacts")), models);
    (Some(source), problems)
}

/// A metric's points, and how many lines are none: `time value step`, without step before version 1.
fn read_metric(place: &Path) -> Result<(Vec<Point>, u64), String> {
    let bytes = limited(place, MAX_METRIC)?;
    let (mut points, mut bad_lines) = (Vec::new(), 0);
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
        match std::str::from_utf8(line).ok().and_then(parse_point) {
            Some(point) => points.push(point),
            None => bad_lines += 1,
        }
    }
    Ok((points, bad_lines))
}

fn parse_point(line: &str) -> Option<Point> {
    let mut words = line.split_ascii_whitespace();
    let (time, value) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let step = words.next().map_or(Some(0), |step| step.parse().ok())?;
    Some(Point { step, time: milliseconds(time), value })
}

fn read_datasets(root: &Path, experiment: &Path, run: &Path, problems: &mut Problems) -> Vec<RunDataset> {
    let mut datasets = Vec::new();
    for (_, place) in children(&run.join("inputs")) {
        let read = || -> Result<Option<RunDataset>, String> {
            let input: InputMeta = meta(&place)?.ok_or("it has no meta.yaml")?;
            if input.source_type != "DATASET" || input.source_id.contains('/') || input.source_id.starts_with('.') {
                return Ok(None);
            }
            let place = experiment.join("datasets").join(&input.source_id);
            let dataset: DatasetMeta = meta(&place)?.ok_or("its data set is not there")?;
            Ok(Some(RunDataset {
                name: dataset.name,
                digest: dataset.digest,
                source_type: dataset.source_type.unwrap_or_default(),
                source: dataset.source.unwrap_or_default(),
                schema: dataset.schema,
                profile: dataset.profile,
                tags: input.tags,
            }))
        };
        match read() {
            Ok(dataset) => datasets.extend(dataset),
            Err(problem) => problems.push((shown(root, &place), problem)),
        }
    }
    datasets
}

fn read_models(root: &Path, recorder: &mut Recorder<'_>) -> Vec<SourceModel> {
    let mut models = Vec::new();
    for (name, folder) in children(&root.join("models")) {
        let mut model = SourceModel { name, ..SourceModel::default() };
        for (version, place) in children(&folder) {
            let Some(number) = version.strip_prefix("version-").and_then(|number| number.parse().ok()) else {
                continue;
            };
            match meta::<VersionMeta>(&place) {
                Ok(Some(version)) if version.current_stage.as_deref() == Some("Deleted_Internal") => {}
                Ok(Some(version)) => model.versions.push(SourceVersion {
                    number,
                    place: place_of_version(root, &version),
                    run: version.run_id,
                    note: version.description.filter(|note| !note.is_empty()),
                }),
                Ok(None) => {}
                Err(problem) => recorder.leave_out(shown(root, &place.join("meta.yaml")), problem),
            }
        }
        for (alias, place) in files(&folder.join("aliases")) {
            if let Some(number) = small(&place).ok().and_then(|text| text.trim().parse().ok()) {
                model.aliases.insert(alias, number);
            }
        }
        models.push(model);
    }
    models
}

/// Where the files of a version are: those of a logged model, or a folder among the artifacts of a run.
fn place_of_version(root: &Path, version: &VersionMeta) -> Option<PathBuf> {
    let roots = [root.to_path_buf()];
    let model_id = version.model_id.as_deref().filter(|id| !id.is_empty());
    let model_id = model_id.or_else(|| version.source.as_deref()?.strip_prefix("models:/"));
    let run_id = version.run_id.as_deref().unwrap_or_default();
    let uris = [version.storage_location.as_deref(), version.source.as_deref()];
    let named = uris
        .into_iter()
        .flatten()
        .find_map(|uri| model_id.and_then(|id| place_of(uri, id, &roots)).or_else(|| place_of(uri, run_id, &roots)));
    let is_name = |id: &str| !id.contains(['/', '\\']) && !id.starts_with('.') && !id.is_empty();
    // Where the folder was moved, what it is called there does not help.
    let experiments = || children(root).into_iter().filter(|(name, _)| is_experiment(name)).map(|(_, place)| place);
    named
        .or_else(|| {
            let id = model_id.filter(|id| is_name(id))?;
            experiments().map(|place| place.join("models").join(id).join("artifacts")).find(|place| place.is_dir())
        })
        .or_else(|| {
            let path = version.source.as_deref()?.strip_prefix(&format!("runs:/{run_id}/"))?;
            let path = crate::files::RelPath::new(path).ok().filter(|_| is_name(run_id))?;
            let place = |experiment: PathBuf| path.under(&experiment.join(run_id).join("artifacts"));
            experiments().map(place).find(|place| place.exists())
        })
}

/// The `meta.yaml` of a folder; none where there is none.
fn meta<M: for<'de> Deserialize<'de>>(folder: &Path) -> Result<Option<M>, String> {
    let place = folder.join("meta.yaml");
    if !place.is_file() {
        return Ok(None);
    }
    let text = small(&place)?;
    let first_line = |error: String| error.lines().next().unwrap_or_default().to_owned();
    serde_saphyr::from_str(&text).map(Some).map_err(|error| first_line(error.to_string()))
}

fn small(place: &Path) -> Result<String, String> {
    let bytes = limited(place, MAX_SMALL)?;
    String::from_utf8(bytes).map_err(|_| "it is not text".to_owned())
}

fn limited(place: &Path, limit: u64) -> Result<Vec<u8>, String> {
    let read = || {
        let mut bytes = Vec::new();
        fs::File::open(place)?.take(limit + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|error: std::io::Error| error.to_string())?;
    if bytes.len() as u64 > limit { Err("it is too long".to_owned()) } else { Ok(bytes) }
}

/// The folders in a folder, by name. Symbolic links are no folders here.
fn children(folder: &Path) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut children: Vec<_> =
        folders.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path()))).collect();
    children.sort_unstable();
    children
}

/// The files below a folder, by their paths in it: names may have `/` in them.
fn files(folder: &Path) -> Vec<(String, PathBuf)> {
    let entries = walkdir::WalkDir::new(folder).max_depth(MAX_DEPTH).sort_by_file_name().into_iter().flatten();
    let files = entries.filter(|entry| entry.file_type().is_file());
    let named = files.filter_map(|entry| {
        let name = entry.path().strip_prefix(folder).ok()?.to_str()?.to_owned();
        Some((name, entry.into_path()))
    });
    named.collect()
}

/// A path as messages name it.
fn shown(root: &Path, place: &Path) -> String {
    place.strip_prefix(root).unwrap_or(place).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_yaml_could_take_for_something_else_stay_text() {
        // Python writes these without quotes: to its YAML they are text.
        let text = "run_name: 1e10\nuser_id: 0x1f\nstatus: 3\nname: yes\nstart_time: 1597955525771\nend_time: null\n";
        let meta: RunMeta = serde_saphyr::from_str(text).unwrap();
        assert_eq!((meta.run_name.as_deref(), meta.user_id.as_deref()), (Some("1e10"), Some("0x1f")));
        assert_eq!((meta.status.as_deref(), meta.name.as_deref()), (Some("3"), Some("yes")));
        assert_eq!((meta.start_time, meta.end_time), (Some(1_597_955_525_771), None));
    }

    #[test]
    fn lines_of_metrics_of_all_versions() {
        let point = |line| parse_point(line).map(|point| (point.time.as_millisecond(), point.value, point.step));
        assert_eq!(point("1597955525801 -0.05 3"), Some((1_597_955_525_801, -0.05, 3)));
        assert_eq!(point("1597955525801 1e-05"), Some((1_597_955_525_801, 1e-5, 0)));
        assert!(point("1 nan 0").is_some_and(|(_, value, _)| value.is_nan()));
        assert_eq!(point("1 -inf 0"), Some((1, f64::NEG_INFINITY, 0)));
        for line in ["", "1", "x 1 2", "1 x 2", "1 2 x"] {
            assert_eq!(point(line), None, "{line}");
        }
    }
}
