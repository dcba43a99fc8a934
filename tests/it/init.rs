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
    installed the hooks post-checkout, post-merge, pre-push

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
    template  what it is
    digits    reads handwritten digits: 1,797 images of 8×8, a small CNN and an MLP
    --- exit 0
    ");
    insta::assert_snapshot!(sandbox.git_ml(&["init", "--template", "digts"]).code(1), @"
    --- stderr
    error: there is no template `digts`; there is digits
    hint: `git ml init --list-templates` says what there is
    --- exit 1
    ");
    assert!(!sandbox.exists(".git"));
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
