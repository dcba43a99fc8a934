//! A folder such as `mlruns`, as MLflow's file store reads it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::{ExportedRuns, MlflowOptions, experiment_id, experiment_of, status_words, tags_of};
use crate::export::ExportError;
use crate::files::{self, DraftFolder, Durability, RelPath};
use crate::id::Digest;
use crate::run::{Point, Run, Runs};
use crate::track::{Progress, Workspace};

/// Writes runs to a folder of MLflow's, one after the other. A run that is there stays as it is.
pub fn to_mlflow_folder(
    workspace: &Workspace,
    store: &Runs<'_>,
    runs: &[Run],
    root: &Path,
    options: MlflowOptions,
    progress: &dyn Progress,
) -> Result<ExportedRuns, ExportError> {
    files::create_dir_all(root)?;
    let root = std::path::absolute(root).unwrap_or_else(|_| root.to_path_buf());
    let mut experiments = experiments_in(&root);
    let mut exported = ExportedRuns::default();
    progress.start("exporting runs", None);
    let default = experiments.entry("Default".to_owned()).or_insert_with(|| experiment_id("Default"));
    // MLflow expects this one to be there.
    write_experiment(&root, "Default", default)?;
    for run in runs {
        let name = experiment_of(run);
        let id = experiments.entry(name.to_owned()).or_insert_with(|| experiment_id(name)).clone();
        write_experiment(&root, name, &id)?;
        let folder = root.join(&id);
        if folder.join(run.id.to_string()).symlink_metadata().is_ok() {
            exported.present += 1;
            continue;
        }
        write_run(workspace, store, run, &id, &folder, options, &mut exported)?;
        exported.exported += 1;
        progress.advance(1);
    }
    progress.finish();
    Ok(exported)
}

/// The ids of the experiments that a folder has, by name.
fn experiments_in(root: &Path) -> BTreeMap<String, String> {
    #[derive(serde::Deserialize)]
    struct Meta {
        name: String,
    }
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    let named = entries.filter_map(|entry| {
        let text = fs::read_to_string(entry.path().join("meta.yaml")).ok()?;
        let meta: Meta = serde_saphyr::from_str(&text).ok()?;
        Some((meta.name, entry.file_name().into_string().ok()?))
    });
    named.collect()
}

fn write_experiment(root: &Path, name: &str, id: &str) -> Result<(), ExportError> {
    let folder = root.join(id);
    if folder.join("meta.yaml").is_file() {
        return Ok(());
    }
    files::create_dir_all(&folder)?;
    let now = jiff::Timestamp::now().as_millisecond();
    let meta = yaml(&[
        ("artifact_location", json!(uri_of(&folder))),
        ("creation_time", json!(now)),
        ("experiment_id", json!(id)),
        ("last_update_time", json!(now)),
        ("lifecycle_stage", json!("active")),
        ("name", json!(name)),
    ]);
    Ok(files::publish(&folder.join("meta.yaml"), meta.as_bytes(), Durability::Buffered)?)
}

fn write_run(
    workspace: &Workspace,
    store: &Runs<'_>,
    run: &Run,
    experiment: &str,
    folder: &Path,
    options: MlflowOptions,
    exported: &mut ExportedRuns,
) -> Result<(), ExportError> {
    let place = folder.join(run.id.to_string());
    let draft = DraftFolder::new_in(folder)?;
    let mut leave_out = |what: String, why: String| exported.left_out.push((format!("{}: {what}", run.name), why));
    let meta = yaml(&[
        ("artifact_uri", json!(uri_of(&place.join("artifacts")))),
        ("deleted_time", json!(run.removed.map(|time| time.as_millisecond()))),
        ("end_time", json!(run.ended.map(|time| time.as_millisecond()))),
        ("entry_point_name", json!("")),
        ("experiment_id", json!(experiment)),
        ("lifecycle_stage", json!(if run.removed.is_some() { "deleted" } else { "active" })),
        ("run_id", json!(run.id)),
        ("run_name", json!(run.name)),
        ("source_name", json!("")),
        ("source_type", json!(4)),
        ("source_version", json!("")),
        ("start_time", json!(run.started.as_millisecond())),
        ("status", json!(status_words(run.status).1)),
        ("tags", json!([])),
        ("user_id", json!(run.user)),
    ]);
    publish(&draft.place("meta.yaml"), meta.as_bytes())?;
    for kind in ["metrics", "params", "tags", "artifacts"] {
        files::create_dir_all(&draft.place(kind))?;
    }
    let texts = run.params.iter().map(|(name, value)| ("params", name.clone(), value.clone().into_bytes()));
    let tags = tags_of(run).into_iter().map(|(name, value)| ("tags", name, value.into_bytes()));
    let series = store.series(&run.id)?;
    let metrics = series.iter().map(|(name, points)| ("metrics", name.clone(), lines(points)));
    for (kind, name, content) in texts.chain(tags).chain(metrics) {
        match RelPath::new(name.clone()) {
            Ok(path) => {
                let file = path.under(&draft.place(kind));
                // `a` and `a/b` cannot both be files.
                match publish(&file, &content) {
                    Ok(()) => {}
                    Err(error) => leave_out(format!("{kind} {name}"), error.to_string()),
                }
            }
            Err(error) => leave_out(format!("{kind} {name}"), error.to_string()),
        }
    }
    for dataset in &run.datasets {
        let id = &Digest::of(format!("{}\0{}", dataset.name, dataset.digest).as_bytes()).to_string()[..32];
        let described = yaml(&[
            ("digest", json!(dataset.digest)),
            ("name", json!(dataset.name)),
            ("profile", json!(dataset.profile)),
            ("schema", json!(dataset.schema)),
            ("source", json!(dataset.source)),
            ("source_type", json!(dataset.source_type)),
        ]);
        publish(&folder.join("datasets").join(id).join("meta.yaml"), described.as_bytes())?;
        let input = yaml(&[
            ("destination_id", json!(run.id)),
            ("destination_type", json!("RUN")),
            ("source_id", json!(id)),
            ("source_type", json!("DATASET")),
            ("tags", json!(dataset.tags)),
        ]);
        publish(&draft.place("inputs").join(id).join("meta.yaml"), input.as_bytes())?;
    }
    if !options.without_artifacts {
        for output in &run.outputs {
            let Ok(name) = RelPath::new(output.name.clone()) else {
                leave_out(format!("artifact {}", output.name), "its name is no path".to_owned());
                continue;
            };
            if let Err(error) = workspace.export(&output.id, &name.under(&draft.place("artifacts"))) {
                leave_out(format!("artifact {}", output.name), error.to_string());
            }
        }
    }
    Ok(draft.publish(&place)?)
}

/// A metric's file: time, value and step of each point.
fn lines(points: &[Point]) -> Vec<u8> {
    let mut text = String::new();
    for Point { step, time, value } in points {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{} {value} {step}", time.as_millisecond());
    }
    text.into_bytes()
}

fn publish(place: &Path, content: &[u8]) -> Result<(), ExportError> {
    if let Some(folder) = place.parent() {
        files::create_dir_all(folder)?;
    }
    Ok(files::publish(place, content, Durability::Buffered)?)
}

/// YAML of one level. JSON's texts, numbers, lists and objects are YAML's too.
fn yaml(members: &[(&str, serde_json::Value)]) -> String {
    members.iter().map(|(name, value)| format!("{name}: {value}\n")).collect()
}

/// A folder as a URI.
fn uri_of(folder: &Path) -> String {
    let mut uri = "file://".to_owned();
    for byte in PathBuf::from(folder).into_os_string().into_encoded_bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => uri.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => uri.push(char::from(byte)),
            byte => {
                let _ = write!(uri, "%{byte:02X}");
            }
        }
    }
    uri
}
