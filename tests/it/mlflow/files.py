"""Every way in which MLflow's client logs a file, read back through it while the run goes on and after it."""

import os
import pathlib
import tempfile
from concurrent.futures import ThreadPoolExecutor

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot
import mlflow
import numpy
import pandas
from mlflow import MlflowClient

client = MlflowClient()
folder = pathlib.Path(tempfile.mkdtemp())
(folder / "deep" / "er").mkdir(parents=True)
(folder / "notes.txt").write_text("some words\n")
(folder / "deep" / "er" / "zeros.bin").write_bytes(bytes(3 << 20))
(folder / "empty").write_bytes(b"")


def names(run_id, path=None):
    return sorted((entry.path, entry.is_dir, entry.file_size) for entry in client.list_artifacts(run_id, path))


with mlflow.start_run() as run:
    run_id = run.info.run_id
    mlflow.log_artifact(folder / "notes.txt")
    mlflow.log_artifact(folder / "notes.txt", "some where/else")
    mlflow.log_artifacts(folder, "data")
    mlflow.log_dict({"a": [1, 2]}, "config/settings.json")
    mlflow.log_text("ünïcode", "text.md")
    figure, axes = matplotlib.pyplot.subplots()
    axes.plot([1, 2, 3])
    mlflow.log_figure(figure, "plot.png")
    mlflow.log_image(numpy.zeros((4, 4, 3), dtype=numpy.uint8), "image.png")
    mlflow.log_table(pandas.DataFrame({"x": [1, 2]}), "table.json")
    assert names(run_id)[0] == ("config", True, None), names(run_id)
    assert names(run_id, "data") == [
        ("data/deep", True, None),
        ("data/empty", False, 0),
        ("data/notes.txt", False, 11),
    ], names(run_id, "data")
    assert names(run_id, "text.md") == []
    assert mlflow.artifacts.load_text(f"runs:/{run_id}/text.md") == "ünïcode"
    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(client.log_text, run_id, str(number), f"many/{number}.txt") for number in range(40)]
        [job.result() for job in jobs]
    with mlflow.start_run(nested=True, run_name="child") as child:
        mlflow.log_metric("loss", 0.5, step=1)
        mlflow.log_text("of the child", "child.txt")

# A run that has ended takes more, and what is there can be replaced.
client.log_text(run_id, "late", "data/late.txt")
client.log_text(run_id, "other words", "text.md")
local = pathlib.Path(mlflow.artifacts.download_artifacts(run_id=run_id))
assert (local / "text.md").read_text() == "other words"
assert (local / "data" / "deep" / "er" / "zeros.bin").read_bytes() == bytes(3 << 20)
assert (local / "data" / "late.txt").read_text() == "late"
assert len(os.listdir(local / "many")) == 40
assert mlflow.load_table("table.json", run_ids=[run_id]).shape[0] == 2
assert client.get_run(child.info.run_id).data.tags["mlflow.parentRunId"] == run_id
print("run", run_id)
