//! Completion, in bash itself and through what zsh and fish ask.

use crate::sandbox::Sandbox;

/// A repository with data, a run and a model.
fn project() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("data/points/a.csv", "1,2\n");
    sandbox.write("deep/file", "x\n");
    sandbox.write("ml.toml", "[experiments.baseline]\ndescription = \"The plain one\"\ncommand = \"true\"\n");
    sandbox.git_ml(&["track", "data/points"]).success();
    sandbox.commit("Track points");
    let script = "echo x > weights; git ml output weights --type model; git ml metric loss=1";
    sandbox.git_ml(&["run", "--name", "first-run", "--", "sh", "-c", script]).success();
    sandbox.git_ml(&["model", "register", "run:@", "--name", "digits"]).success();
    sandbox.git_ml(&["model", "alias", "digits", "production", "v1"]).success();
    sandbox
}

/// What may stand at the last of `words`.
fn offered(sandbox: &Sandbox, words: &[&str]) -> Vec<String> {
    let at = (words.len() - 1).to_string();
    let arguments = [&["completions", "--at", &at, "--"], words].concat();
    let lines = sandbox.git_ml(&arguments).success().stdout();
    lines.lines().map(|line| line.split('\t').next().unwrap_or_default().to_owned()).collect()
}

/// What bash makes of TAB after `line`.
fn completed_by_bash(sandbox: &Sandbox, line: &str) -> String {
    // Readline itself cuts the line into words; here the characters that it cuts at are given their own words.
    let script = r#"
        source <(git-ml completions bash)
        COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDS=()
        rest=$1
        while [[ $rest =~ ^[[:space:]]*([=:@]+|[^[:space:]=:@]+)(.*)$ ]]; do
            COMP_WORDS+=("${BASH_REMATCH[1]}")
            rest=${BASH_REMATCH[2]}
        done
        [[ $1 != *' ' ]] || COMP_WORDS+=("")
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        if [[ $1 == git-ml* ]]; then __git_ml_complete; else _git_ml; fi
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let mut command = sandbox.command("bash");
    command.args(["--norc", "-c", script, "bash", line]);
    sandbox.run(command).success().stdout().trim_end().to_owned()
}

#[test]
fn names_of_the_repository_complete() {
    let sandbox = project();
    assert_eq!(offered(&sandbox, &["git-ml", "show", "f"]), ["first-run"]);
    assert_eq!(offered(&sandbox, &["git-ml", "show", "--metric", ""]), ["loss"]);
    assert_eq!(offered(&sandbox, &["git-ml", "run", "b"]), ["baseline"]);
    assert_eq!(offered(&sandbox, &["git-ml", "manifest", ""]), ["data/points", "digits@", "run:"]);
    assert_eq!(offered(&sandbox, &["git-ml", "manifest", "digits@"]), ["digits@production", "digits@v1"]);
    assert_eq!(offered(&sandbox, &["git-ml", "manifest", "run:first-run:"]), ["run:first-run:weights"]);
    assert_eq!(offered(&sandbox, &["git-ml", "cat", "data/points:"]), ["data/points:a.csv"]);
    assert_eq!(offered(&sandbox, &["git-ml", "model", "history", "d"]), ["digits"]);
    assert_eq!(offered(&sandbox, &["git-ml", "model", "show", "d"]), ["digits@"]);
    assert_eq!(offered(&sandbox, &["git-ml", "model", "alias", "digits", "p"]), ["production"]);
}

#[test]
fn bash_completes_both_ways_of_typing() {
    let sandbox = project();
    assert_eq!(completed_by_bash(&sandbox, "git-ml untr"), "untrack");
    assert_eq!(completed_by_bash(&sandbox, "git ml untr"), "untrack");
    assert_eq!(completed_by_bash(&sandbox, "git ml show "), "@\nfirst-run");
    assert_eq!(completed_by_bash(&sandbox, "git -C deep/.. ml show f"), "first-run");
    assert_eq!(completed_by_bash(&sandbox, "git -C .. ml show f"), "");
    // Bash replaces only what follows the last character that it cuts at.
    assert_eq!(completed_by_bash(&sandbox, "git ml manifest digits@p"), "production");
    assert_eq!(completed_by_bash(&sandbox, "git ml manifest run:f"), "first-run");
    assert_eq!(completed_by_bash(&sandbox, "git ml manifest run:first-run:"), "weights");
}

#[test]
fn nothing_is_offered_and_nothing_said_outside_of_a_repository() {
    let sandbox = Sandbox::without_repository();
    let output = sandbox.git_ml(&["completions", "--at", "2", "--", "git-ml", "show", ""]).success();
    assert_eq!(output.stderr(), "");
}

#[test]
fn there_is_a_script_for_each_shell() {
    let sandbox = Sandbox::without_repository();
    for shell in ["bash", "zsh", "fish"] {
        let script = sandbox.git_ml(&["completions", shell]).success().stdout();
        assert!(script.contains("git-ml completions --at"), "{shell}");
    }
}
