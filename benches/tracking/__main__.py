#!/usr/bin/env python3
"""Measures git-ml's tracking of runs beside MLflow's own server, and prints a table in Markdown with the ratios.

python3 benches/tracking                 everything; MLflow alone takes some six minutes for a thousand runs
python3 benches/tracking --runs 50       a quick look
"""

import argparse
import json
import os
import platform
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
PARAMS, METRICS, STEPS = 10, 10, 100
STEPS_PER_BATCH = 50
API = "/api/2.0/mlflow"


def main():
    options = arguments()
    if os.getloadavg()[0] > 0.5:
        say(f"this machine is busy (load {os.getloadavg()[0]:.1f}): ratios will be noisy, seconds will be wrong")
    figures = {}
    with tempfile.TemporaryDirectory(prefix="git-ml-tracking-", dir=options.dir) as folder:
        folder = Path(folder)
        if "server" in options.rows:
            replay = folder / "replay"
            subprocess.run(["rustc", "-O", "--edition", "2024", "-o", replay, HERE / "replay.rs"], check=True)
            records = record(folder, options.runs)
            for name, start in (("MLflow", start_mlflow), ("git-ml", start_git_ml)):
                if name not in options.servers:
                    continue
                if name == "MLflow" and options.mlflow is None:
                    say("MLflow is not there, and is left out: scripts/trackers install")
                    continue
                say(f"{name}: {options.runs} runs")
                figures[name] = measure_server(start, options, folder / name, replay, records)
        lines = server_rows(figures, options.runs)
        if "client" in options.rows:
            say("MLflow's own client")
            lines += measure_client(options, folder)
        if "log" in options.rows:
            say("GIT_ML_LOG")
            lines.append(measure_log(options, folder))
        if "wrapper" in options.rows:
            say("the wrapper")
            lines += measure_wrapper(options, folder)
        if "query" in options.rows:
            say("git ml log, with 10,000 runs")
            lines += measure_query(options, folder)
    print(f"{processor()}, {len(os.sched_getaffinity(0))} cores, {platform.platform()}\n")
    print("| what | MLflow | git-ml | ratio | wanted |\n| --- | --- | --- | --- | --- |")
    for line in lines:
        print("| " + " | ".join(line) + " |")
    if options.json:
        options.json.write_text(json.dumps({"servers": figures, "rows": lines}, indent=1) + "\n")
    failed = [f"{name}: {part['first_failure']}" for name, parts in figures.items() for part in parts["replays"] if part["failed"]]
    for failure in failed:
        say(f"a request failed: {failure}")
    return 1 if failed else 0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--git-ml", type=Path, help="which git-ml [default: target/release/git-ml, then the PATH]")
    parser.add_argument("--mlflow", type=Path, help="which mlflow [default: that of scripts/trackers, then the PATH]")
    parser.add_argument("--python", type=Path, help="a Python with MLflow's client [default: that of scripts/mlflow]")
    parser.add_argument("--dvc", type=Path, help="which dvc [default: that of scripts/dvc, then the PATH]")
    parser.add_argument("--synthetic", type=Path, help="the example synthetic_repo [default: target/release/examples]")
    parser.add_argument("--runs", type=int, default=1000, help="runs that are logged to each server")
    parser.add_argument("--servers", type=lambda text: text.split(","), default=["MLflow", "git-ml"], help="which servers")
    parser.add_argument("--rows", type=lambda text: text.split(","), default=["server", "client", "log", "wrapper", "query"])
    parser.add_argument("--dir", type=Path, default=None, help="where all of it happens")
    parser.add_argument("--json", type=Path, help="a file for all figures")
    options = parser.parse_args()
    options.git_ml = find(options.git_ml, TOP / "target/release/git-ml", "git-ml")
    cache = Path(os.environ.get("GIT_ML_TEST_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "git-ml")
    options.mlflow = find(options.mlflow, cache / "trackers/bin/mlflow", "mlflow")
    options.python = options.python or cache / "mlflow/bin/python"
    options.dvc = find(options.dvc, cache / "dvc/bin/dvc", "dvc")
    options.synthetic = find(options.synthetic, TOP / "target/release/examples/synthetic_repo", "synthetic_repo")
    if options.git_ml is None:
        parser.error("git-ml is not there: cargo build --release")
    return options


def find(given, usual, name):
    if given is not None:
        return given.resolve()
    found = shutil.which(name)
    return usual if usual.exists() else Path(found) if found else None


def say(words):
    print(words, file=sys.stderr, flush=True)


def processor():
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


# The requests.


def record(folder, runs):
    """The requests as files, the same for all servers: making runs, looking them up, searching them."""
    chance = random.Random(1)
    lines = [request("experiment", "POST", "/experiments/create", {"name": "benchmark"})]
    for run in range(runs):
        start = 1_700_000_000_000 + run * 60_000
        lines.append(request("create", "POST", "/runs/create", {
            "experiment_id": "@EXPERIMENT@", "run_name": f"run-{run}", "start_time": start, "user_id": "ada"}))
        params = [{"key": f"p{index}", "value": str((run * 7 + index) % 13)} for index in range(PARAMS)]
        for first in range(0, STEPS, STEPS_PER_BATCH):
            metrics = [
                {"key": f"m{metric}", "value": chance.random(), "timestamp": start + step * 100, "step": step}
                for step in range(first, first + STEPS_PER_BATCH) for metric in range(METRICS)
            ]
            lines.append(request("log-batch", "POST", "/runs/log-batch", {
                "run_id": "@RUN@", "metrics": metrics, "params": params if first == 0 else [], "tags": []}))
        lines.append(request("update", "POST", "/runs/update", {
            "run_id": "@RUN@", "status": "FINISHED", "end_time": start + 50_000}))
    search = {
        "experiment_ids": ["@EXPERIMENT@"], "max_results": 100,
        "filter": "metrics.m3 > 0.5 and params.p3 = '7'", "order_by": ["metrics.m3 DESC"],
    }
    searches = [request("search", "POST", "/runs/search", search)] * 50
    gets = [request("get", "GET", f"/runs/get?run_id=@RUN:{chance.randrange(runs)}@", None) for _ in range(500)]
    records = {}
    for name, content in (("log", lines), ("search", searches), ("get", gets)):
        records[name] = folder / f"{name}.tsv"
        records[name].write_text("\n".join(content))
    return records


def request(kind, method, path, body):
    return "\t".join([kind, method, API + path, json.dumps(body) if body is not None else ""])


# The servers.


def start_mlflow(options, folder, port):
    command = [options.mlflow, "server", "--workers", "1", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", str(folder / "artifacts")]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def start_git_ml(options, folder, port):
    new_repository(folder)
    command = [options.git_ml, "mlflow", "serve", "--port", str(port)]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def new_repository(folder):
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / ".git").exists():
        git = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
        subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
        subprocess.run(["git", "config", "user.name", "Ada"], cwd=folder, check=True)
        subprocess.run(["git", "config", "user.email", "ada@example.org"], cwd=folder, check=True)
        subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "Begin"], cwd=folder, check=True)
    return folder


def measure_server(start, options, folder, replay, records):
    folder.mkdir()
    # Once for nothing: what a first start sets up is not what a start takes.
    ready = []
    for _ in range(2):
        port = free_port()
        began = time.perf_counter()
        server = start(options, folder, port)
        try:
            wait_until_ready(port, server, began + 180)
            ready.append(time.perf_counter() - began)
            if len(ready) < 2:
                continue
            figures = {"ready_s": ready[-1], "replays": []}
            for name in ("log", "search", "get"):
                before = processor_seconds(server.pid)
                command = [replay, f"127.0.0.1:{port}", records[name], folder / "ids"]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                if done.returncode != 0:
                    raise SystemExit(f"the replay of {name} failed: {done.stderr.strip()}")
                taken = json.loads(done.stdout)
                taken["name"] = name
                taken["processor_s"] = processor_seconds(server.pid) - before
                figures["replays"].append(taken)
                figures[name] = taken
            figures["memory_bytes"], figures["peak_bytes"] = memory(server.pid)
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)
                server.wait()
    return figures


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until_ready(port, server, until):
    while time.perf_counter() < until:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
                connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                if b" 200 " in connection.recv(64):
                    return
        except OSError:
            pass
        if server.poll() is not None:
            raise SystemExit(f"the server ended with {server.returncode}")
        time.sleep(0.001)
    raise SystemExit("the server is not ready after three minutes")


def tree(pid):
    """A process and all below it."""
    found, pending = [], [pid]
    while pending:
        process = pending.pop()
        found.append(process)
        for children in Path(f"/proc/{process}/task").glob("*/children"):
            try:
                pending += [int(child) for child in children.read_text().split()]
            except OSError:
                pass
    return found


def processor_seconds(pid):
    """What a tree of processes has used, those that ended included."""
    ticks = 0
    for process in tree(pid):
        try:
            fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        ticks += sum(int(field) for field in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory(pid):
    """What a tree of processes has in memory now, and the sum of their peaks."""
    now = peak = 0
    for process in tree(pid):
        try:
            lines = Path(f"/proc/{process}/status").read_text().splitlines()
        except OSError:
            continue
        sizes = {line.split(":")[0]: int(line.split()[1]) << 10 for line in lines if line.startswith(("VmRSS", "VmHWM"))}
        now, peak = now + sizes.get("VmRSS", 0), peak + sizes.get("VmHWM", 0)
    return now, peak


def server_rows(figures, runs):
    rows = [
        (f"log {runs} runs, wall", lambda f: f["log"]["wall_s"], seconds, "50 × faster", 1),
        ("the same, processor time of the server a run", lambda f: f["log"]["processor_s"] / runs, seconds, "", 1),
        ("`log-batch` of 500 values, median", lambda f: f["log"]["kinds"]["log-batch"]["median_ms"] / 1e3, seconds, "", 1),
        ("`runs/search`, median", lambda f: f["search"]["kinds"]["search"]["median_ms"] / 1e3, seconds, "under 5 ms", 1),
        ("`runs/get`, median", lambda f: f["get"]["kinds"]["get"]["median_ms"] / 1e3, seconds, "under 1 ms", 1),
        ("memory of the server", lambda f: f["memory_bytes"], mebibytes, "under 60 MB", 1),
        ("its peak", lambda f: f["peak_bytes"], mebibytes, "", 1),
        ("until it is ready", lambda f: f["ready_s"], seconds, "under 50 ms", 1),
    ]
    lines = []
    for what, value, words, wanted, _ in rows:
        theirs, ours = (value(figures[name]) if name in figures else None for name in ("MLflow", "git-ml"))
        if theirs is None and ours is None:
            continue
        ratio = f"{theirs / ours:.0f}" if theirs and ours else ""
        lines.append([what, words(theirs) if theirs is not None else "", words(ours) if ours is not None else "", ratio, wanted])
    return lines


def seconds(value):
    if value < 0.0095:
        return f"{value * 1e3:.2f} ms"
    return f"{value * 1e3:.0f} ms" if value < 1 else f"{value:.1f} s"


def mebibytes(value):
    return f"{value / 2**20:.0f} MiB"


# MLflow's own client.


def measure_client(options, folder):
    """What the client waits for the server, as a part of all the time that a script's logging takes."""
    if not options.python.exists():
        say("MLflow's client is not there, and its rows are left out: scripts/mlflow install")
        return []
    place, port = folder / "client", free_port()
    server = start_git_ml(options, place, port)
    lines = []
    try:
        wait_until_ready(port, server, time.perf_counter() + 60)
        for kind, what in (
            ("batch", "50 runs of 10 parameters and 10 metrics × 100 steps by `log_batch`"),
            ("single", "2,000 `mlflow.log_metric`"),
            ("background", "the same with `synchronous=False`"),
        ):
            command = [options.python, HERE / "client.py", kind]
            before = processor_seconds(server.pid)
            settings = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}", "MLFLOW_DISABLE_TELEMETRY": "true"}
            done = subprocess.run(command, env={**os.environ, **settings}, capture_output=True, text=True, check=True)
            taken = json.loads(done.stdout.strip().splitlines()[-1])
            processor = processor_seconds(server.pid) - before
            # Requests in the background overlap, so what they wait for is no part of the whole.
            share = processor if kind == "background" else taken["waiting_s"]
            words = "processor time" if kind == "background" else "waiting"
            ours = f"{seconds(share)} of {seconds(taken['wall_s'])} {words}: {share / taken['wall_s']:.1%}"
            lines.append([f"MLflow's client, {what}: the server's share", "", ours, "", "under 10 %"])
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait()
    return lines


# Without a server.


def median_of(command, folder, times, prepare=None):
    taken = []
    for _ in range(times):
        if prepare:
            prepare()
        start = time.perf_counter()
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def measure_log(options, folder):
    """A command that logs as fast as it can, from its start until all of it is recorded."""
    repository = new_repository(folder / "log")
    lines, values = 500_000, 4
    with open(folder / "points.jsonl", "w") as points:
        for step in range(lines):
            points.write(f'{{"step": {step}, "a": {step / 7}, "b": 0.5, "c": -1e-5, "d": {step}}}\n')
    command = [options.git_ml, "run", "--", "sh", "-c", f'cat "{folder}/points.jsonl" >> "$GIT_ML_LOG"']
    taken = median_of(command, repository, 3)
    return [f"`GIT_ML_LOG`, {lines * values // 1_000_000} million values until they are recorded", "", f"{lines * values / taken:,.0f} a second", "", "500,000"]


def measure_wrapper(options, folder):
    repository = new_repository(folder / "wrapper")
    bare = median_of(["true"], repository, 30)
    ours = median_of([options.git_ml, "run", "--", "true"], repository, 30)
    lines = [["`git ml run -- true` beyond `true`", "", seconds(ours - bare), "", "under 30 ms"]]
    if options.dvc is None:
        say("dvc is not there, and is left out: scripts/dvc install")
        return lines
    theirs = new_repository(folder / "dvc")
    run = lambda *arguments: subprocess.run([options.dvc, *arguments], cwd=theirs, check=True, stdout=subprocess.DEVNULL)  # noqa: E731
    run("init", "-q")
    (theirs / "params.yaml").write_text("n: 0\n")
    (theirs / "dvc.yaml").write_text("stages:\n  one:\n    cmd: 'true'\n    params: [n]\n")
    subprocess.run(["git", "add", "."], cwd=theirs, check=True)
    subprocess.run(["git", "commit", "-q", "-m", "Add a stage"], cwd=theirs, check=True)
    count = iter(range(1, 1000))
    prepare = lambda: (theirs / "params.yaml").write_text(f"n: {next(count)}\n")  # noqa: E731
    dvc = median_of([options.dvc, "exp", "run", "-q"], theirs, 5, prepare) - bare
    lines.append(["`dvc exp run` of `true`, beyond it", f"{seconds(dvc)} (dvc)", seconds(ours - bare), f"{dvc / (ours - bare):.0f}", ""])
    return lines


def measure_query(options, folder):
    if options.synthetic is None:
        say("the example is not there, and the row is left out: cargo build --release --example synthetic_repo")
        return []
    repository = folder / "many"
    subprocess.run([options.synthetic, "--runs", "10000", "--points", "1000", repository], check=True, stdout=subprocess.DEVNULL)
    query = "metrics.val_accuracy > 0.9 and params.optimizer = 'adam'"
    command = [options.git_ml, "log", "--where", query, "--json"]

    def forget():
        for file in (repository / ".git/ml").glob("runs.db*"):
            file.unlink()

    cold = median_of(command, repository, 3, forget)
    warm = median_of(command, repository, 20)
    return [
        ["`git ml log --where … --json`, 10,000 runs", "", seconds(warm), "", "under 100 ms"],
        ["the same after the cache was deleted", "", seconds(cold), "", "under 1 s"],
    ]


if __name__ == "__main__":
    sys.exit(main())
