"""Compares what git-ml imports and exports with what MLflow, TensorBoard and W&B themselves read.

    scripts/trackers check [GIT_ML]

Stores of all kinds are made with the tools' own clients, imported into a new repository, and compared value by value.
Then the runs are exported to a folder and to a running MLflow server, and read there with MLflow's client. The real
stores below GIT_ML_TEST_DATA are compared too.
"""

import json
import math
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

os.environ |= {"MLFLOW_ALLOW_FILE_STORE": "true", "WANDB_MODE": "offline", "WANDB_SILENT": "true", "GIT_PYTHON_REFRESH": "quiet"}

import mlflow  # noqa: E402
from mlflow import MlflowClient  # noqa: E402

GIT_ML = sys.argv[1] if len(sys.argv) > 1 else "git-ml"
failures = []


def check(what, ours, theirs):
    """Notes where two values differ. NaN is NaN."""
    same = ours == theirs or (isinstance(ours, float) and isinstance(theirs, float) and math.isnan(ours) and math.isnan(theirs))
    if not same:
        failures.append(f"{what}: {str(ours)[:200]} and not {str(theirs)[:200]}")


def git_ml(repository, *arguments):
    done = subprocess.run([GIT_ML, *arguments], cwd=repository, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"git-ml {' '.join(arguments)}: {done.stderr}")
    return done.stdout


def as_json(repository, *arguments):
    return json.loads(git_ml(repository, *arguments, "--json"))


def new_repository(folder):
    folder.mkdir(parents=True)
    for command in (["init", "-q"], ["config", "user.name", "Ada"], ["config", "user.email", "ada@example.org"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    return folder


def number(value):
    return {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}.get(value, value) if isinstance(value, str) else value


def milliseconds(text):
    """RFC 3339 as MLflow has times."""
    import datetime

    return round(datetime.datetime.fromisoformat(text).timestamp() * 1000) if text else None


def log_with_mlflow(uri, folder):
    """Logs one of everything, as a script would."""
    mlflow.set_tracking_uri(uri)
    client = MlflowClient()
    mlflow.set_experiment("exp one")
    with mlflow.start_run(run_name="first run", description="a note") as run:
        mlflow.log_params({"lr": 0.1, "a/b": "x y", "empty": "", "long": "z" * 5000})
        for step in range(20):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)
        mlflow.log_metric("nan", float("nan"))
        mlflow.log_metric("sub/m", 1e-7, step=-3)
        mlflow.log_metrics({f"many/{index}": index / 7 for index in range(50)}, step=5)
        mlflow.set_tag("k", "v\nw")
        (folder / "deep").mkdir(parents=True, exist_ok=True)
        (folder / "a.txt").write_text("hello")
        (folder / "deep" / "b.bin").write_bytes(bytes(range(256)))
        mlflow.log_artifacts(str(folder), "files")
        mlflow.log_artifact(str(folder / "a.txt"))
        import pandas
        from sklearn.linear_model import LinearRegression

        frame = pandas.DataFrame({"x": [1.0, 2.0, 3.0]})
        data = mlflow.data.from_pandas(frame, source="http://example.org/x.csv", name="mydata")
        mlflow.log_input(data, context="training")
        model = LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0])
        mlflow.sklearn.log_model(model, name="model", registered_model_name="reg")
    client.set_registered_model_alias("reg", "production", 1)
    client.update_model_version("reg", 1, description="the first")
    try:
        with mlflow.start_run(run_name="failed"):
            mlflow.log_metric("loss", 3.0)
            raise ValueError("on purpose")
    except ValueError:
        pass
    going = client.create_run("0", run_name="still going")
    client.log_metric(going.info.run_id, "loss", 1.0, step=5)
    with mlflow.start_run(run_name="deleted") as run:
        mlflow.log_metric("x", 1)
    client.delete_run(run.info.run_id)


STATUS = {"RUNNING": "running", "FINISHED": "finished", "FAILED": "failed", "KILLED": "killed", "SCHEDULED": "running"}


def all_runs(client):
    experiments = client.search_experiments()
    names = {experiment.experiment_id: experiment.name for experiment in experiments}
    runs = client.search_runs(list(names), run_view_type=mlflow.entities.ViewType.ALL, max_results=1000)
    return [(names[run.info.experiment_id], run) for run in runs]


def compare_with_mlflow(repository, uri, what):
    """Every run that MLflow's client finds there, against what git-ml has of it."""
    client = MlflowClient(uri)
    runs = all_runs(client)
    points = 0
    for experiment, run in runs:
        run_id = run.info.run_id
        ours = as_json(repository, "show", run_id)
        where = f"{what}, {run.info.run_name}"
        check(f"{where}: status", ours["status"], STATUS[run.info.status])
        check(f"{where}: experiment", ours["experiment"], experiment)
        check(f"{where}: name", ours["name"], run.info.run_name or ours["name"])
        check(f"{where}: start", milliseconds(ours["started"]), run.info.start_time)
        check(f"{where}: end", milliseconds(ours["ended"]), run.info.end_time)
        check(f"{where}: deleted", ours["removed"] is not None, run.info.lifecycle_stage == "deleted")
        check(f"{where}: params", ours["params"], run.data.params)
        check(f"{where}: tags", ours["tags"], run.data.tags)
        check(f"{where}: metrics", sorted(ours["metrics"]), sorted(run.data.metrics))
        for metric, last in run.data.metrics.items():
            check(f"{where}: last {metric}", number(ours["metrics"][metric]["last"]), last)
            history = [(p.step, p.timestamp, p.value) for p in client.get_metric_history(run_id, metric)]
            own = as_json(repository, "show", run_id, "--metric", metric)
            own = [(p["step"], milliseconds(p["time"]), float(number(p["value"]))) for p in own]
            check(f"{where}: points of {metric}", str(sorted(own, key=str)), str(sorted(history, key=str)))
            points += len(own)
        theirs = [(d.dataset.name, d.dataset.digest, {t.key: t.value for t in d.tags}) for d in run.inputs.dataset_inputs]
        check(f"{where}: data sets", [(d["name"], d["digest"], d["tags"]) for d in ours["datasets"]], theirs)
    print(f"{what}: {len(runs)} runs, {points} points")


def tips(repository):
    return subprocess.run(["git", "for-each-ref", "refs/ml"], cwd=repository, capture_output=True, text=True).stdout


def compare_mlflow_stores(folder):
    for kind, uri in [("file store", f"file://{folder}/files"), ("database", f"sqlite:///{folder}/db/mlflow.db")]:
        (folder / "db").mkdir(exist_ok=True)
        os.chdir(folder / "db")
        log_with_mlflow(uri, folder / "artifacts")
        repository = new_repository(folder / f"repository of the {kind}")
        git_ml(repository, "import", "mlflow", uri.removeprefix("file://"))
        compare_with_mlflow(repository, uri, kind)
        model = as_json(repository, "model", "show", "reg@production")
        check(f"{kind}: model", (model["version"], model["note"]), (1, "the first"))
        before = tips(repository)
        git_ml(repository, "import", "mlflow", uri.removeprefix("file://"))
        check(f"{kind}: imported again", tips(repository), before)
        export(repository, folder, kind)
    data = os.environ.get("GIT_ML_TEST_DATA")
    for place in sorted(pathlib.Path(data, "interop").glob("*/mlruns")) if data else []:
        repository = new_repository(folder / f"repository of {place.parent.name}")
        git_ml(repository, "import", "mlflow", str(place))
        # Empty folders were lost on the way here, and MLflow takes a run without them for none.
        copy = folder / place.parent.name
        shutil.copytree(place, copy, copy_function=shutil.copyfile)
        for meta in list(copy.glob("*/*/meta.yaml")):
            for name in ("metrics", "params", "tags", "artifacts"):
                meta.parent.chmod(0o755)
                (meta.parent / name).mkdir(exist_ok=True)
        compare_with_mlflow(repository, f"file://{copy}", place.parent.name)


def export(repository, folder, kind):
    """What was exported, read with MLflow's client."""
    place = folder / f"exported from the {kind}"
    git_ml(repository, "export", "mlflow", str(place))
    exported = MlflowClient(f"file://{place}")
    listed = as_json(repository, "log")
    check(f"{kind}, exported: runs", len([r for _, r in all_runs(exported)]), len(listed))
    for run in listed:
        theirs = exported.get_run(run["id"])
        check(f"{kind}, exported: params", theirs.data.params, run["params"])
        check(f"{kind}, exported: metrics", sorted(theirs.data.metrics), sorted(run["metrics"]))
        check(f"{kind}, exported: tags", set(run["tags"].items()) <= set(theirs.data.tags.items()), True)
    whole = next(run for run in listed if run["name"] == "first run")
    local = pathlib.Path(exported.download_artifacts(whole["id"], "files/deep/b.bin"))
    check(f"{kind}, exported: artifact", local.read_bytes(), bytes(range(256)))
    mlflow.set_tracking_uri(f"file://{place}")
    model = mlflow.sklearn.load_model(f"runs:/{whole['id']}/model")
    check(f"{kind}, exported: model", float(round(model.predict([[3.0]])[0], 6)), 3.0)

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    home = folder / f"server for the {kind}"
    home.mkdir()
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1", "--port", str(port), "--backend-store-uri"]
    server = subprocess.Popen(
        [*command, f"sqlite:///{home}/m.db", "--artifacts-destination", str(home / "artifacts")],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{url}/health", timeout=1).read()
                break
            except OSError:
                time.sleep(0.2)
        git_ml(repository, "export", "mlflow", url)
        again = as_json(repository, "export", "mlflow", url)
        check(f"{kind}, at a server: exported again", (again["exported"], again["present"]), (0, len(listed)))
        client = MlflowClient(url)
        found = {run.data.tags["git_ml.run"]: run for _, run in all_runs(client)}
        check(f"{kind}, at a server: runs", sorted(found), sorted(run["id"] for run in listed))
        for run in listed:
            theirs = found[run["id"]]
            check(f"{kind}, at a server: params", theirs.data.params, run["params"])
            for metric in run["metrics"]:
                own = as_json(repository, "show", run["id"], "--metric", metric)
                history = client.get_metric_history(theirs.info.run_id, metric)
                # A database has a point once, however often it was logged.
                check(f"{kind}, at a server: {metric}", len(history), len({json.dumps(point) for point in own}))
        run_id = found[whole["id"]].info.run_id
        local = pathlib.Path(client.download_artifacts(run_id, "files/deep/b.bin"))
        check(f"{kind}, at a server: artifact", local.read_bytes(), bytes(range(256)))
        print(f"{kind}: exported to a folder and a server, {len(listed)} runs")
    finally:
        os.killpg(server.pid, 15)
        server.wait()


def compare_tensorboard(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(folder / "events" / "train"))
    metadata = summary_pb2.SummaryMetadata(plugin_data=summary_pb2.SummaryMetadata.PluginData(plugin_name="scalars"))
    for step in range(100):
        old = summary_pb2.Summary.Value(tag="loss", simple_value=1 / (step + 1))
        tensor = tensor_pb2.TensorProto(dtype=1, float_val=[step / 3])
        new = summary_pb2.Summary.Value(tag="new/acc", tensor=tensor, metadata=metadata if step == 0 else None)
        writer.add_event(event_pb2.Event(wall_time=1e9 + step, step=step, summary=summary_pb2.Summary(value=[old, new])))
    writer.close()
    places = [folder / "events"]
    if data := os.environ.get("GIT_ML_TEST_DATA"):
        places.append(pathlib.Path(data, "interop", "tensorboard"))
    for index, place in enumerate(places):
        repository = new_repository(folder / f"repository of events {index}")
        imported = as_json(repository, "import", "tensorboard", str(place))
        run_id = imported["runs"][0]["id"]
        source = next(path.parent for path in place.rglob("*tfevents*"))
        events = EventAccumulator(str(source), size_guidance={"scalars": 0, "tensors": 0}).Reload()
        tags = events.Tags()
        points = 0
        for tag in tags["scalars"] + tags["tensors"]:
            own = as_json(repository, "show", run_id, "--metric", tag)
            if tag in tags["scalars"]:
                theirs = [(event.step, event.wall_time, event.value) for event in events.Scalars(tag)]
            else:
                from tensorboard.util import tensor_util

                theirs = [(e.step, e.wall_time, float(tensor_util.make_ndarray(e.tensor_proto))) for e in events.Tensors(tag)]
            check(f"events {index}: steps of {tag}", [p["step"] for p in own], [step for step, _, _ in theirs])
            check(f"events {index}: {tag}", [float(number(p["value"])) for p in own], [value for _, _, value in theirs])
            times = [milliseconds(point["time"]) for point in own]
            check(f"events {index}: times of {tag}", times, [round(wall * 1000) for _, wall, _ in theirs])
            points += len(own)
        check(f"events {index}: points", imported["runs"][0]["points"], points)
        print(f"TensorBoard, {place.name}: {points} points")


def compare_wandb(folder):
    import wandb

    run = wandb.init(project="demo", name="my run", notes="a note", tags=["a", "b"], dir=str(folder), config={"lr": 0.1, "deep": {"x": [1, 2]}})
    for step in range(200):
        run.log({"loss": 1 / (step + 1), "nest/a": step, "deep": {"b": step * 2}, "word": "text", "nan": math.nan}, step=step * 2)
    run.summary["best"] = 0.99
    print("a line of output")
    run.save(__file__, base_path=str(pathlib.Path(__file__).parent), policy="now")
    run.finish()
    repository = new_repository(folder / "repository of W&B")
    imported = as_json(repository, "import", "wandb", str(folder / "wandb"))
    ours = as_json(repository, "show", imported["runs"][0]["id"])
    check("W&B: name and status", (ours["name"], ours["status"], ours["note"]), ("my run", "finished", "a note"))
    check("W&B: params", ours["params"], {"lr": "0.1", "deep.x": "[1,2]"})
    for metric, value in {"loss": lambda s: 1 / (s + 1), "nest/a": float, "deep.b": lambda s: s * 2.0}.items():
        own = as_json(repository, "show", ours["id"], "--metric", metric)
        check(f"W&B: {metric}", [(p["step"], float(p["value"])) for p in own], [(s * 2, value(s)) for s in range(200)])
    check("W&B: NaN", ours["metrics"]["nan"]["last"], "NaN")
    check("W&B: summary", ours["metrics"]["best"]["last"], 0.99)
    check("W&B: log", "a line of output" in git_ml(repository, "show", ours["id"], "--log"), True)
    check("W&B: files", [output["name"] for output in ours["outputs"]], [pathlib.Path(__file__).name])
    print(f"W&B: {imported['runs'][0]['points']} points")


with tempfile.TemporaryDirectory() as scratch:
    compare_mlflow_stores(pathlib.Path(scratch))
    compare_tensorboard(pathlib.Path(scratch))
    compare_wandb(pathlib.Path(scratch))
    os.chdir("/")
for failure in failures:
    print(f"differs: {failure}")
print("all is the same" if not failures else f"{len(failures)} things differ")
sys.exit(1 if failures else 0)
