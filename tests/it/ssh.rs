//! Remotes behind SSH, from the command line to OpenSSH's own server.

use std::fs;

use crate::buckets::collect_until_done;
use crate::sandbox::{Sandbox, noise};
use crate::sshd::Sshd;

fn with_data(sshd: &Sshd) -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.set_env("GIT_SSH_COMMAND", sshd.command());
    let big: Vec<u8> = (0..3_000_000_u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
    sandbox.write("data/x/big.bin", big);
    sandbox.write("data/x/small.csv", "a,b\n1,2\n");
    sandbox.git_ml(&["track", "data/x"]).success();
    sandbox
}

#[test]
fn what_one_clone_pushes_over_ssh_another_pulls() {
    let Some(sshd) = Sshd::start() else { return };
    let sandbox = with_data(&sshd);
    sandbox.git_ml(&["remote", "add", "group", "far:store"]).success();
    sandbox.commit("Track x");
    sandbox.git_ml(&["push"]).success();
    assert_eq!(sandbox.git_ml(&["push"]).success().stdout(), "group has everything already\n");
    assert!(sshd.home().join("store/git-ml.toml").is_file());

    let clone = sandbox.clone_to("clone");
    let before = sshd.connections();
    sandbox.git_ml_in(&clone, &["pull"]).success();
    assert_eq!(sshd.connections() - before, 1, "one connection serves a pull");
    for name in ["big.bin", "small.csv"] {
        assert!(fs::read(clone.join("data/x").join(name)).unwrap() == sandbox.read_bytes(format!("data/x/{name}")));
    }

    // What a configuration of git says counts where the environment is silent.
    sandbox.git(&["config", "core.sshCommand", &sshd.command()]).success();
    let mut command = sandbox.git_ml_command();
    command.env_remove("GIT_SSH_COMMAND").args(["push"]);
    sandbox.run(command).success();
}

#[test]
fn garbage_behind_ssh_goes_in_the_end() {
    let Some(sshd) = Sshd::start() else { return };
    let sandbox = with_data(&sshd);
    sandbox.git_ml(&["remote", "add", "group", "far:store"]).success();
    sandbox.commit("Track x");
    sandbox.write("gone", noise(5, 300_000));
    sandbox.git_ml(&["track", "gone"]).success();
    sandbox.git_ml(&["push"]).success();
    sandbox.git_ml(&["untrack", "gone"]).success();
    let there = |folder: &str| fs::read_dir(sshd.home().join("store").join(folder)).map_or(0, Iterator::count);
    let before = there("packs");
    collect_until_done(&sandbox, "group", 1);
    assert_eq!((there("packs"), there("doomed"), there("clock")), (before - 1, 0, 0));
    let clone = sandbox.clone_to("clone");
    sandbox.git_ml_in(&clone, &["pull"]).success();
    assert!(fs::read(clone.join("data/x/big.bin")).unwrap() == sandbox.read_bytes("data/x/big.bin"));
}

#[test]
fn a_push_that_is_cut_off_is_an_error_in_one_line_and_the_next_one_goes_on() {
    let Some(sshd) = Sshd::start() else { return };
    let sandbox = with_data(&sshd);
    sandbox.git_ml(&["remote", "add", "group", "ssh://far/~/store"]).success();
    // From now on nobody is let in.
    sshd.write_client_config("config", "stranger", &sshd.known_host());
    let output = sandbox.git_ml(&["push"]).one_line_error();
    assert!(
        output.stderr().contains("ssh://far/~/store does not let us in: Permission denied (publickey)"),
        "{output}"
    );
    sshd.write_client_config("config", "user", &sshd.known_host());
    sandbox.git_ml(&["push"]).success();
    // A pack that is damaged there is not taken in.
    let pack = fs::read_dir(sshd.home().join("store/packs")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&pack).unwrap();
    bytes[100] ^= 1;
    fs::write(&pack, bytes).unwrap();
    sandbox.commit("Track x");
    let clone = sandbox.clone_to("clone");
    sandbox.git_ml_in(&clone, &["pull"]).code(1);
    assert!(!clone.join("data/x/big.bin").exists());
}

#[test]
fn hosts_that_ssh_would_take_for_options_are_refused() {
    let sandbox = Sandbox::new();
    for url in ["ssh://-oProxyCommand=touch%20pwned/x", "-oProxyCommand=touch pwned:x", "ssh://a@-x/y"] {
        let mut command = sandbox.git_ml_command();
        command.args(["remote", "add", "bad", "--", url]);
        sandbox.run(command).code(1);
    }
    sandbox.write("ml.toml", "[remotes.bad]\nurl = \"ssh://-oProxyCommand=touch%20pwned/x\"\n");
    sandbox.git_ml(&["push", "bad"]).code(1);
    assert!(!sandbox.exists("pwned"));
}
