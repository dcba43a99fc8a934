//! A repository by somebody who means harm: nothing runs before it is approved, nothing escapes, nothing panics.

use std::fs;
use std::path::{Path, PathBuf};

use crate::sandbox::{Output, Sandbox};

/// A repository in which every place that could name a command does, and a clone of it.
struct Trap {
    sandbox: Sandbox,
    clone: PathBuf,
}

impl Trap {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let harm = format!("touch {}/harm", sandbox.root().display());
        sandbox.write("ml.toml", Self::config(&harm));
        // What git itself takes from a clone: attributes and ignore rules, and no filters or drivers.
        sandbox.write(".gitattributes", "* filter=evil diff=evil merge=evil\n*.mlref merge=evil\n");
        sandbox.write(
            ".gitmodules",
            format!("[submodule \"x\"]\n\tpath = x\n\turl = ext::sh -c '{harm}'\n\tupdate = !{harm}\n"),
        );
        sandbox.write(".lfsconfig", format!("[lfs]\n\turl = ext::sh -c '{harm}'\n[credential]\n\thelper = !{harm}\n"));
        for hook in ["pre-push", "pre-commit", "post-checkout", "post-merge"] {
            let program = format!("#!/bin/sh\n{harm}\n");
            sandbox.write_program(format!("hooks/{hook}"), &program);
            sandbox.write_program(format!(".husky/{hook}"), &program);
        }
        let pointer = |name: &str, rest: &str| {
            let id = "ab".repeat(32);
            format!(
                "version = 1\nname = \"{name}\"\ntype = \"dataset\"\nkind = \"folder\"\nid = \"{id}\"\nfiles = 2\nbytes = 5\n{rest}"
            )
        };
        sandbox.write("data/plain.mlref", pointer("plain", ""));
        sandbox.write("data/climbs.mlref", pointer("../../../harm", ""));
        sandbox.write("data/coloured.mlref", pointer("\\u001b[2J", ""));
        sandbox.write("data/huge.mlref", pointer("huge", "[meta]\n").replace("= 5", "= 99999999999999999999"));
        sandbox.write("data/deep.mlref", "[".repeat(60_000));
        sandbox.write("data/line\nbreak.mlref", pointer("x", ""));
        sandbox.write("data/-rf.mlref", pointer("rf", ""));
        sandbox.write("data/$(touch harm).mlref", pointer("shell", ""));
        std::os::unix::fs::symlink("/etc", sandbox.path("data/out")).unwrap();
        sandbox.write("data/.git.mlref", pointer("git", ""));
        sandbox.commit("Look what I have for you");
        let clone = sandbox.clone_to("clone");
        Self { sandbox, clone }
    }

    /// Every field of `ml.toml` that could run something, or lead somewhere, does.
    fn config(harm: &str) -> String {
        format!(
            "[experiments.a]\n\
             command = \"{harm}\"\nparams = {{ \"x; {harm}\" = \"$({harm})\" }}\ninputs = [\"data\"]\n\
             outputs = [\"$({harm})\"]\ntensorboard = [\"`{harm}`\"]\ncsv_logs = [\";{harm}\"]\n\
             [experiments.b]\nmodel = \"torchscript\"\nfile = \"$({harm})\"\ndata = \"`{harm}`\"\n\
             [remotes.ssh]\nurl = \"ssh://-oProxyCommand={harm}/x\"\n\
             [remotes.ext]\nurl = \"lfs::ext::sh -c '{harm}'\"\n\
             [remotes.origin]\nurl = \"file:///proc/self/root/nowhere/$({harm})\"\n\
             [run]\nenvironment = [\"*\"]\nuntracked = [\"**\", \":(exec){harm}\"]\n\
             [hooks.pre-commit]\nmax-file-size = \"1k\"\n\
             [hooks.pre-push]\nexperiment = \"a\"\nremote = \"--upload-pack={harm}\"\npaths = [\"$({harm})\", \"[\", \"**/**/**/**\"]\n\
             branches = [\"*\", \"$({harm})\"]\ngates = [\"metrics.x > $({harm})\"]\n\
             [gates.\"$({harm})\"]\nrequire = [\"`{harm}`\"]\n"
        )
    }

    fn git(&self, arguments: &[&str]) -> Output {
        self.sandbox.git(&[&["-C", self.clone.to_str().unwrap()], arguments].concat())
    }

    fn write(&self, path: &str, content: &str) {
        fs::write(self.clone.join(path), content).unwrap();
    }

    /// Fails if anything of the trap ran, or wrote outside of the clone.
    #[track_caller]
    fn check(&self, what: &str) {
        let harmed = |folder: &Path| folder.join("harm").symlink_metadata().is_ok();
        for folder in [self.sandbox.root(), self.sandbox.repo(), &self.clone, &self.clone.join("data")] {
            assert!(!harmed(folder), "{what} was enough to run something: harm in {}", folder.display());
        }
    }

    /// Runs something of git's or ours in the clone: it may fail, in its own words.
    #[track_caller]
    fn does_nothing(&self, arguments: &[&str]) -> Output {
        let output = self.git(arguments);
        self.check(&arguments.join(" "));
        let told = output.stderr();
        assert!(!told.contains("this is a bug") && output.exit_code() < 70 || output.exit_code() >= 128, "{output}");
        assert!(!output.stdout().contains('\u{1b}') && !told.contains('\u{1b}'), "it moves the cursor: {output}");
        output
    }
}

#[test]
fn nothing_of_a_hostile_repository_runs_before_it_is_approved() {
    let trap = Trap::new();
    trap.does_nothing(&["ml", "init"]).success();
    let doctor = trap.does_nothing(&["ml", "doctor"]);
    assert!(doctor.stdout().contains("valid, 2 experiments, but not approved"), "the trap is set: {doctor}");
    for command in [
        "doctor",
        "status",
        "log",
        "diff",
        "du",
        "fsck",
        "verify --all",
        "checkout",
        "checkout data/climbs",
        "pull",
        "push",
        "fetch",
        "remote list",
        "run a",
        "run b",
        "train b",
        "train",
        "hook install",
        "hook pre-commit",
        "gc --dry-run",
        "cat data/plain:x",
        "manifest data/plain",
        "model list",
        "bisect --metric x --below 1 --experiment a HEAD~1 HEAD",
        "hook post-checkout 0000000000000000000000000000000000000000 HEAD 1",
        "hook post-merge 0",
        "run -- true",
        "trust --revoke",
    ] {
        trap.does_nothing(&[&["ml"], &command.split(' ').collect::<Vec<_>>()[..]].concat());
    }
    // A commit, a switch, a merge and a push, through the installed hooks.
    trap.git(&["config", "ml.changedData", "warn"]).success();
    trap.write("mine.txt", "mine\n");
    trap.git(&["add", "mine.txt"]).success();
    trap.does_nothing(&["commit", "--quiet", "--message", "Mine"]);
    trap.does_nothing(&["checkout", "--quiet", "-b", "branch"]);
    trap.write("data/plain.mlref", "not a pointer any more\n");
    trap.does_nothing(&["commit", "--quiet", "--all", "--no-verify", "--message", "Theirs"]);
    trap.does_nothing(&["checkout", "--quiet", "main"]);
    trap.write("data/plain.mlref", "another thing\n");
    trap.does_nothing(&["commit", "--quiet", "--all", "--no-verify", "--message", "Ours"]);
    trap.does_nothing(&["merge", "--quiet", "branch"]).code(1);
    trap.does_nothing(&["merge", "--abort"]);
    trap.git(&["config", "receive.denyCurrentBranch", "ignore"]).success();
    let pushed = trap.does_nothing(&["push", "origin", "main:refs/heads/fresh"]);
    assert_ne!(pushed.exit_code(), 0, "{pushed}");
}

#[test]
fn what_a_push_of_a_hostile_repository_is_told_is_that_it_wants_approval() {
    let trap = Trap::new();
    trap.git(&["ml", "init", "--quiet"]).success();
    // All but the command is as it should be.
    let harm = format!("touch {}/harm", trap.sandbox.root().display());
    let config = format!(
        "[experiments.a]\ncommand = \"{harm}\"\n[hooks]\nrequire-pushed = false\n[hooks.pre-push]\nexperiment = \"a\"\n"
    );
    trap.git(&["rm", "--quiet", "-r", "data"]).success();
    trap.write("ml.toml", &config);
    trap.git(&["commit", "--quiet", "--all", "--no-verify", "--message", "Plain"]).success();
    let pushed = trap.does_nothing(&["push", "origin", "main:refs/heads/fresh"]).code(1);
    assert!(pushed.stderr().contains("the ml.toml that is pushed has not been approved"), "{pushed}");
    // Approved in another place, or with another content, is not approved.
    trap.sandbox.write("ml.toml", &config);
    trap.sandbox.git(&["ml", "trust"]).success();
    trap.does_nothing(&["push", "origin", "main:refs/heads/fresh"]).code(1);
    trap.git(&["ml", "trust"]).success();
    trap.write("ml.toml", &format!("{config}# one more line\n"));
    trap.git(&["commit", "--quiet", "--all", "--no-verify", "--message", "Another"]).success();
    trap.does_nothing(&["push", "origin", "main:refs/heads/fresh"]).code(1);
    // With the approval it runs, so the trap works.
    trap.git(&["ml", "trust"]).success();
    trap.git(&["push", "--quiet", "origin", "main:refs/heads/fresh"]).success();
    assert!(trap.sandbox.root().join("harm").exists());
}

#[test]
fn what_git_hands_to_the_hooks_may_be_anything() {
    let sandbox = Sandbox::new();
    sandbox.git(&["ml", "init", "--quiet"]).success();
    sandbox.write("ml.toml", "[experiments.a]\ncommand = \"true\"\n[hooks.pre-push]\nexperiment = \"a\"\n");
    let head = sandbox.commit("Begin");
    let zero = "0".repeat(40);
    let unknown = "1".repeat(40);
    let lines = [
        format!("refs/heads/main {unknown} refs/heads/main {zero}\n"),
        format!("refs/heads/main {head} refs/heads/\u{1b}[2Jmain {unknown}\n"),
        format!("refs/heads/main {head}"),
        format!("{} {head} {} {zero}\n", "x".repeat(100_000), "refs/heads/".repeat(10_000)),
        "\u{0}\u{1}\n".to_owned(),
    ];
    for line in lines {
        let mut command = sandbox.git_ml_command();
        command.args(["hook", "pre-push", "--", "--upload-pack=touch harm", "ext::touch harm"]);
        let output = sandbox.run_with_input(command, line.as_bytes());
        assert_ne!(output.exit_code(), 70, "{output}");
        assert_ne!(output.exit_code(), 0, "nothing of that may go out: {output}");
        assert!(!output.stderr().contains('\u{1b}'), "{output}");
    }
    assert!(!sandbox.exists("harm"));
    // Files that the merge driver is given.
    for (name, content) in [("o", "".to_owned()), ("a", "[".repeat(100_000)), ("b", "\u{0}".repeat(10))] {
        sandbox.write(name, content);
    }
    let merged = sandbox.git_ml(&["hook", "merge-pointer", "o", "a", "b", "7", "../../etc/passwd\u{1b}.mlref"]);
    assert!(merged.exit_code() < 70, "{merged}");
    sandbox.git_ml(&["hook", "merge-pointer", "o", "gone", "b", "99999999999999999999", "x"]).code(2);
}
