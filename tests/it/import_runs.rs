//! Importing runs from stores that the other tools made, and from broken ones.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::sandbox::Sandbox;

/// A folder of the real data; where there is none, that is said.
fn interop(name: &str) -> Option<PathBuf> {
    let place = std::env::var_os("GIT_ML_TEST_DATA").map(|data| Path::new(&data).join("interop").join(name));
    let place = place.filter(|place| place.exists());
    if place.is_none() {
        eprintln!("skipped: GIT_ML_TEST_DATA has no interop/{name}");
    }
    place
}

fn import(sandbox: &Sandbox, tool: &str, place: &Path) -> Value {
    sandbox.git_ml(&["import", tool, place.to_str().unwrap(), "--json"]).success().json()
}

fn show(sandbox: &Sandbox, run: &str) -> Value {
    sandbox.git_ml(&["show", run, "--json"]).success().json()
}

fn series(sandbox: &Sandbox, run: &str, metric: &str) -> Vec<(i64, String, f64)> {
    let points = sandbox.git_ml(&["show", run, "--metric", metric, "--json"]).success().json();
    let point = |point: &Value| {
        let time = point["time"].as_str().unwrap().to_owned();
        (point["step"].as_i64().unwrap(), time, point["value"].as_f64().unwrap())
    };
    points.as_array().unwrap().iter().map(point).collect()
}

fn tips(sandbox: &Sandbox) -> String {
    sandbox.git(&["for-each-ref", "refs/ml"]).success().stdout()
}

fn outcomes(imported: &Value) -> Vec<&str> {
    imported["runs"].as_array().unwrap().iter().map(|run| run["outcome"].as_str().unwrap()).collect()
}

#[test]
fn the_runs_of_an_mlruns_folder_arrive_whole_and_once() {
    let Some(place) = interop("mlruns-convnext/mlruns") else { return };
    let sandbox = Sandbox::new();
    let dry = sandbox.git_ml(&["import", "mlflow", place.to_str().unwrap(), "--dry-run", "--json"]).success().json();
    assert_eq!((outcomes(&dry), tips(&sandbox)), (vec!["imported", "imported"], String::new()));
    let imported = import(&sandbox, "mlflow", &place);
    assert_eq!((outcomes(&imported), imported["left_out"].as_array().unwrap().len()), (vec!["imported"; 2], 0));

    let run = show(&sandbox, "ea71e54bc850434eaa5170c17d564de6");
    assert_eq!((run["name"].as_str(), run["status"].as_str()), (Some("nimble-roo-550"), Some("finished")));
    assert_eq!((run["experiment"].as_str(), run["user"].as_str()), (Some("ConvNeXtV2-UNet"), Some("joe")));
    assert_eq!(run["started"], "2025-06-16T19:50:15.617Z");
    assert_eq!(run["ended"], "2025-06-16T19:50:28.344Z");
    assert_eq!(run["tags"]["mlflow.source.type"], "LOCAL");
    let loss = series(&sandbox, "ea71e54b", "loss");
    assert_eq!((loss.len(), series(&sandbox, "ea71e54b", "lr").len()), (100, 10));
    // All have step 0, so the time alone orders them.
    assert!(loss.iter().all(|(step, ..)| *step == 0) && loss.is_sorted_by(|a, b| a.1 <= b.1));
    assert_eq!(loss[0], (0, "2025-06-16T19:50:16.917Z".to_owned(), 0.628_683_269_023_895_3));
    assert_eq!(run["metrics"]["lr"]["last"], 0.0);
    assert_eq!(run["metrics"]["loss"]["last"].as_f64(), Some(loss[99].2));

    let going = show(&sandbox, "6ea7a69c2af146c2b1c1d46a2525fb79");
    assert_eq!((going["status"].as_str(), going["ended"].is_null()), (Some("running"), true));
    assert_eq!(going["experiment"], "Default");

    let before = tips(&sandbox);
    // What was said of a run here stays, and is no reason to import it again.
    sandbox.git_ml(&["tag", "ea71e54b", "reviewed=yes"]).success();
    let tagged = tips(&sandbox);
    assert_ne!(before, tagged);
    assert_eq!(outcomes(&import(&sandbox, "mlflow", &place)), ["unchanged", "unchanged"]);
    assert_eq!(tips(&sandbox), tagged);
}

#[test]
fn an_old_mlruns_folder_brings_its_model_as_bytes() {
    let Some(place) = interop("mlruns-elasticnet/mlruns") else { return };
    let sandbox = Sandbox::new();
    import(&sandbox, "mlflow", &place);
    let run = show(&sandbox, "6e6280f331a94bf388fa9d0de0ecee99");
    assert_eq!((run["params"]["alpha"].as_str(), run["params"]["l1_ratio"].as_str()), (Some("0.5"), Some("0.5")));
    let text = sandbox.git_ml(&["show", "6e6280f331a94bf388fa9d0de0ecee99", "--json"]).success().stdout();
    for value in ["0.21757945918512583", "-0.05493814470533365", "0.24901379434298318"] {
        assert!(text.contains(&format!("\"last\": {value},")), "{value} in {text}");
    }
    assert_eq!(run["command"], serde_json::json!(["testmodel.py"]));
    let output = &run["outputs"][0];
    assert_eq!((output["name"].as_str(), output["type"].as_str()), (Some("model"), Some("model")));
    assert_eq!(output["files"], 3);
    let pickle = fs::read(place.join("0/6e6280f331a94bf388fa9d0de0ecee99/artifacts/model/model.pkl")).unwrap();
    let stored = sandbox.git_ml(&["cat", "run:6e6280f331a94bf388fa9d0de0ecee99:model:model.pkl"]).success();
    assert_eq!(stored.stdout_bytes(), pickle);
}

#[test]
fn the_scalars_of_an_event_file_arrive() {
    let Some(place) = interop("tensorboard") else { return };
    let sandbox = Sandbox::new();
    let imported = import(&sandbox, "tensorboard", &place);
    assert_eq!((imported["runs"][0]["metrics"].as_u64(), imported["runs"][0]["points"].as_u64()), (Some(6), Some(102)));
    for metric in ["batch_loss", "batch_acc", "epoch_loss", "epoch_acc", "epoch_val_loss", "epoch_val_acc"] {
        let steps: Vec<i64> = series(&sandbox, "@", metric).into_iter().map(|(step, ..)| step).collect();
        assert_eq!(steps, (0..17).collect::<Vec<_>>(), "{metric}");
    }
    let before = tips(&sandbox);
    // The same file elsewhere is the same run.
    let file = fs::read_dir(&place).unwrap().map(|entry| entry.unwrap().path());
    let file = file.into_iter().find(|path| path.to_string_lossy().contains("tfevents")).unwrap();
    let name = file.file_name().unwrap().to_str().unwrap();
    sandbox.write(format!("elsewhere/tensorboard/{name}"), fs::read(&file).unwrap());
    assert_eq!(outcomes(&import(&sandbox, "tensorboard", &sandbox.path("elsewhere/tensorboard"))), ["unchanged"]);
    assert_eq!(tips(&sandbox), before);
    // One that was cut off has what was whole.
    let bytes = fs::read(&file).unwrap();
    let half = Sandbox::new();
    half.write(format!("half/{name}"), &bytes[..bytes.len() - 10]);
    let imported = import(&half, "tensorboard", &half.path("half"));
    assert_eq!(imported["runs"][0]["points"], 101);
    half.write(format!("half/{name}"), &bytes);
    let imported = import(&half, "tensorboard", &half.path("half"));
    assert_eq!((outcomes(&imported), imported["runs"][0]["points"].as_u64()), (vec!["updated"], Some(102)));
}

/// A folder as MLflow makes it, with one run.
fn small_store(sandbox: &Sandbox) -> (PathBuf, &'static str) {
    let id = "aaaabbbbccccddddeeeeffff00001111";
    sandbox.write("mlruns/7/meta.yaml", "experiment_id: '7'\nlifecycle_stage: active\nname: small\n");
    sandbox.write(
        format!("mlruns/7/{id}/meta.yaml"),
        format!("run_id: {id}\nrun_name: 1e5\nstatus: 3\nstart_time: 1000\nend_time: 2500\nlifecycle_stage: active\n"),
    );
    sandbox.write(format!("mlruns/7/{id}/metrics/a/b"), "1000 0.5 0\n1001 nan 1\n");
    sandbox.write(format!("mlruns/7/{id}/params/lr"), "0.1\n");
    sandbox.write(format!("mlruns/7/{id}/tags/mlflow.note.content"), "look here");
    sandbox.write(format!("mlruns/7/{id}/artifacts/notes.txt"), "notes");
    (sandbox.path("mlruns"), id)
}

#[test]
fn a_source_that_has_grown_is_taken_over_and_nothing_that_was_added_here_is_lost() {
    let sandbox = Sandbox::new();
    let (place, id) = small_store(&sandbox);
    import(&sandbox, "mlflow", &place);
    let run = show(&sandbox, id);
    assert_eq!((run["name"].as_str(), run["duration_s"].as_f64()), (Some("1e5"), Some(1.5)));
    assert_eq!((run["note"].as_str(), run["params"]["lr"].as_str()), (Some("look here"), Some("0.1")));
    assert_eq!(run["metrics"]["a/b"]["last"], "NaN");
    sandbox.git_ml(&["tag", id, "mine=1"]).success();

    sandbox.write(format!("mlruns/7/{id}/metrics/a/b"), "1000 0.5 0\n1001 nan 1\n1002 0.25 2\n");
    sandbox.write(format!("mlruns/7/{id}/metrics/late"), "1003 1 0\n");
    sandbox.write(format!("mlruns/7/{id}/artifacts/model/MLmodel"), "flavors: {}\n");
    assert_eq!(outcomes(&import(&sandbox, "mlflow", &place)), ["updated"]);
    let run = show(&sandbox, id);
    assert_eq!((run["tags"]["mine"].as_str(), run["metrics"]["a/b"]["last"].as_f64()), (Some("1"), Some(0.25)));
    let outputs = run["outputs"].as_array().unwrap().iter();
    let outputs: Vec<_> =
        outputs.map(|output| (output["name"].as_str().unwrap(), output["type"].as_str().unwrap())).collect();
    assert_eq!(outputs, [("model", "model"), ("notes.txt", "output")]);
    assert_eq!(series(&sandbox, id, "late").len(), 1);
    let before = tips(&sandbox);
    assert_eq!(outcomes(&import(&sandbox, "mlflow", &place)), ["unchanged"]);
    assert_eq!(tips(&sandbox), before);
    sandbox.git_ml(&["verify"]).success();
}

#[test]
fn what_is_broken_costs_itself_and_a_warning() {
    let sandbox = Sandbox::new();
    let (place, id) = small_store(&sandbox);
    sandbox.write("mlruns/7/11111111111111111111111111111111/meta.yaml", "status: [");
    sandbox.write("mlruns/8/meta.yaml", "name: [1, 2");
    sandbox.write("mlruns/9/meta.yaml", "name: old\nlifecycle_stage: deleted\n");
    sandbox.write(format!("mlruns/7/{id}/metrics/a/b"), "1000 0.5 0\nnonsense\n1001 0.25 1\n");
    sandbox.write(format!("mlruns/7/{id}/params/bad"), b"\xff\xfe");
    let imported = import(&sandbox, "mlflow", &place);
    assert_eq!((outcomes(&imported), imported["runs"][0]["points"].as_u64()), (vec!["imported"], Some(2)));
    let left_out: Vec<&str> =
        imported["left_out"].as_array().unwrap().iter().map(|left_out| left_out["what"].as_str().unwrap()).collect();
    let run = format!("7/{id}");
    assert_eq!(
        left_out,
        [
            "7/11111111111111111111111111111111/meta.yaml".to_owned(),
            format!("{run}/params/bad"),
            format!("{run}/metrics/a/b"),
            "8/meta.yaml".to_owned(),
            "9".to_owned(),
        ]
    );
    for (tool, place) in [("mlflow", "mlruns/7"), ("tensorboard", "mlruns"), ("wandb", "mlruns"), ("mlflow", "nowhere")]
    {
        sandbox.git_ml(&["import", tool, place]).code(1).one_line_error();
    }
    sandbox.write("not.db", "SQLite format 3\0 and nothing else");
    sandbox.git_ml(&["import", "mlflow", "not.db"]).code(1).one_line_error();
    sandbox.write("runs/events.out.tfevents.1", "nothing of the kind");
    let imported = import(&sandbox, "tensorboard", &sandbox.path("runs"));
    assert_eq!(imported["left_out"][0]["why"], "the rest does not read");
    sandbox.write("runs/run-x.wandb", "nothing of the kind");
    let imported = import(&sandbox, "wandb", &sandbox.path("runs/run-x.wandb"));
    assert_eq!(outcomes(&imported), Vec::<&str>::new());
}

/// A database with the tables of MLflow's first version to have them, or of today's.
fn database(sandbox: &Sandbox, sql: &str) -> Option<PathBuf> {
    let place = sandbox.path("mlflow.db");
    let status = Command::new("sqlite3").arg(&place).arg(sql).status();
    if !status.is_ok_and(|status| status.success()) {
        eprintln!("skipped: sqlite3 is not installed");
        return None;
    }
    Some(place)
}

#[test]
fn a_database_is_read_whatever_columns_it_has() {
    let sandbox = Sandbox::new();
    // Before version 1: metrics have neither steps nor a mark for NaN, and there are no tables for models.
    let sql = "CREATE TABLE experiments (experiment_id INTEGER, name TEXT);
        CREATE TABLE runs (run_uuid TEXT, name TEXT, user_id TEXT, status TEXT, start_time BIGINT, experiment_id INTEGER,
            artifact_uri TEXT, lifecycle_stage TEXT);
        CREATE TABLE metrics (key TEXT, value FLOAT, timestamp BIGINT, run_uuid TEXT);
        CREATE TABLE params (key TEXT, value TEXT, run_uuid TEXT);
        INSERT INTO experiments VALUES (0, 'Default');
        INSERT INTO runs VALUES ('bbbb', 'b', 'ada', 'FAILED', 1000, 0, './mlruns/0/bbbb/artifacts', 'active');
        INSERT INTO runs VALUES ('aaaa', 'a', 'ada', 'FINISHED', 1000, 0, '/etc', 'active');
        INSERT INTO metrics VALUES ('loss', 2.0, 1002, 'aaaa'), ('loss', 1, 1001, 'aaaa'), ('x', 3.0, 1, 'bbbb');
        INSERT INTO metrics VALUES ('stray', 3.0, 1, 'cccc'), ('bad', 'text', 1, 'aaaa');
        INSERT INTO params VALUES ('lr', '0.1', 'bbbb');";
    let Some(place) = database(&sandbox, sql) else { return };
    sandbox.write("mlruns/0/bbbb/artifacts/a.txt", "a");
    let before = fs::read(&place).unwrap();
    let imported = import(&sandbox, "mlflow", &place);
    assert_eq!(outcomes(&imported), ["imported", "imported"]);
    assert_eq!(imported["left_out"].as_array().unwrap().len(), 1, "that its version is not known");
    let (a, b) = (&imported["runs"][0], &imported["runs"][1]);
    assert_eq!((a["name"].as_str(), a["points"].as_u64(), a["outputs"].as_u64()), (Some("a"), Some(2), Some(0)));
    assert_eq!((b["name"].as_str(), b["params"].as_u64(), b["outputs"].as_u64()), (Some("b"), Some(1), Some(1)));
    let values: Vec<f64> =
        series(&sandbox, a["id"].as_str().unwrap(), "loss").into_iter().map(|point| point.2).collect();
    assert_eq!(values, [1.0, 2.0]);
    let uri = format!("sqlite:///{}", place.display());
    let again = sandbox.git_ml(&["import", "mlflow", &uri, "--json"]).success().json();
    assert_eq!(outcomes(&again), ["unchanged", "unchanged"]);
    assert_eq!(fs::read(&place).unwrap(), before);
}

#[test]
fn models_of_a_database_are_registered_once_and_aliases_that_point_elsewhere_stay() {
    let sandbox = Sandbox::new();
    let run = "aaaabbbbccccddddeeeeffff00001111";
    let artifacts = format!("/somewhere/mlruns/1/{run}/artifacts");
    let sql = format!(
        "CREATE TABLE alembic_version (version_num TEXT); INSERT INTO alembic_version VALUES ('x');
        CREATE TABLE experiments (experiment_id INTEGER, name TEXT, lifecycle_stage TEXT);
        CREATE TABLE runs (run_uuid TEXT, name TEXT, status TEXT, start_time BIGINT, experiment_id INTEGER,
            artifact_uri TEXT, lifecycle_stage TEXT);
        CREATE TABLE model_versions (name TEXT, version INTEGER, run_id TEXT, description TEXT, source TEXT,
            storage_location TEXT, current_stage TEXT);
        CREATE TABLE registered_model_aliases (name TEXT, alias TEXT, version INTEGER);
        INSERT INTO experiments VALUES (1, 'one', 'active');
        INSERT INTO runs VALUES ('{run}', 'a', 'FINISHED', 1000, 1, '{artifacts}', 'active');
        INSERT INTO model_versions VALUES ('digits', 1, '{run}', 'the first', '{artifacts}/one', NULL, 'None'),
            ('digits', 2, '{run}', NULL, '{artifacts}/two', NULL, 'None'),
            ('digits', 3, '{run}', NULL, '/etc', NULL, 'None'),
            ('digits', 4, '{run}', NULL, '{artifacts}/two', NULL, 'Deleted_Internal');
        INSERT INTO registered_model_aliases VALUES ('digits', 'production', 2), ('digits', 'gone', 3);"
    );
    let Some(place) = database(&sandbox, &sql) else { return };
    // The folder was moved with its database.
    for name in ["one", "two"] {
        sandbox.write(format!("mlruns/1/{run}/artifacts/{name}/MLmodel"), format!("name: {name}\n"));
    }
    let imported = import(&sandbox, "mlflow", &place);
    let left_out = imported["left_out"].as_array().unwrap();
    assert_eq!((left_out.len(), left_out[0]["what"].as_str()), (1, Some("digits version 3")));
    let model = sandbox.git_ml(&["model", "show", "digits@production", "--json"]).success().json();
    assert_eq!((model["version"].as_u64(), model["run"].as_str()), (Some(2), Some(run)));
    assert_eq!(sandbox.git_ml(&["cat", "digits@v1:MLmodel"]).success().stdout(), "name: one\n");
    let before = tips(&sandbox);
    import(&sandbox, "mlflow", &place);
    assert_eq!(tips(&sandbox), before);
    sandbox.git_ml(&["model", "alias", "digits", "production", "v1"]).success();
    let moved = tips(&sandbox);
    let imported = import(&sandbox, "mlflow", &place);
    assert_eq!(imported["left_out"][1]["why"], "it points to v1 here");
    assert_eq!(tips(&sandbox), moved);
    sandbox.git_ml(&["verify"]).success();
}
