//! The MLflow protocol, as raw requests to the real server: what it answers, what survives, and who is let in.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::sandbox::Sandbox;

/// A server at work. It is killed when this is dropped.
struct Server {
    child: Child,
    address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(sandbox: &Sandbox, arguments: &[&str]) -> Self {
        let mut command = sandbox.git_ml_command();
        command.args(["mlflow", "serve", "--port", "0"]).args(arguments).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").expect("it prints its URL").to_owned();
        Self { child, address }
    }

    /// Asks it to stop, and waits until it has.
    fn stop(mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
    }

    fn raw(&self, request: &[u8]) -> (u16, Vec<u8>) {
        raw(&self.address, request)
    }

    fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        send(&self.address, "POST", path, &[], Some(body.to_string().as_bytes()))
    }

    fn get(&self, path: &str) -> (u16, Value) {
        send(&self.address, "GET", path, &[], None)
    }

    /// What a request that has to succeed answers.
    fn ok(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.post(path, body);
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    fn begin_run(&self, more: &Value) -> String {
        let mut body = json!({"experiment_id": "0", "start_time": 1_763_712_000_000_i64});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.ok("runs/create", &body)["run"]["info"]["run_id"].as_str().unwrap().to_owned()
    }

    fn run(&self, run_id: &str) -> Value {
        let (status, answer) = self.get(&format!("runs/get?run_id={run_id}"));
        assert_eq!(status, 200, "{answer}");
        answer["run"].clone()
    }

    fn history(&self, run_id: &str, metric: &str) -> Vec<Value> {
        let (_, answer) = self.get(&format!("metrics/get-history?run_id={run_id}&metric_key={metric}"));
        answer["metrics"].as_array().unwrap().clone()
    }
}

fn raw(address: &str, request: &[u8]) -> (u16, Vec<u8>) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    // A server that has refused already may read no more.
    let _ = stream.write_all(request);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let text = String::from_utf8_lossy(&answer);
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let body = text.split_once("\r\n\r\n").map(|(_, body)| body.as_bytes().to_vec()).unwrap_or_default();
    (status, body)
}

fn send(address: &str, method: &str, path: &str, headers: &[&str], body: Option<&[u8]>) -> (u16, Value) {
    let body = body.unwrap_or_default();
    let mut request = format!(
        "{method} /api/2.0/mlflow/{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: \
         application/json\r\nContent-Length: {}\r\n",
        body.len()
    );
    headers.iter().for_each(|header| request += &format!("{header}\r\n"));
    let mut request = (request + "\r\n").into_bytes();
    request.extend_from_slice(body);
    let (status, answer) = raw(address, &request);
    (status, serde_json::from_slice(&answer).unwrap_or(Value::Null))
}

fn point(key: &str, value: impl Into<Value>, step: i64) -> Value {
    json!({"key": key, "value": value.into(), "timestamp": 1_763_712_000_000_i64 + step, "step": step})
}

fn shown(sandbox: &Sandbox, run_id: &str) -> Value {
    sandbox.git_ml(&["show", run_id, "--json"]).success().json()
}

fn live(sandbox: &Sandbox) -> usize {
    std::fs::read_dir(sandbox.path(".git/ml/live")).map_or(0, Iterator::count)
}

fn wait_for(what: &str, mut is_there: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_there() {
        assert!(start.elapsed() < Duration::from_secs(60), "still waiting for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn what_a_client_logs_is_a_run_like_any_other() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let experiment = server.ok("experiments/create", &json!({"name": "digits"}))["experiment_id"].clone();
    let tags = json!([{"key": "mlflow.user", "value": "bob"}, {"key": "mlflow.note.content", "value": "try"}]);
    let run_id = server.begin_run(&json!({"experiment_id": experiment, "run_name": "first", "tags": tags}));
    let metrics =
        json!([point("loss", 0.844_421_851_525_048_1, 1), point("loss", "NaN", 0), point("acc", "-Infinity", 0)]);
    let params = json!([{"key": "lr", "value": "0.1"}]);
    server.ok("runs/log-batch", &json!({"run_id": run_id, "metrics": metrics, "params": params}));
    server.ok("runs/set-tag", &json!({"run_id": run_id, "key": "why", "value": "test"}));

    let run = server.run(&run_id);
    assert_eq!(run["info"]["status"], "RUNNING");
    assert_eq!(
        run["info"]["artifact_uri"],
        format!("mlflow-artifacts:/{}/{run_id}/artifacts", experiment.as_str().unwrap())
    );
    let loss = json!({"key": "loss", "value": 0.844_421_851_525_048_1, "timestamp": 1_763_712_000_001_i64, "step": 1});
    assert!(run["data"]["metrics"].as_array().unwrap().contains(&loss), "{run}");
    assert!(run["data"]["tags"].as_array().unwrap().contains(&json!({"key": "mlflow.runName", "value": "first"})));
    assert_eq!(shown(&sandbox, &run_id)["status"], "running", "others see it as it is");

    let end = json!({"run_id": run_id, "status": "FINISHED", "end_time": 1_763_712_060_000_i64});
    assert_eq!(server.ok("runs/update", &end)["run_info"]["status"], "FINISHED");
    wait_for("the record", || live(&sandbox) == 0);
    assert_eq!(server.run(&run_id)["data"], run["data"], "the record answers as the run in progress did");
    let record = shown(&sandbox, &run_id);
    assert_eq!(record["status"], "finished");
    assert_eq!(record["duration_s"], 60.0);
    assert_eq!(
        [&record["name"], &record["experiment"], &record["user"], &record["note"]],
        ["first", "digits", "bob", "try"]
    );
    assert_eq!(record["tags"]["why"], "test");
    assert_eq!(server.history(&run_id, "loss")[0]["value"], "NaN");
    server.stop();
}

#[test]
fn a_run_that_ended_takes_more_and_is_recorded_once_more() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let run_id = server.begin_run(&json!({}));
    server.ok("runs/log-batch", &json!({"run_id": run_id, "metrics": [point("loss", 0.5, 0)]}));
    server.ok("runs/update", &json!({"run_id": run_id, "status": "FAILED"}));
    wait_for("the record", || live(&sandbox) == 0);

    server.ok("runs/log-metric", &json!({"run_id": run_id, "key": "loss", "value": 0.25, "timestamp": 5, "step": 7}));
    server.ok("runs/set-tag", &json!({"run_id": run_id, "key": "a", "value": "b"}));
    assert_eq!(server.history(&run_id, "loss").len(), 2);
    assert_eq!(shown(&sandbox, &run_id)["metrics"]["loss"]["last"], 0.25);
    wait_for("the second record", || live(&sandbox) == 0);
    let record = shown(&sandbox, &run_id);
    assert_eq!(record["status"], "failed");
    assert_eq!(record["metrics"]["loss"], json!({"last": 0.25, "min": 0.25, "max": 0.5, "best_step": 7}));
    assert_eq!(record["tags"]["a"], "b");
    assert_eq!(server.history(&run_id, "loss").len(), 2);

    server.ok("runs/delete", &json!({"run_id": run_id}));
    assert_eq!(server.run(&run_id)["info"]["lifecycle_stage"], "deleted");
    let (status, answer) = server.post("runs/set-tag", &json!({"run_id": run_id, "key": "a", "value": "c"}));
    assert_eq!((status, &answer["error_code"]), (400, &json!("INVALID_PARAMETER_VALUE")));
    server.ok("runs/restore", &json!({"run_id": run_id}));
    assert_eq!(server.run(&run_id)["info"]["lifecycle_stage"], "active");
}

#[test]
fn a_killed_server_loses_nothing_and_goes_on_with_its_runs() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let run_id = server.begin_run(&json!({}));
    for step in 0..20 {
        server.ok("runs/log-batch", &json!({"run_id": run_id, "metrics": [point("loss", step, step)]}));
    }
    drop(server);
    assert_eq!(shown(&sandbox, &run_id)["status"], "running", "nobody takes it for crashed");

    let server = Server::start(&sandbox, &[]);
    assert_eq!(server.history(&run_id, "loss").len(), 20);
    server.ok("runs/log-batch", &json!({"run_id": run_id, "metrics": [point("loss", 20, 20)]}));
    server.ok("runs/update", &json!({"run_id": run_id, "status": "FINISHED"}));
    // Killed before it has recorded the run: the next one does.
    drop(server);
    assert_eq!(shown(&sandbox, &run_id)["status"], "finished");
    let server = Server::start(&sandbox, &[]);
    wait_for("the record", || live(&sandbox) == 0);
    assert_eq!(server.history(&run_id, "loss").len(), 21);
}

#[test]
fn parameters_do_not_change() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let run_id = server.begin_run(&json!({}));
    let log = |value: &str| server.post("runs/log-parameter", &json!({"run_id": run_id, "key": "lr", "value": value}));
    assert_eq!(log("0.1").0, 200);
    assert_eq!(log("0.1").0, 200, "the same again is fine");
    let (status, answer) = log("0.2");
    assert_eq!((status, answer["error_code"].as_str()), (400, Some("INVALID_PARAMETER_VALUE")));
    let twice = json!([{"key": "a", "value": "1"}, {"key": "a", "value": "1"}]);
    assert_eq!(server.post("runs/log-batch", &json!({"run_id": run_id, "params": twice})).0, 400);
    let many: Vec<Value> = (0..101).map(|number| json!({"key": format!("p{number}"), "value": "x"})).collect();
    assert_eq!(server.post("runs/log-batch", &json!({"run_id": run_id, "params": many})).0, 400);
    // A request that is refused leaves nothing of itself.
    let mixed = json!({"run_id": run_id, "metrics": [point("loss", 1, 0)], "params": [{"key": "lr", "value": "9"}]});
    assert_eq!(server.post("runs/log-batch", &mixed).0, 400);
    assert_eq!(server.run(&run_id)["data"]["metrics"], Value::Null);
}

#[test]
fn runs_are_found_by_filter_in_order_and_by_pages() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    for number in 0..7 {
        let run_id =
            server.begin_run(&json!({"start_time": 1_763_712_000_000_i64 + number, "run_name": format!("r{number}")}));
        let params = json!([{"key": "kind", "value": if number % 2 == 0 { "even" } else { "odd" }}]);
        server
            .ok("runs/log-batch", &json!({"run_id": run_id, "metrics": [point("loss", number, 0)], "params": params}));
        if number < 4 {
            server.ok("runs/update", &json!({"run_id": run_id, "status": "FINISHED"}));
        }
    }
    let names = |body: &Value| -> Vec<String> {
        let found = server.ok("runs/search", body);
        let runs = found["runs"].as_array().cloned().unwrap_or_default();
        runs.iter().map(|run| run["info"]["run_name"].as_str().unwrap().to_owned()).collect()
    };
    let search = |filter: &str| names(&json!({"experiment_ids": ["0"], "filter": filter}));
    assert_eq!(search(""), ["r6", "r5", "r4", "r3", "r2", "r1", "r0"]);
    assert_eq!(search("metrics.loss > 2 and params.kind = 'even'"), ["r6", "r4"]);
    assert_eq!(search("attributes.status = 'FINISHED' AND params.kind != 'even'"), ["r3", "r1"]);
    assert_eq!(search("run_name LIKE 'r%' and tags.mlflow.runName = 'r5'"), ["r5"]);
    assert_eq!(search("params.kind = 'odd' or metrics.loss < 1"), ["r5", "r3", "r1", "r0"], "our language has more");
    assert_eq!(names(&json!({"experiment_ids": ["1"]})), Vec::<String>::new());
    let (status, answer) = server.post("runs/search", &json!({"experiment_ids": ["0"], "filter": "metrics.loss >"}));
    assert_eq!((status, answer["error_code"].as_str()), (400, Some("INVALID_PARAMETER_VALUE")));

    let mut body = json!({"experiment_ids": ["0"], "order_by": ["params.kind", "metrics.loss DESC"], "max_results": 3});
    let mut seen = Vec::new();
    loop {
        let found = server.ok("runs/search", &body);
        let runs = found["runs"].as_array().unwrap();
        seen.extend(runs.iter().map(|run| run["info"]["run_name"].as_str().unwrap().to_owned()));
        let Some(token) = found["next_page_token"].as_str() else { break };
        body["page_token"] = token.into();
    }
    assert_eq!(seen, ["r6", "r4", "r2", "r0", "r5", "r3", "r1"]);
}

#[test]
fn experiments_have_names_tags_and_an_end() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let tags = json!([{"key": "team", "value": "a"}]);
    let made = server.ok("experiments/create", &json!({"name": "digits", "tags": tags}));
    let id = made["experiment_id"].as_str().unwrap().to_owned();
    let (status, answer) = server.post("experiments/create", &json!({"name": "digits"}));
    assert_eq!((status, answer["error_code"].as_str()), (400, Some("RESOURCE_ALREADY_EXISTS")));
    let run_id = server.begin_run(&json!({"experiment_id": id}));
    server.ok("experiments/update", &json!({"experiment_id": id, "new_name": "numbers"}));
    assert_eq!(server.run(&run_id)["info"]["experiment_id"], id.as_str());
    assert_eq!(shown(&sandbox, &run_id)["experiment"], "numbers");
    let again = server.ok("experiments/create", &json!({"name": "digits"}));
    assert_ne!(again["experiment_id"], id.as_str(), "the id of the old name is taken");
    let found = server.ok("experiments/search", &json!({"max_results": 10, "filter": "tags.team = 'a'"}));
    assert_eq!(found["experiments"].as_array().unwrap().len(), 1);
    assert_eq!(found["experiments"][0]["name"], "numbers");
    server.ok("experiments/delete", &json!({"experiment_id": id}));
    assert_eq!(server.post("runs/create", &json!({"experiment_id": id})).0, 400);
    assert_eq!(server.run(&run_id)["info"]["lifecycle_stage"], "deleted");
    server.ok("experiments/restore", &json!({"experiment_id": id}));
    assert_eq!(server.run(&run_id)["info"]["lifecycle_stage"], "active");
}

#[test]
fn whatever_is_malformed_is_refused_in_mlflows_form() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let run_id = server.begin_run(&json!({}));
    let bodies = [
        "{",
        "[]",
        "1",
        "\"x\"",
        "{\"run_id\": 5}",
        "{\"run_id\": []}",
        "{\"run_id\": \"../../etc\"}",
        "{\"metrics\": 3}",
        "{\"run_id\": \"RUN\", \"metrics\": [1]}",
        "{\"run_id\": \"RUN\", \"metrics\": [{\"key\": \"a\"}]}",
        "{\"run_id\": \"RUN\", \"metrics\": [{\"key\": \"a\", \"value\": \"x\", \"timestamp\": 1}]}",
        "{\"run_id\": \"RUN\", \"metrics\": [{\"key\": \"a/../b\", \"value\": 1, \"timestamp\": 1}]}",
        "{\"run_id\": \"RUN\", \"metrics\": [{\"key\": \"a\", \"value\": 1, \"timestamp\": 9223372036854775807}]}",
        "{\"run_id\": \"RUN\", \"params\": [{\"key\": \"\", \"value\": 1}]}",
        "{\"run_id\": \"RUN\", \"tags\": {}}",
        "\u{0}",
    ];
    let paths =
        ["runs/log-batch", "runs/log-metric", "runs/log-parameter", "runs/set-tag", "runs/delete-tag", "runs/update"];
    for path in paths {
        for body in bodies {
            let body = body.replace("RUN", &run_id);
            let (status, answer) = send(&server.address, "POST", path, &[], Some(body.as_bytes()));
            let is_harmless = status == 200 && path == "runs/update";
            assert!((400..500).contains(&status) || is_harmless, "{path} {body}: {status} {answer}");
            assert!(
                answer["error_code"].is_string() && answer["message"].is_string() || is_harmless,
                "{path} {body}: {answer}"
            );
        }
    }
    let deep = format!("{{\"run_id\": {}", "[".repeat(100_000));
    assert_eq!(send(&server.address, "POST", "runs/log-batch", &[], Some(deep.as_bytes())).0, 400);
    let huge = format!(
        "POST /api/2.0/mlflow/runs/log-batch HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{{",
        1_u64 << 40
    );
    let (status, body) = server.raw(huge.as_bytes());
    assert_eq!(status, 413);
    assert!(serde_json::from_slice::<Value>(&body).unwrap()["error_code"].is_string());
    assert_eq!(server.get("no/such/endpoint").0, 404);
    for query in
        ["runs/get?run_id=%FF%00", "runs/get?run_id", "metrics/get-history?run_id=x&metric_key=a&max_results=-1"]
    {
        let (status, _) = server.get(query);
        assert!((400..500).contains(&status), "{query}: {status}");
    }
    assert_eq!(server.run(&run_id)["info"]["status"], "RUNNING", "it is at work still");
}

#[test]
fn only_who_may_is_let_in() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let ask = |headers: &str| {
        let request = format!(
            "POST /api/2.0/mlflow/experiments/search HTTP/1.1\r\nConnection: close\r\n{headers}Content-Length: 2\r\n\r\n{{}}"
        );
        server.raw(request.as_bytes()).0
    };
    let json = "Content-Type: application/json\r\n";
    assert_eq!(ask(&format!("Host: localhost:5000\r\n{json}")), 200);
    assert_eq!(ask(&format!("Host: evil.example\r\n{json}")), 403, "a name that was made to point here");
    assert_eq!(ask(&format!("Host: localhost\r\nOrigin: https://evil.example\r\n{json}")), 403, "somebody's page");
    assert_eq!(ask("Host: localhost\r\nContent-Type: text/plain\r\n"), 400, "what a form can send");
    let health = server.raw(b"GET /health HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
    assert_eq!(health, (200, b"OK".to_vec()));

    sandbox.write("token", "0123456789abcdef-secret\n");
    let server = Server::start(&sandbox, &["--token-file", "token"]);
    let ask = |header: &[&str]| send(&server.address, "POST", "experiments/search", header, Some(b"{}")).0;
    assert_eq!(ask(&[]), 401);
    assert_eq!(ask(&["Authorization: Bearer 0123456789abcdef-secreT"]), 401);
    assert_eq!(ask(&["Authorization: Bearer 0123456789abcdef-secret"]), 200);
    sandbox.write("short", "abc");
    sandbox.git_ml(&["mlflow", "serve", "--port", "0", "--token-file", "short"]).code(1);
}

#[test]
fn sixteen_clients_log_to_sixteen_runs_and_to_one() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let shared = server.begin_run(&json!({}));
    let own: Vec<String> = (0..16).map(|_| server.begin_run(&json!({}))).collect();
    std::thread::scope(|scope| {
        for (client, run_id) in own.iter().enumerate() {
            let (server, shared) = (&server, &shared);
            scope.spawn(move || {
                for step in 0..10 {
                    server.ok("runs/log-batch", &json!({"run_id": run_id, "metrics": [point("own", client, step)]}));
                    let key = format!("of-{client}");
                    server.ok("runs/log-batch", &json!({"run_id": shared, "metrics": [point(&key, step, step)]}));
                }
            });
        }
    });
    for (client, run_id) in own.iter().enumerate() {
        let history = server.history(run_id, "own");
        assert_eq!(history.len(), 10);
        assert!(history.iter().all(|point| point["value"].as_f64() == Some(client as f64)), "{history:?}");
        assert_eq!(server.history(&shared, &format!("of-{client}")).len(), 10);
    }
}

#[test]
fn the_command_of_a_run_logs_to_its_own_run() {
    let sandbox = Sandbox::new();
    let script = r#"
        import json, os, urllib.request
        base, own = os.environ["MLFLOW_TRACKING_URI"], os.environ["MLFLOW_RUN_ID"]
        def ask(path, body=None):
            data = None if body is None else json.dumps(body).encode()
            headers = {"Content-Type": "application/json"}
            request = urllib.request.Request(base + "/api/2.0/mlflow/" + path, data, headers)
            return json.load(urllib.request.urlopen(request))
        ask("experiments/create", {"name": "digits"})
        assert ask("runs/get?run_id=" + own)["run"]["info"]["experiment_id"] == ask(
            "experiments/get-by-name?experiment_name=digits")["experiment"]["experiment_id"]
        ask("runs/log-metric", {"run_id": own, "key": "loss", "value": 0.5, "timestamp": 1, "step": 3})
        ask("runs/update", {"run_id": own, "status": "FINISHED", "end_time": 5})
        assert ask("runs/get?run_id=" + own)["run"]["info"]["status"] == "FINISHED"
        nested = ask("runs/create", {"experiment_id": "0", "start_time": 1, "run_name": "nested"})["run"]["info"]["run_id"]
        ask("runs/log-metric", {"run_id": nested, "key": "x", "value": 1, "timestamp": 1})
        ask("runs/log-parameter", {"run_id": own, "key": "lr", "value": "0.1"})
    "#;
    let lines: Vec<&str> = script.lines().map(|line| line.strip_prefix("        ").unwrap_or(line)).collect();
    sandbox.write("script.py", lines.join("\n"));
    sandbox.git_ml(&["run", "--name", "outer", "--", "python3", "script.py"]).success();
    assert_eq!(live(&sandbox), 0);
    let runs = sandbox.git_ml(&["log", "--json"]).success().json();
    let named = |name: &str| runs.as_array().unwrap().iter().find(|run| run["name"] == name).unwrap().clone();
    let outer = named("outer");
    assert_eq!(outer["status"], "finished");
    assert_eq!(outer["exit_code"], 0);
    assert_eq!(outer["experiment"], "digits");
    assert_eq!(outer["metrics"]["loss"]["last"], 0.5);
    assert_eq!(outer["params"]["lr"], "0.1");
    let nested = named("nested");
    assert_eq!(nested["status"], "finished", "it ends with the command");
    assert_eq!(nested["metrics"]["x"]["last"], 1.0);
}

/// The names of a run's files.
fn files_of(server: &Server, run_id: &str) -> Vec<String> {
    let (status, answer) = server.get(&format!("artifacts/list?run_id={run_id}"));
    assert_eq!(status, 200, "{answer}");
    let files = answer["files"].as_array().cloned().unwrap_or_default();
    files.iter().map(|file| file["path"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_server_that_is_killed_in_the_middle_of_an_upload_leaves_no_half_of_a_file() {
    let sandbox = Sandbox::new();
    let server = Server::start(&sandbox, &[]);
    let run_id = server.begin_run(&json!({}));
    let put = |server: &Server, path: &str, length: usize, body: &[u8]| {
        let address = &server.address;
        let request = format!(
            "PUT /api/2.0/mlflow-artifacts/{path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        );
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(&[request.as_bytes(), body].concat()).unwrap();
        stream
    };
    let answer = |mut stream: TcpStream| {
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        text
    };
    let half = vec![7; 1 << 20];
    let place = format!("artifacts/0/{run_id}/artifacts/weights.bin");
    let _open = put(&server, &place, half.len() * 2, &half);
    let drafts = || std::fs::read_dir(sandbox.path(".git/ml/uploads")).map_or(0, Iterator::count);
    wait_for("the draft", || drafts() == 1);
    // And one in parts, of which the first is here.
    let mpu = format!("/api/2.0/mlflow-artifacts/mpu/create/0/{run_id}/artifacts");
    let post = |server: &Server, path: &str, body: &Value| {
        let (address, body) = (&server.address, body.to_string());
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let (status, answer) = server.raw(request.as_bytes());
        assert_eq!(status, 200, "{}", String::from_utf8_lossy(&answer));
        serde_json::from_slice::<Value>(&answer).unwrap()
    };
    let created = post(&server, &mpu, &json!({"path": "parts.bin", "num_parts": 2}));
    let upload_id = created["upload_id"].as_str().unwrap();
    let part = |server: &Server, number: usize, bytes: &[u8]| {
        let text = answer(put(server, &format!("mpu/part/{upload_id}/{number}"), bytes.len(), bytes));
        let etag = text.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().trim_matches('"').to_owned();
        json!({"part_number": number, "etag": etag})
    };
    let first = part(&server, 1, b"one ");
    drop(server);

    let server = Server::start(&sandbox, &[]);
    assert!(files_of(&server, &run_id).is_empty());
    // What was here of the parts still is, so the client can go on.
    let second = part(&server, 2, b"two");
    let complete = mpu.replace("create", "complete");
    post(&server, &complete, &json!({"path": "parts.bin", "upload_id": upload_id, "parts": [first, second]}));
    answer(put(&server, &place, half.len(), &half));
    assert_eq!(files_of(&server, &run_id), ["parts.bin", "weights.bin"]);
    server.ok("runs/update", &json!({"run_id": run_id, "status": "FINISHED"}));
    server.stop();
    assert_eq!(sandbox.git_ml(&["cat", &format!("run:{run_id}:parts.bin")]).success().stdout(), "one two");
    let sizes: Vec<Value> =
        shown(&sandbox, &run_id)["outputs"].as_array().unwrap().iter().map(|output| output["bytes"].clone()).collect();
    assert_eq!(sizes, [7, 1 << 20]);
}

#[test]
fn two_servers_of_one_repository_see_and_keep_what_either_is_told() {
    let sandbox = Sandbox::new();
    let servers = [Server::start(&sandbox, &[]), Server::start(&sandbox, &[])];
    let run_id = servers[0].begin_run(&json!({"run_name": "shared"}));
    let (mine, id) = (&servers, run_id.as_str());
    std::thread::scope(|scope| {
        for (number, server) in mine.iter().enumerate() {
            scope.spawn(move || {
                for step in 0..30 {
                    let metrics = [point(&format!("of-{number}"), step, step), point("both", step, step)];
                    server.ok("runs/log-batch", &json!({"run_id": id, "metrics": metrics}));
                    let param = json!({"run_id": id, "key": format!("p{number}-{step}"), "value": "x"});
                    server.ok("runs/log-parameter", &param);
                }
                let model = format!("model-{number}");
                server.ok("registered-models/create", &json!({"name": model}));
            });
        }
    });
    for server in &servers {
        let run = server.run(&run_id);
        assert_eq!(run["data"]["params"].as_array().unwrap().len(), 60);
        assert_eq!((server.history(&run_id, "of-0").len(), server.history(&run_id, "of-1").len()), (30, 30));
        // Both logged the same points, which are there once for a client.
        assert_eq!(server.history(&run_id, "both").len(), 30);
    }
    servers[1].ok("runs/update", &json!({"run_id": run_id, "status": "FINISHED"}));
    assert_eq!(servers[0].run(&run_id)["info"]["status"], "FINISHED");
    wait_for("the record", || live(&sandbox) == 0);
    // The other one changes what this one recorded, and the other way round.
    servers[0].ok("runs/set-tag", &json!({"run_id": run_id, "key": "by", "value": "the first"}));
    servers[1].ok("runs/log-batch", &json!({"run_id": run_id, "metrics": [point("of-1", 30, 30)]}));
    for server in &servers {
        wait_for("the change", || {
            let (_, found) = server.post(
                "runs/search",
                &json!({"experiment_ids": ["0"], "filter": "tags.by = 'the first' and metrics.`of-1` = 30"}),
            );
            found["runs"].as_array().is_some_and(|runs| runs.len() == 1)
        });
        let (_, models) = server.get("registered-models/search");
        assert_eq!(models["registered_models"].as_array().unwrap().len(), 2);
    }
    servers.into_iter().for_each(Server::stop);
    assert_eq!(
        sandbox.git_ml(&["show", &run_id, "--metric", "both", "--json"]).success().json().as_array().unwrap().len(),
        60
    );
    sandbox.git_ml(&["verify", "--all"]).success();
}
