//! What holds for every command: help, version, exit codes, and words on stderr.

use clap::Command;

use crate::sandbox::Sandbox;

#[test]
fn the_version_is_that_of_the_package() {
    let sandbox = Sandbox::without_repository();
    let expected = format!("git-ml {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(sandbox.git_ml(&["--version"]).success().stdout(), expected);
    assert_eq!(sandbox.git(&["ml", "--version"]).success().stdout(), expected);
}

#[test]
fn the_help_lists_the_commands() {
    let sandbox = Sandbox::without_repository();
    insta::assert_snapshot!(sandbox.git_ml(&["-h"]).success(), @r"
    --- stdout
    Datasets, training runs, a model registry and a dashboard inside your git repository, with no server

    Usage: git ml [OPTIONS] <COMMAND>

    Start:
      init         Set up git ml in this repository, or start a project from a template
      doctor       Say what works here, what does not, and how to mend it
      trust        Approve what this repository's ml.toml may run

    Artifacts:
      track        Store files or folders and write pointers for git to track
      untrack      Stop tracking; the data stays where it is
      status       Show which artifacts changed, are missing or not stored
      checkout     Bring data in line with the pointers
      diff         Show what differs between versions of artifacts
      manifest     Print the list of an artifact's files
      cat          Print a file of an artifact
      import       Make artifacts or runs of what other tools keep

    Remotes:
      remote       Say where artifacts are pushed to and pulled from
      push         Send tracked artifacts, registered versions and runs to a remote
      pull         Fetch artifacts and runs from a remote, then bring the data in line with the pointers
      fetch        Fetch artifacts and runs from a remote and leave the work tree as it is

    Runs:
      run          Run a command, or an experiment of ml.toml, as a tracked run
      train        Train an experiment of ml.toml through libtorch
      log          List runs, newest first
      show         Show runs
      compare      Show in what runs differ
      tag          Set tags of a run, or remove them
      note         Write a note on a run
      rm           Remove runs from the lists, or bring them back
      export       Write runs as tables or as MLflow keeps them, models as bills of materials, signatures as files
      reproduce    Run a recorded run once more, and say whether it comes out the same
      bisect       Find the commit that broke a metric
      report       Say what a branch did to metrics, parameters, data and the registry
      ui           Open the dashboard: runs as they happen, their charts and logs, and the registry
      mlflow       Serve this repository to MLflow's clients

    Inside a run, from any script:
      metric       Log metrics to the run that this is called in
      param        Log parameters to the run that this is called in
      output       Store a file or folder as an output of the run that this is called in

    Registry:
      model        Register models, move aliases, look at versions
      dataset      Register data sets, move aliases, look at versions
      lineage      Show what something came from and what came from it

    Verification and the store:
      verify       Check artifacts, runs, the registry and refs
      sign         Sign a dataset or model, or say who signed it
      attest       Sign how a run's outputs were made: code, data, parameters, environment
      fsck         Check the store and mend what can be mended
      du           Show how much the artifacts and the store take
      gc           Give back the room of what nothing names any more

    More:
      hook         Install git's hooks and the merge driver for pointers, or run one
      completions  Print a completion script for a shell

    Options:
      -C <DIR>       Work as if started in this folder
      -q, --quiet    Say less
      -v, --verbose  Say more
      -h, --help     Print help
      -V, --version  Print version

    The help of a command: git ml help COMMAND
    --- exit 0
    ");
}

#[test]
fn every_command_says_what_it_is_for() {
    fn check(command: &Command, path: &str) {
        let about = command.get_about().unwrap_or_else(|| panic!("`{path}` does not say what it is for")).to_string();
        assert!(about.starts_with(|c: char| c.is_uppercase()), "`{path}`: {about}");
        assert!(!about.ends_with('.') && !about.contains('\n'), "`{path}`: {about}");
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some() || argument.is_hide_set(), "`{path}`: {}", argument.get_id());
        }
        let shown = |command: &&Command| !command.is_hide_set() && command.get_name() != "help";
        for subcommand in command.get_subcommands().filter(shown) {
            check(subcommand, &format!("{path} {}", subcommand.get_name()));
        }
    }
    let mut command = git_ml::cli::command();
    command.build();
    check(&command, "git ml");
}

#[test]
fn help_of_a_command_is_the_same_in_both_ways() {
    let sandbox = Sandbox::without_repository();
    let help = sandbox.git(&["ml", "help", "track"]).success().stdout();
    assert_eq!(sandbox.git_ml(&["track", "--help"]).success().stdout(), help);
    assert!(help.contains("Usage: git ml track"), "{help}");
}

#[test]
fn without_a_command_there_is_help_and_the_code_for_usage() {
    let output = Sandbox::without_repository().git_ml(&[]).code(2);
    assert_eq!(output.stdout(), "");
    assert!(output.stderr().contains("Usage: git ml"), "{output}");
}

#[test]
fn a_mistyped_command_gets_the_right_one() {
    let output = Sandbox::without_repository().git_ml(&["trakc", "x"]);
    insta::assert_snapshot!(output, @r"
    --- stderr
    error: unrecognized subcommand 'trakc'
    hint: some similar subcommands exist: 'metric', 'train', 'untrack', 'track'
    --- exit 2
    ");
}

#[test]
fn a_command_line_that_is_wrong_gets_one_line_and_the_usage() {
    let sandbox = Sandbox::without_repository();
    insta::assert_snapshot!(sandbox.git_ml(&["show", "--metirc", "loss"]).code(2).one_line_error(), @r"
    --- stderr
    error: unexpected argument '--metirc' found
    hint: a similar argument exists: '--metric'
    --- exit 2
    ");
    insta::assert_snapshot!(sandbox.git_ml(&["track"]).code(2).one_line_error(), @r"
    --- stderr
    error: the following required arguments were not provided: <PATH>...
    hint: usage: git ml track <PATH>...
    --- exit 2
    ");
    insta::assert_snapshot!(sandbox.git_ml(&["verify", "--format", "xml"]).code(2).one_line_error(), @r"
    --- stderr
    error: invalid value 'xml' for '--format <FORMAT>' [possible values: text, json, junit, sarif, github]
    hint: `git ml help` lists the commands, `git ml help COMMAND` explains one
    --- exit 2
    ");
    insta::assert_snapshot!(sandbox.git_ml(&["-q", "-v", "status"]).code(2).one_line_error(), @r"
    --- stderr
    error: the argument '--quiet' cannot be used with '--verbose'
    hint: usage: git ml --quiet <COMMAND>
    --- exit 2
    ");
}

#[test]
fn every_command_that_needs_a_repository_says_so() {
    let sandbox = Sandbox::without_repository();
    let lines: &[&[&str]] = &[
        &["track", "x"],
        &["untrack", "x"],
        &["status"],
        &["checkout"],
        &["manifest", "x"],
        &["cat", "x:y"],
        &["run", "--", "true"],
        &["train"],
        &["log"],
        &["show", "@"],
        &["tag", "@", "a=b"],
        &["note", "@", "text"],
        &["model", "list"],
        &["verify"],
        &["fsck"],
        &["gc"],
        &["trust"],
        &["hook", "install"],
        &["push"],
        &["pull"],
        &["fetch"],
        &["remote", "list"],
    ];
    for line in lines {
        let output = sandbox.git_ml(line).code(1).one_line_error();
        let told = output.normalised_stderr();
        assert!(told.starts_with("error: <repo> is not inside a git repository\n"), "{line:?}:\n{output}");
    }
    assert_eq!(std::fs::read_dir(sandbox.repo()).unwrap().count(), 0, "something was made");
}

#[test]
fn the_folder_can_be_given() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.git_ml_command();
    command.current_dir("/").args(["-C", sandbox.repo().to_str().unwrap(), "status"]);
    sandbox.run(command).success();

    let output = sandbox.git_ml(&["-C", "nowhere", "status"]).code(1).one_line_error();
    insta::assert_snapshot!(output, @r"
    --- stderr
    error: cannot change to nowhere: there is no such folder
    hint: give -C a folder that exists
    --- exit 1
    ");
}

#[test]
fn subfolders_and_linked_work_trees_are_in_the_repository() {
    let sandbox = Sandbox::new();
    sandbox.write("deep/er/file", "x");
    let linked = sandbox.linked_work_tree("linked");
    for folder in [sandbox.path("deep/er"), linked] {
        let mut command = sandbox.command("git");
        command.current_dir(&folder).args(["ml", "status", "--json"]);
        let status = sandbox.run(command).success().json();
        assert_eq!(status["artifacts"], serde_json::json!([]), "in {}", folder.display());
    }
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let sandbox = Sandbox::new();
    let output = sandbox.shell("git ml completions bash | head -n 1; git ml help | true");
    assert_eq!(output.success().stderr(), "");
}
