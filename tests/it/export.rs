//! Exporting runs, and reading what was exported.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::sandbox::Sandbox;

/// A repository with two runs, of which the second has all that a run can have.
fn with_runs() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.git_ml(&["run", "--name", "plain", "--", "true"]).success();
    let script = "git ml metric loss=0.5 acc=NaN --step 1 && git ml metric loss=0.25 big=1e300 --step 2 && \
                  git ml param lr=0.1 'opt/name=two\nlines' && mkdir -p out && echo '{}' > out/MLmodel && \
                  echo hello > out/model.txt && git ml output out --name model --type model && \
                  echo text > notes.txt && git ml output notes.txt && exit 3";
    sandbox.git_ml(&["run", "--name", "whole", "--tag", "team=a b", "--", "sh", "-c", script]).code(3);
    sandbox.git_ml(&["note", "whole", "look, here"]).success();
    sandbox
}

fn runs(sandbox: &Sandbox) -> BTreeMap<String, Value> {
    let list = sandbox.git_ml(&["log", "--json"]).success().json();
    let whole = |run: &Value| {
        let name = run["name"].as_str().unwrap().to_owned();
        let shown = sandbox.git_ml(&["show", run["id"].as_str().unwrap(), "--json"]).success().json();
        (name, shown)
    };
    list.as_array().unwrap().iter().map(whole).collect()
}

#[test]
fn runs_are_exported_as_tables() {
    let sandbox = with_runs();
    let text = sandbox.git_ml(&["export", "csv", "--where", "params.lr = '0.1'"]).success().stdout();
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let row = lines.next().unwrap();
    assert!(lines.next().is_none_or(|line| !line.contains("finished")), "only one run has it: {text}");
    assert!(row.contains(",whole,failed,"), "{row}");
    for name in ["id", "started", "params.lr", "params.opt/name", "metrics.loss", "metrics.acc", "tags.team", "note"] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    let points = sandbox.git_ml(&["export", "csv", "--table", "points"]).success().stdout();
    let values: Vec<&str> = points.lines().skip(1).map(|line| line.rsplit(',').next().unwrap()).collect();
    let mut sorted = values.clone();
    sorted.sort_unstable();
    let own: Vec<&str> = sorted.into_iter().filter(|value| ["0.25", "0.5", "NaN"].contains(value)).collect();
    assert_eq!(own, ["0.25", "0.5", "NaN"], "{points}");

    sandbox.git_ml(&["export", "parquet", "--output", "tables"]).success();
    for name in ["runs", "points"] {
        let bytes = sandbox.read_bytes(format!("tables/{name}.parquet"));
        assert!(bytes.starts_with(b"PAR1") && bytes.ends_with(b"PAR1"), "{name}");
    }
    sandbox.git_ml(&["export", "csv", "-o", "only.csv"]).success();
    assert_eq!(sandbox.read("only.csv").lines().next().unwrap().split(',').next(), Some("id"));
    sandbox.git_ml(&["export", "csv", "--where", "nonsense ="]).code(1).one_line_error();
}

#[test]
fn what_is_exported_to_mlflow_and_imported_again_is_the_same() {
    let sandbox = with_runs();
    let exported = sandbox.git_ml(&["export", "mlflow", "out/mlruns", "--json"]).success().json();
    assert_eq!((exported["exported"].as_u64(), exported["left_out"].as_array().unwrap().len()), (Some(2), 0));
    let again = sandbox.git_ml(&["export", "mlflow", "out/mlruns", "--json"]).success().json();
    assert_eq!((again["exported"].as_u64(), again["present"].as_u64()), (Some(0), Some(2)));

    let other = Sandbox::new();
    let place = sandbox.path("out/mlruns");
    let imported = other.git_ml(&["import", "mlflow", place.to_str().unwrap(), "--json"]).success().json();
    assert_eq!(imported["left_out"], serde_json::json!([]));
    let (ours, theirs) = (runs(&sandbox), runs(&other));
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    for (name, run) in &ours {
        let copy = &theirs[name];
        for field in ["id", "name", "status", "params", "metrics", "note", "user"] {
            assert_eq!(run[field], copy[field], "{field} of {name}");
        }
        let outputs = |run: &Value| -> BTreeMap<String, Value> {
            let outputs = run["outputs"].as_array().unwrap().iter();
            outputs.map(|output| (output["name"].as_str().unwrap().to_owned(), output["id"].clone())).collect()
        };
        assert_eq!(outputs(run), outputs(copy), "outputs of {name}");
        for (tag, value) in run["tags"].as_object().unwrap() {
            assert_eq!(copy["tags"][tag], *value, "{tag} of {name}");
        }
    }
    // A run that is at home here is not replaced by what was exported of it.
    let before = sandbox.git(&["for-each-ref", "refs/ml"]).success().stdout();
    let home = sandbox.git_ml(&["import", "mlflow", "out/mlruns", "--json"]).success().json();
    assert!(home["runs"].as_array().unwrap().iter().all(|run| run["outcome"] == "unchanged"));
    assert_eq!(sandbox.git(&["for-each-ref", "refs/ml"]).success().stdout(), before);
}

#[test]
fn addresses_that_are_none_are_refused() {
    let sandbox = Sandbox::new();
    for place in ["ftp://example.org", "http://user:secret@example.org", "http://"] {
        let output = sandbox.git_ml(&["export", "mlflow", place]).code(1).one_line_error();
        assert!(!output.stderr().contains("secret"), "{}", output.stderr());
    }
}
