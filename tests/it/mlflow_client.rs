//! MLflow's own Python client, unchanged: `scripts/mlflow install` installs it. The scripts are in `tests/it/mlflow/`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::sandbox::{Output, Sandbox};
use std::io::{BufRead, BufReader};

/// The Python that has MLflow; none where it is not installed, which is said.
fn python() -> Option<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/mlflow");
    let known = Command::new(&script).arg("path").stderr(Stdio::null()).output().unwrap();
    if !known.status.success() {
        eprintln!("skipped: MLflow is not installed (`scripts/mlflow install`)");
        return None;
    }
    Some(Path::new(String::from_utf8(known.stdout).unwrap().trim()).join("bin/python"))
}

/// The same with modules that only some machines have, such as `torch`; none where one is missing, which is said.
fn python_with(modules: &[&str]) -> Option<PathBuf> {
    let python = match std::env::var_os("GIT_ML_TEST_PYTHON") {
        Some(python) => PathBuf::from(python),
        None => python()?,
    };
    let import = format!("import mlflow, {}", modules.join(", "));
    let known = Command::new(&python).args(["-c", &import]).stderr(Stdio::null()).status().unwrap();
    if !known.success() {
        eprintln!("skipped: the Python in GIT_ML_TEST_PYTHON has not all of mlflow, {}", modules.join(", "));
        return None;
    }
    Some(python)
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/mlflow").join(name)
}

/// A repository in whose environment the client neither phones home nor guesses.
fn sandbox() -> Sandbox {
    let mut sandbox = Sandbox::new();
    for (name, value) in [("MLFLOW_DISABLE_TELEMETRY", "true"), ("DO_NOT_TRACK", "true"), ("MPLCONFIGDIR", "/tmp")] {
        sandbox.set_env(name, value);
    }
    sandbox
}

/// `git ml mlflow serve`, ended when it is dropped.
struct Served {
    server: Child,
    url: String,
}

impl Served {
    fn start(sandbox: &Sandbox) -> Self {
        let mut command = sandbox.git_ml_command();
        let mut server = command.args(["mlflow", "serve", "--port", "0"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut url = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut url).unwrap();
        Self { server, url: url.trim().to_owned() }
    }

    /// Runs a script as its client.
    fn run(&self, sandbox: &Sandbox, python: &Path, name: &str) -> Output {
        let mut command = sandbox.command(python);
        command.arg(script(name)).env("MLFLOW_TRACKING_URI", &self.url);
        sandbox.run(command).success()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn run_id(output: &Output) -> String {
    let stdout = output.stdout();
    stdout.lines().find_map(|line| line.strip_prefix("run ")).unwrap().to_owned()
}

/// The names of a run's outputs, sorted.
fn outputs(run: &serde_json::Value) -> Vec<String> {
    let outputs = run["outputs"].as_array().unwrap().iter();
    let mut names: Vec<String> = outputs.map(|output| output["name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// What `git ml` knows of what `register.py` did.
fn check_registered(sandbox: &Sandbox, run_id: &str) {
    let version = sandbox.git_ml(&["model", "show", "Iris@production", "--json"]).success().json();
    assert_eq!(version["version"], 1);
    assert_eq!(version["run"], run_id);
    assert_eq!(version["note"], "the first one");
    assert_eq!(version["aliases"], serde_json::json!(["production"]));
    let run = sandbox.git_ml(&["show", run_id, "--json"]).success().json();
    assert_eq!(run["status"], "finished");
    assert_eq!(run["params"]["C"], "0.5");
    assert!(run["metrics"]["accuracy"]["last"].as_f64().unwrap() > 0.9);
    let model = run["outputs"].as_array().unwrap().iter().find(|output| output["name"] == "classifier").unwrap();
    assert_eq!((&model["type"], &model["id"]), (&"model".into(), &version["id"]));
    // The bytes are an artifact like any other, and everything fits together.
    let place = sandbox.path("exported");
    sandbox.git_ml(&["model", "get", "Iris@production", "-o", place.to_str().unwrap()]).success();
    assert!(place.join("MLmodel").is_file());
    sandbox.git_ml(&["verify", "--all"]).success();
}

#[test]
fn a_model_is_logged_registered_and_loaded_by_alias_under_git_ml_run() {
    let Some(python) = python() else { return };
    let sandbox = sandbox();
    let output = sandbox.git_ml(&["run", "--", python.to_str().unwrap(), script("register.py").to_str().unwrap()]);
    let run_id = run_id(&output.success());
    check_registered(&sandbox, &run_id);
}

#[test]
fn the_same_script_works_with_a_server_and_what_it_did_is_there_after_it() {
    let Some(python) = python() else { return };
    let sandbox = sandbox();
    let served = Served::start(&sandbox);
    let run_id = run_id(&served.run(&sandbox, &python, "register.py"));
    drop(served);
    check_registered(&sandbox, &run_id);
    // And again with another server: the second version of the same model.
    let served = Served::start(&sandbox);
    let mut command = sandbox.command(&python);
    let load = "import mlflow; print(type(mlflow.pyfunc.load_model('models:/Iris@production')).__name__)";
    command.args(["-c", load]).env("MLFLOW_TRACKING_URI", &served.url);
    assert!(sandbox.run(command).success().stdout().contains("PyFuncModel"));
}

#[test]
fn files_are_uploaded_listed_and_downloaded() {
    let Some(python) = python() else { return };
    let sandbox = sandbox();
    let output = sandbox.git_ml(&["run", "--", python.to_str().unwrap(), script("files.py").to_str().unwrap()]);
    let run_id = run_id(&output.success());
    let run = sandbox.git_ml(&["show", &run_id, "--json"]).success().json();
    let expected =
        ["config", "data", "image.png", "many", "notes.txt", "plot.png", "some where", "table.json", "text.md"];
    assert_eq!(outputs(&run), expected);
    let target = format!("run:{run_id}:data");
    assert!(sandbox.git_ml(&["manifest", &target]).success().stdout().contains("deep/er/zeros.bin"));
    assert_eq!(sandbox.git_ml(&["cat", &format!("run:{run_id}:text.md")]).success().stdout(), "other words");
    sandbox.git_ml(&["verify", "--all"]).success();
}

#[test]
fn autologging_and_system_metrics_arrive() {
    let Some(python) = python() else { return };
    let sandbox = sandbox();
    let served = Served::start(&sandbox);
    let run_id = run_id(&served.run(&sandbox, &python, "autolog.py"));
    drop(served);
    let run = sandbox.git_ml(&["show", &run_id, "--json"]).success().json();
    assert_eq!((&run["experiment"], &run["name"]), (&"forests".into(), &"forest".into()));
    assert!(run["metrics"].as_object().unwrap().keys().any(|name| name.starts_with("system/")));
    assert!(run["outputs"].as_array().unwrap().iter().any(|output| output["type"] == "model"), "{run:#}");
    let runs = sandbox.git_ml(&["log", "--json"]).success().json();
    assert_eq!(runs.as_array().unwrap().len(), 3, "the search and its two candidates");
}

#[test]
fn models_of_pytorch_are_logged_registered_and_loaded_by_alias() {
    let Some(python) = python_with(&["torch"]) else { return };
    let sandbox = sandbox();
    let output = sandbox.git_ml(&["run", "--", python.to_str().unwrap(), script("torch_models.py").to_str().unwrap()]);
    let run_id = run_id(&output.success());
    let run = sandbox.git_ml(&["show", &run_id, "--json"]).success().json();
    assert_eq!((&run["params"]["optimizer"], &run["status"]), (&"Adam".into(), &"finished".into()));
    let points = sandbox.git_ml(&["show", &run_id, "--metric", "loss", "--json"]).success().json();
    assert_eq!(points.as_array().unwrap().len(), 20);
    assert_eq!(outputs(&run), ["checkpoint", "net", "states"]);
    let version = sandbox.git_ml(&["model", "show", "Net@production", "--json"]).success().json();
    let net = run["outputs"].as_array().unwrap().iter().find(|output| output["name"] == "net").unwrap();
    assert_eq!((&version["run"], &version["id"]), (&run_id.as_str().into(), &net["id"]));
    sandbox.git_ml(&["verify", "--all"]).success();
}

#[test]
fn autologging_of_lightning_arrives() {
    let Some(python) = python_with(&["torch", "lightning"]) else { return };
    let sandbox = sandbox();
    let script = script("lightning_autolog.py");
    let output = sandbox.git_ml(&["run", "--", python.to_str().unwrap(), script.to_str().unwrap()]);
    let run_id = run_id(&output.success());
    let run = sandbox.git_ml(&["show", &run_id, "--json"]).success().json();
    assert_eq!((&run["params"]["optimizer_name"], &run["params"]["epochs"]), (&"SGD".into(), &"3".into()));
    assert!(run["metrics"]["train_loss_epoch"]["last"].is_number(), "{run:#}");
    assert!(run["outputs"].as_array().unwrap().iter().any(|output| output["type"] == "model"), "{run:#}");
}

#[test]
fn a_file_is_sent_and_fetched_in_parts() {
    let Some(python) = python() else { return };
    let mut sandbox = sandbox();
    // The client's own bounds are for files of more than 500 MB.
    for (name, value) in [
        ("MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD", "true"),
        ("MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE", "5242880"),
        ("MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE", "5242880"),
        ("LARGE_BYTES", "24000000"),
    ] {
        sandbox.set_env(name, value);
    }
    let output = sandbox.git_ml(&["run", "--", python.to_str().unwrap(), script("large.py").to_str().unwrap()]);
    let run_id = run_id(&output.success());
    let run = sandbox.git_ml(&["show", &run_id, "--json"]).success().json();
    assert_eq!(run["outputs"][0]["bytes"], 24_000_000);
}
