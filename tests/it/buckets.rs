//! S3 servers that others wrote: what they do well, and what happens when they fail.
//!
//! `scripts/test-services` and `scripts/s3-product` start them and say where they are; without that the tests say that
//! they skip.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::proxy::Proxy;
use crate::remotes::{assert_same, with_artifacts};
use crate::sandbox::{Sandbox, noise};
use crate::sshd::answers;

/// Runs a test on each S3 server there is.
pub(crate) fn on_each_server(test: fn(&str)) {
    let Ok(servers) = std::env::var("GIT_ML_TEST_S3") else {
        println!(
            "skipped: `scripts/test-services COMMAND` starts S3 servers and says where they are in GIT_ML_TEST_S3"
        );
        return;
    };
    for (name, endpoint) in servers.split_whitespace().filter_map(|server| server.split_once('=')) {
        println!("{name}");
        test(endpoint);
    }
}

/// Runs a test with each program that serves a bucket until it is killed.
fn on_each_server_to_kill(test: fn(&str)) {
    let Ok(programs) = std::env::var("GIT_ML_TEST_S3_SERVE") else {
        println!("skipped: no server in GIT_ML_TEST_S3_SERVE keeps what it has when it is killed");
        return;
    };
    for (name, program) in programs.split_whitespace().filter_map(|word| word.split_once('=')) {
        println!("{name}");
        test(program);
    }
}

/// A server of this test alone.
struct Server {
    program: String,
    port: u16,
    process: Child,
}

impl Server {
    fn start(program: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { program: program.to_owned(), port, process: Self::spawn(program, port) }
    }

    fn spawn(program: &str, port: u16) -> Child {
        let mut process = Command::new(program).arg(port.to_string()).spawn().unwrap();
        assert!(answers(port, &mut process, Duration::from_secs(60)), "{program} does not answer");
        process
    }

    fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Kills it, as the system does when there is no memory left.
    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn start_again(&mut self) {
        self.process = Self::spawn(&self.program, self.port);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A repository with artifacts, and a remote in a bucket that no other test uses.
pub(crate) fn with_bucket(count: u64, size: usize, endpoint: &str) -> Sandbox {
    let mut sandbox = with_artifacts(count, size);
    sandbox.set_env("AWS_ACCESS_KEY_ID", "git-ml");
    sandbox.set_env("AWS_SECRET_ACCESS_KEY", "git-ml-secret");
    let url = format!("s3://git-ml/{}", sandbox.root().file_name().unwrap().to_str().unwrap());
    sandbox.git_ml(&["remote", "add", "cloud", &url, "--endpoint", endpoint]).success();
    sandbox.commit("Add the remote");
    sandbox
}

#[test]
fn artifacts_travel_through_a_bucket() {
    on_each_server(|endpoint| {
        // The second one goes in several parts.
        let sandbox = with_bucket(2, 20_000_000, endpoint);
        assert_eq!(sandbox.git_ml(&["push", "--json"]).success().json()["packs"], 2);
        assert_eq!(sandbox.git_ml(&["push", "--json"]).success().json()["artifacts"], 0);
        let clone = sandbox.clone_to("clone");
        let content = sandbox.git_ml_in(&clone, &["cat", "data/0"]).success();
        assert!(content.stdout_bytes() == sandbox.read_bytes("data/0"));
        sandbox.git_ml_in(&clone, &["pull", "data/1"]).success();
        sandbox.git_ml_in(&clone, &["pull"]).success();
        assert_same(&sandbox, &clone, 2);
        let status = sandbox.git_ml_in(&clone, &["status", "--json"]).success().json();
        assert_eq!(status["artifacts"][0]["pushed"]["cloud"], true);
    });
}

#[test]
fn a_push_goes_on_where_a_dying_server_stopped_it() {
    on_each_server(|endpoint| {
        let proxy = Proxy::before(endpoint);
        // More than travel at the same time, so that some have arrived whole.
        let sandbox = with_bucket(24, 400_000, &proxy.endpoint());
        proxy.die_after(7_000_000);
        let failed = sandbox.git_ml(&["push"]).one_line_error();
        assert!(proxy.is_dead());
        assert!(failed.stderr().contains("goes on from there"), "{failed}");
        proxy.revive();
        let clone = sandbox.clone_to("clone");
        let early = sandbox.git_ml_in(&clone, &["pull"]).one_line_error();
        assert!(early.stderr().contains("24 of the artifacts"), "nothing is half there: {early}");
        let pushed = sandbox.git_ml(&["push", "--json"]).success().json();
        assert_eq!(pushed["artifacts"], 24);
        assert!(pushed["packs"].as_u64().unwrap() < 24, "what arrived is not sent again: {pushed}");
        sandbox.git_ml_in(&clone, &["pull"]).success();
        assert_same(&sandbox, &clone, 24);
    });
}

#[test]
fn storms_are_sat_out_or_told() {
    on_each_server(|endpoint| {
        let proxy = Proxy::before(endpoint);
        let sandbox = with_bucket(4, 500_000, &proxy.endpoint());
        proxy.refuse(5);
        sandbox.git_ml(&["push"]).success();
        let clone = sandbox.clone_to("clone");
        // Every other connection is refused, and none lives long.
        proxy.storm(2_000_000);
        sandbox.git_ml_in(&clone, &["pull"]).success();
        assert_same(&sandbox, &clone, 4);
        sandbox.write("data/0", noise(99, 1_500_000));
        sandbox.git_ml(&["track", "data/0"]).success();
        sandbox.git_ml(&["push"]).success();
        proxy.revive();
        proxy.refuse(usize::MAX);
        sandbox.write("data/0", noise(98, 1000));
        sandbox.git_ml(&["track", "data/0"]).success();
        let told = sandbox.git_ml(&["push"]).one_line_error();
        assert!(told.stderr().contains("503") && told.stderr().contains("goes on from there"), "{told}");
    });
}

#[test]
fn a_slow_link_is_slow_and_nothing_else() {
    on_each_server(|endpoint| {
        let proxy = Proxy::before(endpoint);
        let sandbox = with_bucket(3, 400_000, &proxy.endpoint());
        proxy.slow(400_000);
        let start = Instant::now();
        sandbox.git_ml(&["push"]).success();
        let clone = sandbox.clone_to("clone");
        sandbox.git_ml_in(&clone, &["pull"]).success();
        assert_same(&sandbox, &clone, 3);
        assert!(start.elapsed() > Duration::from_secs(4), "the link was not slow: {:?}", start.elapsed());
    });
}

#[test]
fn a_server_that_is_killed_and_started_again_costs_time_only() {
    on_each_server_to_kill(|program| {
        let mut server = Server::start(program);
        let proxy = Proxy::before(&server.endpoint());
        let sandbox = with_bucket(24, 400_000, &proxy.endpoint());
        let clone = sandbox.clone_to("clone");
        for (folder, words) in [(sandbox.repo(), "push"), (&*clone, "pull")] {
            let mut command = sandbox.git_ml_command();
            command.current_dir(folder).arg(words).stdout(Stdio::null()).stderr(Stdio::piped());
            proxy.count_anew();
            let transfer = command.spawn().unwrap();
            for bytes in [2_000_000, 6_000_000] {
                proxy.wait_for(bytes);
                server.kill();
                server.start_again();
            }
            let ended = transfer.wait_with_output().unwrap();
            assert!(ended.status.success(), "{words}: {}", String::from_utf8_lossy(&ended.stderr));
        }
        assert_same(&sandbox, &clone, 24);
        sandbox.git_ml_in(&clone, &["fsck", "--deep"]).success();
        // What stands in the bucket is whole, whatever the server was doing when it was killed.
        let other = sandbox.clone_to("other");
        sandbox.git_ml_in(&other, &["pull"]).success();
        assert_same(&sandbox, &other, 24);
    });
}

#[test]
fn garbage_in_a_bucket_goes_in_the_end() {
    on_each_server(|endpoint| {
        let sandbox = with_bucket(2, 50_000, endpoint);
        sandbox.write("gone", noise(77, 300_000));
        sandbox.git_ml(&["track", "gone"]).success();
        sandbox.git_ml(&["push"]).success();
        let gone = sandbox.read("gone.mlref");
        sandbox.git_ml(&["untrack", "gone"]).success();
        collect_until_done(&sandbox, "cloud", 1);
        let clone = sandbox.clone_to("clone");
        sandbox.git_ml_in(&clone, &["pull"]).success();
        assert_same(&sandbox, &clone, 2);
        std::fs::write(clone.join("gone.mlref"), gone).unwrap();
        let missing = sandbox.git_ml_in(&clone, &["pull", "gone"]).one_line_error();
        assert!(missing.stderr().contains("artifacts"), "{missing}");
        // Who still has it can push it again.
        sandbox.git_ml(&["track", "gone"]).success();
        sandbox.git_ml(&["push"]).success();
        sandbox.git_ml_in(&clone, &["pull", "gone"]).success();
        assert!(std::fs::read(clone.join("gone")).unwrap() == sandbox.read_bytes("gone"));
    });
}

/// Collects on a remote until so many packs have gone and nothing waits to go.
pub(crate) fn collect_until_done(sandbox: &Sandbox, remote: &str, expected: u64) {
    let deadline = Instant::now() + Duration::from_secs(120);
    let mut removed = 0;
    loop {
        let done = sandbox.git_ml(&["gc", "--remote", remote, "--grace", "1s", "--json"]).success().json();
        removed += done["removed"]["packs"].as_u64().unwrap();
        let is_waiting = ["marked", "waiting", "rewritten"].iter().any(|what| done[*what]["packs"] != 0);
        if removed >= expected && !is_waiting {
            return assert_eq!((&done["lost"], &done["artifacts_not_whole"]), (&0.into(), &0.into()), "{done}");
        }
        assert!(Instant::now() < deadline, "{removed} packs went: {done}");
        std::thread::sleep(Duration::from_millis(500));
    }
}

#[test]
fn wrong_credentials_are_told_and_not_shown() {
    on_each_server(|endpoint| {
        let mut sandbox = with_bucket(1, 1000, endpoint);
        sandbox.set_env("AWS_SECRET_ACCESS_KEY", "hunter2");
        let refused = sandbox.git_ml(&["push"]);
        // moto believes everybody.
        if refused.exit_code() != 0 {
            let refused = refused.one_line_error();
            assert!(
                refused.stderr().contains("does not let us") && !refused.to_string().contains("hunter2"),
                "{refused}"
            );
        }
        let nowhere = sandbox.git_ml(&["remote", "add", "--local", "b", "s3://no-such-bucket", "--endpoint", endpoint]);
        assert!(!nowhere.one_line_error().to_string().contains("hunter2"));
    });
}
