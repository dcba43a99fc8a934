//! What CI runs: the action's and the workflows' own steps, run as a forge runs them, on a real repository with a real
//! remote. A forge's API is a small program that keeps comments in a file.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::sandbox::{Output, Sandbox};

const ACTION: &str = include_str!("../../.github/actions/verify/action.yml");

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}:\n{text}"))
}

/// A job on its machine: what its steps left for each other.
struct Job<'s> {
    sandbox: &'s Sandbox,
    checkout: PathBuf,
    names: BTreeMap<String, String>,
    folders: Vec<String>,
    failed: bool,
    ran: Vec<String>,
    output: Vec<Output>,
}

impl<'s> Job<'s> {
    fn new(sandbox: &'s Sandbox, checkout: &Path, names: &[(&str, &str)]) -> Self {
        let temp = sandbox.root().join("runner");
        let _ = fs::remove_dir_all(&temp);
        fs::create_dir_all(&temp).unwrap();
        let names = names.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut job = Self {
            sandbox,
            checkout: checkout.to_owned(),
            names,
            folders: Vec::new(),
            failed: false,
            ran: Vec::new(),
            output: Vec::new(),
        };
        job.names.insert("runner.temp".to_owned(), temp.to_str().unwrap().to_owned());
        job
    }

    /// What the steps printed.
    fn told(&self) -> String {
        self.output.iter().map(|output| format!("{output}\n")).collect()
    }

    fn file(&self, name: &str) -> PathBuf {
        Path::new(&self.names["runner.temp"]).join(name)
    }

    fn summary(&self) -> String {
        fs::read_to_string(self.file("summary")).unwrap_or_default()
    }

    /// Runs the steps in order, as GitHub does: one that fails ends all but those that say otherwise.
    fn run(&mut self, steps: &Value, job_env: &Value) {
        for step in steps.as_array().unwrap() {
            let name = step["name"].as_str().unwrap_or("unnamed").to_owned();
            let condition = step["if"].as_str().unwrap_or("true").to_owned();
            let condition = condition.trim_start_matches("${{").trim_end_matches("}}").to_owned();
            let may_follow_failure = condition.contains("cancelled()");
            let Some(script) = step["run"].as_str() else { continue };
            assert!(!script.contains("${{"), "an expression in a script can be made to run anything: {script}");
            if (self.failed && !may_follow_failure) || !self.truth(&condition) {
                continue;
            }
            self.step(&name, step, script, job_env);
        }
    }

    fn step(&mut self, name: &str, step: &Value, script: &str, job_env: &Value) {
        let place = self.file("script");
        fs::write(&place, script).unwrap();
        let outputs = self.file("outputs");
        fs::write(&outputs, "").unwrap();
        let mut command = self.sandbox.command("bash");
        match step["shell"].as_str() {
            Some("bash") => command.args(["--noprofile", "--norc", "-eo", "pipefail"]),
            _ => command.arg("-e"),
        };
        command.arg(&place);
        let folder = step["working-directory"].as_str().map_or(String::new(), |text| self.filled(text));
        command.current_dir(self.checkout.join(folder));
        for env in [job_env, &step["env"]] {
            for (key, value) in env.as_object().into_iter().flatten() {
                command.env(key, self.filled(value.as_str().unwrap()));
            }
        }
        let path = self.folders.join(":")
            + ":"
            + &std::env::join_paths([self.sandbox.root().join("bin")]).unwrap().to_string_lossy();
        let known = command.get_envs().find(|(key, _)| *key == "PATH").and_then(|(_, value)| value).unwrap().to_owned();
        command.env("PATH", format!("{path}:{}", known.to_string_lossy()));
        command.env("RUNNER_TEMP", &self.names["runner.temp"]);
        for (variable, file) in
            [("GITHUB_OUTPUT", "outputs"), ("GITHUB_STEP_SUMMARY", "summary"), ("GITHUB_PATH", "path")]
        {
            command.env(variable, self.file(file));
        }
        command.env("GITHUB_ACTION_PATH", Path::new(env!("CARGO_MANIFEST_DIR")).join(".github/actions/verify"));
        command.env("GITHUB_REPOSITORY", "owner/repo").env("GITHUB_SHA", &self.names["github.sha"]);
        let output = self.sandbox.run(command);
        self.ran.push(format!("{name}: {}", output.exit_code()));
        self.failed |= output.exit_code() != 0;
        let outcome = if output.exit_code() == 0 { "success" } else { "failure" };
        self.output.push(output);
        let Some(id) = step["id"].as_str() else { return };
        self.names.insert(format!("steps.{id}.outcome"), outcome.to_owned());
        for line in fs::read_to_string(&outputs).unwrap().lines() {
            let (key, value) = line.split_once('=').unwrap();
            self.names.insert(format!("steps.{id}.outputs.{key}"), value.to_owned());
        }
        if let Ok(folders) = fs::read_to_string(self.file("path")) {
            self.folders = folders.lines().map(str::to_owned).collect();
        }
    }

    /// A text with its expressions filled in.
    fn filled(&self, text: &str) -> String {
        let mut parts = text.split("${{");
        let mut out = parts.next().unwrap().to_owned();
        for part in parts {
            let (expression, rest) = part.split_once("}}").unwrap();
            out += &self.value(expression.trim());
            out += rest;
        }
        out
    }

    fn value(&self, name: &str) -> String {
        let is_known = ["inputs.", "github.", "runner.", "steps."].iter().any(|context| name.starts_with(context));
        assert!(is_known, "{name} is no context of GitHub's");
        self.names.get(name).cloned().unwrap_or_default()
    }

    /// A condition of GitHub's: names, texts, `==`, `!=`, `!`, `&&`, `||` and parentheses.
    fn truth(&self, text: &str) -> bool {
        let text = text.trim();
        for (sign, any) in [("||", true), ("&&", false)] {
            if let Some(parts) = split_outside(text, sign) {
                return if any {
                    parts.iter().any(|part| self.truth(part))
                } else {
                    parts.iter().all(|part| self.truth(part))
                };
            }
        }
        if let Some(inner) = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')) {
            return self.truth(inner);
        }
        for (sign, is_equal) in [("==", true), ("!=", false)] {
            if let Some((left, right)) = text.split_once(sign) {
                return (self.operand(left) == self.operand(right)) == is_equal;
            }
        }
        match text {
            "true" | "!cancelled()" => true,
            _ if text.starts_with('!') => !self.truth(&text[1..]),
            _ => !self.operand(text).is_empty(),
        }
    }

    fn operand(&self, text: &str) -> String {
        let text = text.trim();
        match text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')) {
            Some(text) => text.to_owned(),
            None => self.value(text),
        }
    }
}

/// The parts between a sign that stands outside of parentheses; none where it does not.
fn split_outside<'t>(text: &'t str, sign: &str) -> Option<Vec<&'t str>> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (index, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ if depth == 0 && text[index..].starts_with(sign) && index >= start => {
                parts.push(&text[start..index]);
                start = index + sign.len();
            }
            _ => {}
        }
    }
    if parts.is_empty() {
        return None;
    }
    parts.push(&text[start..]);
    Some(parts)
}

/// A pull request: `main` and a branch on a bare remote, data on a shared folder, and a checkout as CI makes it.
struct PullRequest {
    sandbox: Sandbox,
    checkout: PathBuf,
    sha: String,
}

fn pull_request() -> PullRequest {
    let sandbox = Sandbox::new();
    let origin = sandbox.root().join("origin.git");
    sandbox.git(&["init", "--quiet", "--bare", origin.to_str().unwrap()]).success();
    sandbox.git(&["remote", "add", "origin", origin.to_str().unwrap()]).success();
    sandbox.write("train.sh", "git ml metric test_accuracy=$(cat reach)\n");
    sandbox.write("reach", "0.75");
    sandbox.write("ml.toml", "[experiments.fit]\ncommand = \"sh train.sh\"\n");
    sandbox.git_ml(&["remote", "add", "share", sandbox.root().join("share").to_str().unwrap()]).success();
    sandbox.write("data/x/a.txt", "the first text ".repeat(40));
    sandbox.git_ml(&["track", "data/x"]).success();
    sandbox.git_ml(&["trust"]).success();
    sandbox.commit("Begin");
    sandbox.git_ml(&["run", "--quiet", "fit", "--name", "old-one"]).success();
    sandbox.git(&["push", "--quiet", "origin", "main"]).success();
    sandbox.git(&["switch", "--quiet", "-c", "better"]).success();
    sandbox.write("reach", "0.875");
    sandbox.write("data/x/b.txt", "another text ".repeat(40));
    sandbox.git_ml(&["track", "data/x"]).success();
    sandbox.commit("Reach further");
    sandbox.git_ml(&["run", "--quiet", "fit", "--name", "new-one"]).success();
    sandbox.git_ml(&["push"]).success();
    sandbox.git(&["switch", "--quiet", "--detach", "main"]).success();
    sandbox.git(&["merge", "--quiet", "--no-ff", "--no-edit", "better"]).success();
    sandbox.git(&["push", "--quiet", "origin", "better", "HEAD:refs/pull/1/merge"]).success();
    let sha = sandbox.git(&["rev-parse", "HEAD"]).success().stdout().trim().to_owned();
    // As GitHub's own action checks out: one commit, and no branch.
    let checkout = sandbox.root().join("checkout");
    let (folder, url) = (checkout.to_str().unwrap(), format!("file://{}", origin.display()));
    sandbox.git(&["init", "--quiet", folder]).success();
    sandbox.git(&["-C", folder, "remote", "add", "origin", &url]).success();
    let refspec = format!("+{sha}:refs/remotes/pull/1/merge");
    sandbox.git(&["-C", folder, "fetch", "--quiet", "--no-tags", "--depth=1", "origin", &refspec]).success();
    sandbox.git(&["-C", folder, "checkout", "--quiet", "--detach", "refs/remotes/pull/1/merge"]).success();
    PullRequest { sandbox, checkout, sha }
}

impl PullRequest {
    /// What GitHub would say in this pull request, and the action's inputs.
    fn job(&self, inputs: &[(&str, &str)]) -> Job<'_> {
        let action = yaml(ACTION);
        let mut names: Vec<(String, String)> = Vec::new();
        for (name, input) in action["inputs"].as_object().unwrap() {
            let default = input["default"].as_str().unwrap();
            names.push((
                format!("inputs.{name}"),
                if default.contains("${{") { "token".to_owned() } else { default.to_owned() },
            ));
        }
        for (name, value) in inputs {
            assert!(action["inputs"][*name].is_object(), "the action has no input {name}");
            names.push((format!("inputs.{name}"), (*value).to_owned()));
        }
        let github = [
            ("github.base_ref", "main"),
            ("github.event_name", "pull_request"),
            ("github.event.pull_request.number", "1"),
            ("github.event.pull_request.head.repo.full_name", "owner/repo"),
            ("github.repository", "owner/repo"),
            ("github.token", "token"),
            ("github.sha", self.sha.as_str()),
        ];
        let names: Vec<(&str, &str)> =
            names.iter().map(|(name, value)| (name.as_str(), value.as_str())).chain(github).collect();
        Job::new(&self.sandbox, &self.checkout, &names)
    }

    /// Takes the data from the remote. The next job runs on a machine that knows nothing of it.
    fn lose_the_data(&self) {
        fs::remove_dir_all(self.sandbox.root().join("share/packs")).unwrap();
        let _ = fs::remove_dir_all(self.checkout.join(".git/ml"));
    }

    /// `gh api` over a file of comments.
    fn fake_api(&self) -> PathBuf {
        let comments = self.sandbox.root().join("comments.json");
        fs::write(&comments, r#"[{"id": 1, "user": {"type": "User"}, "body": "<!-- git-ml report --> mine"}]"#)
            .unwrap();
        let program = "#!/usr/bin/env python3
import json, sys
place = 'COMMENTS'
comments = json.load(open(place))
arguments = sys.argv[1:]
assert arguments.pop(0) == 'api'
options = {}
paths = []
while arguments:
    word = arguments.pop(0)
    if word in ('--method', '--field', '--jq'):
        options[word] = arguments.pop(0)
    elif word not in ('--paginate', '--silent'):
        paths.append(word)
[path] = paths
if '--jq' in options:
    assert path == 'repos/owner/repo/issues/1/comments', path
    for comment in comments:
        if comment['user']['type'] == 'Bot' and comment['body'].startswith('<!-- git-ml report -->'):
            print(comment['id'])
    sys.exit()
name, _, file = options['--field'].partition('=@')
assert name == 'body'
body = open(file).read()
assert len(body) <= 65536
if options['--method'] == 'POST':
    assert path == 'repos/owner/repo/issues/1/comments', path
    comments.append({'id': len(comments) + 1, 'user': {'type': 'Bot'}, 'body': body})
else:
    number = int(path.removeprefix('repos/owner/repo/issues/comments/'))
    comments[number - 1]['body'] = body
json.dump(comments, open(place, 'w'))
";
        let program = program.replace("COMMENTS", comments.to_str().unwrap());
        self.sandbox.write_program(self.sandbox.root().join("bin/gh"), &program);
        comments
    }
}

fn comments(place: &Path) -> Vec<String> {
    let all: Value = serde_json::from_slice(&fs::read(place).unwrap()).unwrap();
    all.as_array().unwrap().iter().map(|comment| comment["body"].as_str().unwrap().to_owned()).collect()
}

fn steps_of(text: &str) -> Value {
    yaml(text)["runs"]["steps"].clone()
}

#[test]
fn the_action_verifies_a_checkout_of_one_commit_without_downloading_the_data() {
    let request = pull_request();
    let place = request.fake_api();
    let inputs =
        [("program", "git-ml"), ("remote", "share"), ("comment", "true"), ("sarif", "out.sarif"), ("junit", "out.xml")];
    let mut job = request.job(&inputs);
    job.run(&steps_of(ACTION), &Value::Null);
    let expected = ["Install git-ml: 0", "Fetch runs and the registry: 0", "Verify: 0", "Report: 0", "Comment: 0"];
    assert_eq!(job.ran, expected, "{}", job.told());
    let summary = job.summary();
    assert!(summary.contains("### git ml verify\n\n~~~~text\n") && summary.contains("all is well"), "{summary}");
    assert!(summary.contains("| `test_accuracy` | 0.75 | 0.875 | +0.125 | ✓ better |"), "{summary}");
    assert!(summary.contains("| `data/x` | `dataset` changed | 1 → 2 |"), "{summary}");
    let page = fs::read_to_string(&job.names["steps.report.outputs.page"]).unwrap();
    assert!(page.starts_with("<!doctype html>"));
    let sarif: Value = serde_json::from_slice(&fs::read(request.checkout.join("out.sarif")).unwrap()).unwrap();
    assert_eq!(sarif["version"], "2.1.0");
    assert!(fs::read_to_string(request.checkout.join("out.xml")).unwrap().contains("<testsuite"));
    let written = comments(&place);
    assert_eq!(written.len(), 2);
    assert!(written[1].starts_with("<!-- git-ml report -->\n"), "{}", written[1]);
    assert!(!request.checkout.join(".git/ml/packs").read_dir().is_ok_and(|mut packs| packs.next().is_some()));

    // The next push writes the same comment again, and touches nobody else's.
    let mut again = request.job(&inputs);
    again.run(&steps_of(ACTION), &Value::Null);
    assert_eq!(comments(&place), written);
}

#[test]
fn the_action_fails_where_the_data_is_not_and_still_reports() {
    let request = pull_request();
    request.lose_the_data();
    let mut job = request.job(&[("program", "git-ml"), ("remote", "share")]);
    job.run(&steps_of(ACTION), &Value::Null);
    assert_eq!(
        job.ran,
        ["Install git-ml: 0", "Fetch runs and the registry: 0", "Verify: 3", "Report: 0"],
        "{:?}",
        job.output
    );
    let annotations = job.output[2].stdout();
    assert!(annotations.lines().any(|line| line.starts_with("::error ")), "{annotations}");
    let summary = job.summary();
    assert!(summary.contains("error[") && summary.contains("## git ml report"), "{summary}");
}

#[test]
fn what_an_input_says_is_never_run() {
    let request = pull_request();
    let hostile = "$(touch ../pwned)`touch ../pwned`; touch ../pwned #\"'";
    let names = ["remote", "git-remote", "against", "gate", "version", "sarif", "junit"];
    for name in names {
        let mut job = request.job(&[("program", "git-ml"), (name, hostile)]);
        job.run(&steps_of(ACTION), &Value::Null);
    }
    let mut job = request.job(&[("program", hostile)]);
    job.run(&steps_of(ACTION), &Value::Null);
    assert_eq!(job.ran, ["Install git-ml: 1"]);
    for folder in [request.sandbox.root(), request.checkout.as_path(), request.sandbox.repo()] {
        assert!(!folder.join("pwned").exists());
    }
}

#[test]
fn the_action_builds_what_it_came_with_once() {
    let request = pull_request();
    let log = request.sandbox.root().join("cargo.log");
    let program = format!(
        "#!/bin/sh\necho \"$@\" >> '{}'\nwhile [ $# -gt 0 ]; do [ \"$1\" = --root ] && root=$2; shift; done\n\
         ln -s \"$(command -v git-ml)\" \"$root/bin/git-ml\"\n",
        log.display()
    );
    request.sandbox.write_program(request.sandbox.root().join("bin/cargo"), &program);
    let mut job = request.job(&[("remote", "share"), ("against", "none")]);
    let steps = steps_of(ACTION);
    job.run(&steps, &Value::Null);
    assert_eq!(job.ran[..2], ["Tell which git-ml it is: 0", "Install git-ml: 0"], "{}", job.told());
    let key = &job.names["steps.which.outputs.key"];
    assert!(key.len() == 32 && key.bytes().all(|byte| byte.is_ascii_hexdigit()), "{key}");
    let said = fs::read_to_string(&log).unwrap();
    let source = said.trim().rsplit(' ').next().unwrap();
    assert_eq!(
        Path::new(source).canonicalize().unwrap(),
        Path::new(env!("CARGO_MANIFEST_DIR")).canonicalize().unwrap()
    );
    assert!(said.starts_with("install --locked --root "), "{said}");
    // What the cache brought back is used.
    job.ran.clear();
    job.run(&steps, &Value::Null);
    assert_eq!(fs::read_to_string(&log).unwrap(), said);
}

#[test]
fn the_workflow_for_github_runs() {
    let request = pull_request();
    let place = request.fake_api();
    // As the user writes it, into the repository that has one remote.
    let written = request.sandbox.git_ml(&["init", "--ci", "github"]).success();
    assert!(written.stderr().contains("wrote .github/workflows/git-ml.yml\nit asks the remote share"), "{written}");
    let workflow = yaml(&request.sandbox.read(".github/workflows/git-ml.yml"));
    let job_of = &workflow["jobs"]["git-ml"];
    assert_eq!(job_of["env"]["REMOTE"], "share");
    request
        .sandbox
        .git(&["-C", request.checkout.to_str().unwrap(), "fetch", "--quiet", "--unshallow", "origin"])
        .success();
    let mut job = request.job(&[]);
    job.run(&job_of["steps"], &job_of["env"]);
    let expected = ["Install git ml: 0", "Fetch runs and the registry: 0", "Verify: 0", "Report: 0", "Comment: 0"];
    assert_eq!(job.ran, expected, "{}", job.told());
    assert!(job.summary().contains("✓ better"));
    assert_eq!(comments(&place).len(), 2);
    request.lose_the_data();
    let mut job = request.job(&[]);
    job.run(&job_of["steps"], &job_of["env"]);
    assert_eq!(job.ran[2..], ["Verify: 3", "Report: 0", "Comment: 0"], "{}", job.told());
}

/// The notes of a merge request, served as GitLab's API does. Dropping it ends the server.
struct Notes {
    server: Child,
    url: String,
    place: PathBuf,
}

impl Notes {
    fn serve(sandbox: &Sandbox) -> Self {
        let place = sandbox.root().join("notes.json");
        fs::write(&place, r#"[{"id": 1, "body": "looks good"}]"#).unwrap();
        let program = "
import http.server, json, sys, urllib.parse
notes = '/projects/7/merge_requests/1/notes'
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, change):
        assert self.headers['PRIVATE-TOKEN'] == 'secret'
        all = json.load(open(sys.argv[1]))
        length = int(self.headers.get('Content-Length') or 0)
        form = urllib.parse.parse_qs(self.rfile.read(length).decode())
        change(all, form)
        json.dump(all, open(sys.argv[1], 'w'))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(all).encode())
    def do_GET(self):
        assert self.path == notes + '?per_page=100', self.path
        self.answer(lambda all, form: None)
    def do_POST(self):
        assert self.path == notes, self.path
        self.answer(lambda all, form: all.append({'id': len(all) + 1, 'body': form['body'][0]}))
    def do_PUT(self):
        number = int(self.path.removeprefix(notes + '/'))
        self.answer(lambda all, form: all[number - 1].update(body=form['body'][0]))
    def log_message(self, *words):
        pass
server = http.server.HTTPServer(('127.0.0.1', 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
";
        let mut command = sandbox.command("python3");
        command.args(["-c", program]).arg(&place).stdout(Stdio::piped());
        let mut server = command.spawn().unwrap();
        let mut port = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut port).unwrap();
        Self { server, url: format!("http://127.0.0.1:{}", port.trim()), place }
    }
}

impl Drop for Notes {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[test]
fn the_job_for_gitlab_runs() {
    let request = pull_request();
    request.sandbox.git_ml(&["init", "--ci", "gitlab"]).success();
    assert_eq!(request.sandbox.read(".gitlab-ci.yml"), "include:\n  - local: .gitlab/git-ml.yml\n");
    let job = &yaml(&request.sandbox.read(".gitlab/git-ml.yml"))["git-ml"];
    let lines = |key: &str| job[key].as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned());
    let script: Vec<String> = lines("before_script").chain(lines("script")).collect();
    let run = |token: &str, server: &str| {
        let mut command = request.sandbox.command("bash");
        command.env("GIT_ML_TOKEN", token).env("CI_API_V4_URL", server).env("CI_PROJECT_ID", "7");
        command.args(["-eo", "pipefail", "-c", &script.join("\n")]).current_dir(&request.checkout);
        command.env("REMOTE", job["variables"]["REMOTE"].as_str().unwrap());
        command.env("CARGO_HOME", request.checkout.join(".cargo"));
        command.env("CI_MERGE_REQUEST_IID", "1").env("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main");
        request.sandbox.run(command)
    };
    request
        .sandbox
        .git(&["-C", request.checkout.to_str().unwrap(), "fetch", "--quiet", "--unshallow", "origin"])
        .success();
    run("", "").success();
    let report = fs::read_to_string(request.checkout.join("git-ml-report.md")).unwrap();
    assert!(report.contains("✓ better"), "{report}");
    assert!(fs::read_to_string(request.checkout.join("git-ml.xml")).unwrap().contains("<testsuite"));
    if request.sandbox.shell("command -v jq && command -v curl").exit_code() == 0 {
        let server = Notes::serve(&request.sandbox);
        for _ in 0..2 {
            run("secret", &server.url).success();
        }
        let notes: Value = serde_json::from_slice(&fs::read(&server.place).unwrap()).unwrap();
        let [theirs, ours] = notes.as_array().unwrap().as_slice() else { panic!("{notes}") };
        assert_eq!((&theirs["body"], &ours["body"]), (&"looks good".into(), &report.as_str().into()));
    } else {
        eprintln!("skipped the notes: jq or curl is not installed");
    }
    request.lose_the_data();
    let found = run("", "").code(3);
    assert!(found.stdout().contains("error["), "{found}");
}

#[test]
fn a_workflow_is_written_once_and_nobody_else_s_is_touched() {
    let sandbox = Sandbox::new();
    let first = sandbox.git_ml(&["init", "--ci", "github"]).success();
    assert!(
        first.stderr().contains("say in .github/workflows/git-ml.yml which remote has the data, as REMOTE"),
        "{first}"
    );
    let text = sandbox.read(".github/workflows/git-ml.yml");
    let chosen = text.replace("REMOTE: \"\"", "REMOTE: \"share\"");
    assert_ne!(chosen, text);
    sandbox.write(".github/workflows/git-ml.yml", &chosen);
    let again = sandbox.git_ml(&["init", "--ci", "github"]).success();
    assert!(!again.stderr().contains("wrote"), "{again}");
    assert_eq!(sandbox.read(".github/workflows/git-ml.yml"), chosen);
    sandbox.write(".github/workflows/git-ml.yml", "name: mine\n");
    sandbox.git_ml(&["init", "--ci", "github"]).one_line_error();
    assert_eq!(sandbox.read(".github/workflows/git-ml.yml"), "name: mine\n");
    sandbox.write(".gitlab-ci.yml", "mine: {script: [\"true\"]}\n");
    let told = sandbox.git_ml(&["init", "--ci", "gitlab"]).success();
    assert!(told.stderr().contains("add this to .gitlab-ci.yml:\n\ninclude:\n  - local: .gitlab/git-ml.yml"), "{told}");
    assert_eq!(sandbox.read(".gitlab-ci.yml"), "mine: {script: [\"true\"]}\n");
}

#[test]
fn every_workflow_here_is_yaml_whose_scripts_are_shell() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sandbox = Sandbox::new();
    let mut files = vec![top.join(".github/actions/verify/action.yml"), top.join("templates/ci/github.yml")];
    files.push(top.join("templates/ci/gitlab.yml"));
    let templates = fs::read_dir(top.join("templates")).unwrap().map(|entry| entry.unwrap().path());
    let folders = templates.map(|template| template.join(".github/workflows")).filter(|folder| folder.is_dir());
    for folder in folders.chain([top.join(".github/workflows")]) {
        files.extend(fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()));
    }
    assert!(files.len() > 9, "{files:?}");
    for file in files {
        let document = yaml(&fs::read_to_string(&file).unwrap());
        let jobs = document["jobs"].as_object().map_or_else(|| vec![&document["runs"]], |jobs| jobs.values().collect());
        for step in jobs.iter().flat_map(|job| job["steps"].as_array().into_iter().flatten()) {
            let Some(script) = step["run"].as_str() else { continue };
            let checked = sandbox.run_with_input(
                {
                    let mut bash = sandbox.command("bash");
                    bash.arg("-n");
                    bash
                },
                script.replace("${{", "{").replace("}}", "}").as_bytes(),
            );
            assert_eq!(checked.exit_code(), 0, "{}: {checked}\n{script}", file.display());
        }
    }
}
