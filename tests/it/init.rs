//! `git ml init` in every kind of place.

use crate::sandbox::Sandbox;

#[test]
fn a_template_makes_a_project_that_works_and_a_second_time_nothing_changes() {
    let sandbox = Sandbox::without_repository();
    let output = sandbox.git(&["ml", "init", "--template", "digits"]).success();
    insta::assert_snapshot!(output, @"
    --- stderr
    made a git repository in <repo>
    wrote .github/workflows/verify.yml
    wrote .gitignore
    wrote README.md
    wrote data/digits/images-idx3-ubyte.gz
    wrote data/digits/labels-idx1-ubyte.gz
    wrote ml.toml
    tracked data/digits: 2 files, 43.2 KiB, pointer data/digits.mlref
    installed the hooks post-checkout, post-merge, pre-commit, pre-push, and the merge driver for pointers

    Type this next:
        git add --all && git commit -m 'Begin with digits'  # git gets the project and the pointer
        git ml train cnn                                    # train the network, as a run
        git ml ui                                           # watch it
    --- exit 0
    ");
    sandbox.commit("Begin");
    assert_eq!(sandbox.git(&["ls-files", "data"]).success().stdout(), "data/.gitignore\ndata/digits.mlref\n");
    let status = sandbox.git(&["ml", "status", "--json"]).success().json();
    assert_eq!(status["artifacts"][0]["state"], "clean");
    // The same bytes have the same id everywhere.
    let id = "1fe6bcf84a09088d8dd29b0075d743d8e7a1a3fb14c6c868dd5a9178c1c843de";
    assert_eq!(status["artifacts"][0]["id"], id);

    sandbox.git(&["ml", "init", "--template", "digits", "--quiet"]).success();
    sandbox.git_ml_in("data", &["init", "--quiet"]).success();
    assert_eq!(sandbox.git(&["status", "--porcelain", "--ignored"]).success().stdout(), "!! data/digits/\n");
}

#[test]
fn an_existing_repository_keeps_what_it_has() {
    let sandbox = Sandbox::new();
    let output = sandbox.git(&["ml", "init", "--template", "digits"]).success();
    assert!(output.stderr().contains("left README.md as it is"), "{output}");
    assert_eq!(sandbox.read("README.md"), "A repository for a test.\n");
    let changes = sandbox.git(&["status", "--porcelain"]).success().stdout();
    assert_eq!(changes, "?? .github/\n?? .gitignore\n?? data/\n?? ml.toml\n");
}

#[test]
fn a_conflict_is_one_error_and_nothing_is_written() {
    let sandbox = Sandbox::new();
    sandbox.write("ml.toml", "[experiments.mine]\ncommand = \"true\"\n");
    sandbox.write(".github/workflows/verify.yml", "mine\n");
    let before = sandbox.shell("find . -path ./.git -prune -o -type f -print | sort; ls .git .git/hooks").stdout();
    insta::assert_snapshot!(sandbox.git(&["ml", "init", "--template", "digits"]).code(1), @"
    --- stderr
    error: the template would overwrite .github/workflows/verify.yml, ml.toml
    hint: move them away, or start in a new folder: nothing was written
    --- exit 1
    ");
    let after = sandbox.shell("find . -path ./.git -prune -o -type f -print | sort; ls .git .git/hooks").stdout();
    assert_eq!(after, before);
}

#[test]
fn templates_are_listed_and_others_are_unknown() {
    let sandbox = Sandbox::without_repository();
    insta::assert_snapshot!(sandbox.git_ml(&["init", "--list-templates"]).success(), @"
    --- stdout
    template   what it is
    digits     reads handwritten digits: 1,797 images of 8×8, a small CNN and an MLP
    mnist      reads handwritten digits: 70,000 images of 28×28, three CNNs up to 99 of 100 right
    cifar10    tells tiny photographs apart: three ResNet-18s, and a ResNet-50 that knows ImageNet
    sentiment  tells praise from blame in sentences: naive Bayes, logistic regression, few labels
    grocery    tells photographs of groceries apart: a fifth of the labels, or all and a CNN
    python     runs a Python script that knows nothing of git ml
    --- exit 0
    ");
    insta::assert_snapshot!(sandbox.git_ml(&["init", "--template", "digts"]).code(1), @"
    --- stderr
    error: there is no template `digts`; there is digits, mnist, cifar10, sentiment, grocery, python
    hint: `git ml init --list-templates` says what there is
    --- exit 1
    ");
    assert!(!sandbox.exists(".git"));
}

#[test]
fn data_that_is_not_embedded_is_brought_whole_or_not_at_all() {
    let mut sandbox = Sandbox::without_repository();
    sandbox.git(&["ml", "init", "--template", "mnist", "--quiet"]).success();
    insta::assert_snapshot!(sandbox.shell("data/fetch --from nowhere").code(1), @"
    --- stderr
    error: there is no folder 'nowhere'
    hint: data/fetch --from FOLDER
    --- exit 1
    ");
    // Half of the files, then all of them, some of them unpacked.
    let files = [
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte.gz",
    ];
    for name in &files[..2] {
        sandbox.write(format!("../source/{name}"), name);
    }
    let told = sandbox.shell("data/fetch --from ../source").one_line_error();
    assert!(told.stderr().starts_with("error: ../source has no t10k-images-idx3-ubyte.gz\n"), "{told}");
    assert_eq!(sandbox.shell("ls -A data").success().stdout(), "fetch\n");
    for name in &files[2..] {
        sandbox.write(format!("../source/{name}"), name);
    }

    // A download that is not what it should be, and none at all.
    for name in ["train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz"] {
        sandbox.write(format!("../source/{name}"), name);
    }
    if sandbox.shell("command -v curl").exit_code() == 0 {
        let source = sandbox.root().join("source").display().to_string();
        sandbox.set_env("MNIST_URL", format!("file://{source}"));
        let told = sandbox.shell("data/fetch").one_line_error();
        assert!(told.stderr().contains("is not MNIST\nhint: the SHA-256 differs: train-images"), "{told}");
        sandbox.set_env("MNIST_URL", format!("file://{source}/nothing"));
        let told = sandbox.shell("data/fetch").one_line_error();
        assert!(told.stderr().starts_with("error: cannot download file://"), "{told}");
        assert!(told.stderr().contains("put them in a folder, and type: data/fetch --from FOLDER"), "{told}");
        assert_eq!(sandbox.shell("ls -A data").success().stdout(), "fetch\n");
        if let Ok(real) = std::env::var("GIT_ML_TEST_DATA") {
            sandbox.set_env("MNIST_URL", format!("file://{real}/mnist"));
            sandbox.shell("data/fetch && rm -r data/mnist").success();
        }
    }

    sandbox.shell("data/fetch --from ../source").success();
    assert_eq!(sandbox.shell("ls data/mnist | wc -l").success().stdout().trim(), "4");
    assert_eq!(sandbox.shell("ls -A data").success().stdout(), "fetch\nmnist\n");
    let told = sandbox.shell("data/fetch --from ../source").one_line_error();
    assert!(told.stderr().starts_with("error: data/mnist is there already"), "{told}");
}

#[test]
fn the_python_template_runs_a_script_as_it_is() {
    let sandbox = Sandbox::without_repository();
    if sandbox.shell("command -v python3").exit_code() != 0 {
        eprintln!("python3 is not there: the template `python` is not tested");
        return;
    }
    sandbox.git(&["ml", "init", "--template", "python", "--quiet"]).success();
    sandbox.shell("python3 data/make").success();
    sandbox.git_ml(&["track", "data/python"]).success();
    sandbox.commit("Begin");
    let mut models = Vec::new();
    for _ in 0..2 {
        sandbox.git_ml(&["run", "train", "-p", "epochs=20"]).success();
        let run = sandbox.git_ml(&["show", "@", "--json"]).success().json();
        assert_eq!((&run["status"], &run["params"]["epochs"]), (&"finished".into(), &"20".into()));
        assert_eq!(run["inputs"][0]["path"], "data/python");
        assert!(run["metrics"]["val_loss"]["last"].is_number(), "{run:#}");
        assert!(run["metrics"]["test_accuracy"]["last"].as_f64().unwrap() > 0.9, "{run:#}");
        models.push(run["outputs"][0]["id"].clone());
    }
    assert_eq!(models[0], models[1]);
    assert!(sandbox.git_ml(&["show", "@", "--log"]).success().stdout().contains("epoch 20: loss "));
    sandbox.git_ml(&["model", "register", "run:@:model", "--name", "moons"]).success();
    sandbox.git_ml(&["verify", "--all", "--deep"]).success();
    assert_eq!(sandbox.git(&["status", "--porcelain"]).success().stdout(), "");
    // It runs alone too.
    sandbox.shell("python3 train.py --epochs 1").success();
}

#[test]
fn a_shared_hooks_folder_is_left_alone() {
    let sandbox = Sandbox::new();
    let shared = sandbox.root().join("hooks of all");
    sandbox.git(&["config", "core.hooksPath", shared.to_str().unwrap()]).success();
    let output = sandbox.git(&["ml", "init"]).success();
    assert!(output.stderr().contains("warning: no hooks were installed: git runs hooks from"), "{output}");
    assert!(!shared.exists());
    insta::assert_snapshot!(sandbox.git(&["ml", "hook", "install"]).code(1), @"
    --- stderr
    error: git runs hooks from <root>/hooks of all, which is outside of this repository
    hint: `git config core.hooksPath .git/hooks` gives this repository hooks of its own; `git ml hook install --force` adds to those of all your repositories
    --- exit 1
    ");
    sandbox.git(&["ml", "hook", "install", "--force"]).success();
    assert!(shared.join("pre-push").exists());
    sandbox.git(&["ml", "hook", "uninstall", "--force"]).success();
    assert!(!shared.join("pre-push").exists());
}
