//! `git ml report`: what a branch did, as a pull request shows it.

use insta::assert_snapshot;

use crate::sandbox::{Output, Sandbox};

/// A script that logs five epochs; what it reaches follows from its first number.
const TRAIN: &str = "\
import json, os, sys
top, lr = float(open('top.txt').read()), sys.argv[1]
log = open(os.environ['GIT_ML_LOG'], 'a')
for epoch in range(1, 6):
    value = top * epoch / 5
    log.write(json.dumps({'step': epoch, 'val_accuracy': value, 'val_loss': 1 - value, 'lr': float(lr)}) + '\\n')
log.write(json.dumps({'test_accuracy': top}) + '\\n')
";

const CONFIG: &str = "\
[experiments.fit]
command = \"python3 train.py {rate}\"
params = { rate = 0.1 }
inputs = [\"data/rows.csv\"]
";

/// A repository whose `main` has data and a run, and a branch `better` beside it.
fn project() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("train.py", TRAIN);
    sandbox.write("top.txt", "0.75");
    sandbox.write("ml.toml", CONFIG);
    sandbox.write("data/rows.csv", "x,y\n1,2\n3,4\n");
    sandbox.git_ml(&["track", "data/rows.csv"]).success();
    sandbox.commit("Begin to train");
    sandbox.git_ml(&["trust"]).success();
    sandbox.git_ml(&["run", "--quiet", "fit", "--name", "old-one"]).success();
    sandbox.git(&["switch", "--quiet", "-c", "better"]).success();
    sandbox
}

/// The branch gets better code, more data, two runs and a version.
fn improve(sandbox: &Sandbox) {
    sandbox.write("top.txt", "0.875");
    sandbox.write("data/rows.csv", "x,y\n1,2\n3,4\n5,6\n");
    sandbox.git_ml(&["track", "data/rows.csv"]).success();
    sandbox.commit("Reach further");
    sandbox.git_ml(&["run", "--quiet", "fit", "--name", "first-try"]).success();
    sandbox.git_ml(&["run", "--quiet", "fit", "-p", "rate=0.2", "--name", "new-one"]).success();
}

fn report(sandbox: &Sandbox, more: &[&str]) -> Output {
    sandbox.git_ml(&[&["report", "--against", "main"], more].concat()).success()
}

/// What differs from one machine to the next is replaced: lengths of time and short ids.
fn steady(sandbox: &Sandbox, text: &str) -> String {
    let mut text = text.to_owned();
    for revision in ["main", "better", "better~1", "HEAD"] {
        let output = sandbox.git(&["rev-parse", "--verify", "--quiet", revision]);
        if output.exit_code() == 0 {
            text = text.replace(&output.stdout()[..8], &format!("<{revision}>"));
        }
    }
    let mut parts = text.split(" after ");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit() || ".smhd ".contains(c));
        out += if rest.len() < part.len() { " after <time>" } else { " after " };
        out += rest;
    }
    out
}

#[test]
fn a_pull_request_says_what_changed() {
    let sandbox = project();
    improve(&sandbox);
    sandbox.write("model.bin", "weights");
    let script = "git ml output model.bin --name model --type model; git ml metric size=7";
    sandbox.git_ml(&["run", "--quiet", "--name", "packer", "--", "sh", "-c", script]).success();
    sandbox.git_ml(&["model", "register", "run:packer", "--name", "fit", "--note", "the | first"]).success();
    sandbox.git_ml(&["model", "promote", "fit", "staging"]).success();

    let text = report(&sandbox, &[]).stdout();
    assert_snapshot!(steady(&sandbox, &text), @r"
    <!-- git-ml report -->
    ## git ml report

    `fit`: **3 metrics better**; 1 change of data; 2 events of the registry

    1 commit on top of `main` at `<main>`, 3 runs.

    ### `fit`

    `new-one`, finished after <time>, on `<better>`, against `old-one`, finished after <time>, on `<main>`.

    | metric | base | here | change | verdict | curve |
    | --- | ---: | ---: | ---: | --- | --- |
    | `test_accuracy` | 0.75 | 0.875 | +0.125 | ✓ better |  |
    | `val_accuracy` | 0.75 | 0.875 | +0.125 | ✓ better | ▁▃▅▆█ |
    | `val_loss` | 0.25 | 0.125 | −0.125 | ✓ better | █▆▅▃▁ |
    | `lr` | 0.1 | 0.2 | +0.1 |  | ▄▄▄▄▄ |

    | parameter | base | here |
    | --- | --- | --- |
    | `rate` | `0.1` | `0.2` |

    <details>
    <summary>1 more run of this branch</summary>

    | run | status | commit | metrics |
    | --- | --- | --- | --- |
    | `first-try` | finished | `<better>` | `test_accuracy` 0.875, `val_accuracy` 0.875 |

    </details>

    ### `sh -c git ml output model.bin --name model --type model; git ml metric size=7`

    `packer`, finished after <time>, on `<better>`. There is no run of it on `main` to compare with.

    | metric | last |
    | --- | ---: |
    | `size` | 7 |

    ### Data

    | artifact | what | files | size | content |
    | --- | --- | --- | ---: | --- |
    | `data/rows.csv` | `dataset` changed | changed | 12 B → 16 B | `data/rows.csv` 2 → 3 rows, 1 added, 0 removed |

    ### Registry

    - `fit` `registered v1` by `Ada Tester`: `the | first`
    - `fit` `staging -> v1` by `Ada Tester`
    ");
    assert_eq!(report(&sandbox, &[]).stdout(), text, "the same again");
    // From a clone, at another time: the same.
    let clone = sandbox.clone_to("clone");
    sandbox.shell(&format!("git -C {} fetch -q origin '+refs/ml/*:refs/ml/*' main:main", clone.display())).success();
    sandbox.git_ml_in(&clone, &["report", "--against", "main", "--json"]).success();
    let there = sandbox.git_ml_in(&clone, &["report", "--against", "main"]).success().stdout();
    let metrics = |text: &str| text.split("### Data").next().unwrap().to_owned();
    assert_eq!(metrics(&there), metrics(&text));
    assert!(there.contains("is not in this clone; `git ml fetch` brings it"), "{there}");
}

#[test]
fn the_run_that_counts_is_the_one_of_the_newest_commit() {
    let sandbox = project();
    improve(&sandbox);
    sandbox.write("notes.txt", "nothing that a run reads");
    sandbox.commit("Take notes");
    // A run of an older commit that was made later, one that failed, and one with changes that nobody committed.
    sandbox.git(&["switch", "--quiet", "--detach", "main"]).success();
    sandbox.git_ml(&["run", "--quiet", "fit", "--name", "late-and-old"]).success();
    sandbox.git(&["switch", "--quiet", "better"]).success();
    let document = report(&sandbox, &["--json"]).json();
    let entry = &document["entries"][0];
    assert_eq!((&entry["run"]["name"], &entry["standing"]), (&"new-one".into(), &"older".into()));
    assert_eq!(entry["base"]["name"], "late-and-old", "of two runs on one commit with the same parameters, the newest");
    let text = report(&sandbox, &[]).stdout();
    assert!(text.contains("> ⚠ The run is 1 commit older than the branch: what came since is not measured."), "{text}");

    sandbox.write("top.txt", "0.5");
    sandbox.git_ml(&["run", "--quiet", "fit", "--name", "changed"]).success();
    let document = report(&sandbox, &["--json"]).json();
    assert_eq!(document["entries"][0]["run"]["name"], "changed");
    assert_eq!(document["entries"][0]["standing"], "uncommitted");
    assert_eq!(document["entries"][0]["metrics"]["test_accuracy"]["verdict"], "worse");
    // The same files, committed: then it is a run of that commit.
    sandbox.commit("Reach less");
    let document = report(&sandbox, &["--json"]).json();
    assert_eq!(document["entries"][0]["run"]["name"], "changed");
    assert_eq!(document["entries"][0]["standing"], "newest");
    // Also when a rebase gives the commit another name.
    sandbox.git(&["commit", "--quiet", "--amend", "--message", "Reach less far"]).success();
    assert_eq!(report(&sandbox, &["--json"]).json()["entries"][0]["standing"], "newest");
    // A run that fails counts only where no other did better.
    sandbox.write("train.py", "raise SystemExit('no')");
    sandbox.commit("Break it");
    sandbox.git_ml(&["run", "--quiet", "fit", "--name", "broken"]).code(1);
    assert_eq!(report(&sandbox, &["--json"]).json()["entries"][0]["run"]["name"], "changed");
    let text = report(&sandbox, &["broken"]).stdout();
    assert!(text.contains("> ⚠ The run did not finish: it is **failed**"), "{text}");
}

#[test]
fn the_merge_that_a_forge_checks_out_is_seen_through() {
    let sandbox = project();
    improve(&sandbox);
    let before = report(&sandbox, &[]).stdout();
    sandbox.git(&["switch", "--quiet", "main"]).success();
    sandbox.write("elsewhere.txt", "main goes on");
    sandbox.commit("Go on");
    sandbox.git(&["switch", "--quiet", "--detach", "main"]).success();
    sandbox.git(&["merge", "--quiet", "--no-ff", "--no-edit", "better"]).success();
    let document = report(&sandbox, &["--json"]).json();
    assert_eq!(document["entries"][0]["run"]["name"], "new-one");
    assert_eq!(document["entries"][0]["standing"], "newest");
    assert_eq!(report(&sandbox, &[]).stdout(), before);
}

#[test]
fn what_cannot_be_compared_is_said() {
    let sandbox = project();
    let nothing = report(&sandbox, &[]).stdout();
    assert!(nothing.contains("No commit that `main` does not have at"), "{nothing}");
    sandbox.write("notes.txt", "no run");
    sandbox.commit("Write");
    let nothing = report(&sandbox, &[]).stdout();
    assert!(nothing.contains("Nothing was measured: `git ml run` on this branch makes a run"), "{nothing}");
    assert_snapshot!(sandbox.git_ml(&["report", "--against", "origin/main"]).code(1), @"
    --- stderr
    error: `origin/main` is not a revision of this repository
    hint: `git log --oneline --all` lists commits
    --- exit 1
    ");
    sandbox.git(&["switch", "--quiet", "--orphan", "alone"]).success();
    sandbox.git(&["commit", "--quiet", "--allow-empty", "--message", "Alone"]).success();
    assert_snapshot!(sandbox.git_ml(&["report", "--against", "main"]).code(1), @"
    --- stderr
    error: HEAD and `main` have no commit in common here
    hint: name the branch that this one is to be merged into
    --- exit 1
    ");
    Sandbox::new().git_ml(&["report"]).one_line_error();
}

#[test]
fn runs_by_name_are_compared_with_the_first() {
    let sandbox = project();
    improve(&sandbox);
    let document = sandbox.git_ml(&["report", "old-one", "new-one", "--json"]).success().json();
    let names: Vec<_> = document["entries"].as_array().unwrap().iter().map(|entry| &entry["base"]["name"]).collect();
    assert_eq!(names, [&serde_json::Value::Null, &"old-one".into()]);
    let latest = sandbox.git_ml(&["report"]).success().stdout();
    assert!(latest.contains("### `fit`\n\n`new-one`, finished"), "{latest}");
}

#[test]
fn files_are_written_whole_and_the_picture_is_beside_the_report() {
    let sandbox = project();
    improve(&sandbox);
    let said = report(&sandbox, &["-o", "out.md"]);
    assert_eq!(said.stderr(), "wrote out.md and out.svg\n");
    assert!(sandbox.read("out.md").contains("\n![Curves of the main metrics](out.svg)\n"));
    let picture = sandbox.read("out.svg");
    assert!(
        picture.starts_with("<svg xmlns=") && picture.contains("here: new-one") && picture.contains("base: old-one")
    );
    for foreign in ["http://", "https://", "href", "<script", "url("] {
        assert!(!picture.replace("http://www.w3.org/2000/svg", "").contains(foreign), "{foreign}");
    }
    report(&sandbox, &["-o", "out.html"]);
    let page = sandbox.read("out.html");
    assert!(page.contains(&picture), "the page has the picture in it");
    let others = page.replace("http://www.w3.org/2000/svg", "");
    assert!(!others.contains("://") && !others.contains("<script"), "and needs nothing else");
    let printed = report(&sandbox, &["--format", "html"]).stdout();
    assert_eq!(printed, page);
    sandbox.git_ml(&["report", "-o", "data"]).one_line_error();
}

#[test]
fn a_gate_decides_only_where_it_is_asked() {
    let sandbox = project();
    improve(&sandbox);
    let gates = "\n[gates.merge]\nrequire = [\"metrics.test_accuracy >= 0.8\", \"not dirty\"]\n\
                 [gates.release]\nrequire = [\"metrics.test_accuracy >= 0.99\"]\n";
    sandbox.write("ml.toml", CONFIG.to_owned() + gates);
    sandbox.commit("Ask for more");
    report(&sandbox, &[]);
    let passed = report(&sandbox, &["--gate", "merge"]).stdout();
    assert!(passed.contains("gate `merge`: **passed**"), "{passed}");
    assert!(passed.contains("| `merge` | `new-one` | `metrics.test_accuracy >= 0.8` |"), "{passed}");
    let arguments = ["report", "--against", "main", "--gate", "merge", "--gate", "release", "-o", "out.html"];
    let refused = sandbox.git_ml(&arguments).code(3);
    assert!(refused.stderr().contains("new-one does not pass the gate release"), "{refused}");
    assert!(refused.stderr().contains("metrics.test_accuracy is 0.875"), "{refused}");
    assert!(sandbox.read("out.html").contains("✗ fails"), "it is written all the same");
    let document = sandbox.git_ml(&["report", "--against", "main", "--gate", "release", "--json"]).code(3).json();
    assert_eq!(document["gates"][0]["passed"], false);
    // Where nothing was measured nothing passes.
    let nothing = ["report", "--against", "main", "--gate", "merge", "--experiment", "other"];
    let refused = sandbox.git_ml(&nothing).code(3);
    assert!(refused.stderr().contains("there is no run that could pass the gate merge"), "{refused}");
    assert_snapshot!(sandbox.git_ml(&["report", "--against", "main", "--gate", "nightly"]).code(1), @"
    --- stderr
    error: ml.toml has no gate `nightly`
    hint: there are merge, release
    --- exit 1
    ");
}
