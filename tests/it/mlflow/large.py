"""A file that the client sends and fetches in parts."""

import hashlib
import os
import tempfile

import mlflow
from mlflow import MlflowClient

size = int(os.environ.get("LARGE_BYTES", 600 << 20))
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, "large.bin")
    digest = hashlib.sha256()
    with open(path, "wb") as file:
        while file.tell() < size:
            piece = os.urandom(min(8 << 20, size - file.tell()))
            digest.update(piece)
            file.write(piece)
    with mlflow.start_run() as run:
        mlflow.log_artifact(path, "weights")
    os.remove(path)
    client = MlflowClient()
    [listed] = client.list_artifacts(run.info.run_id, "weights")
    assert listed.file_size == size, listed
    back = client.download_artifacts(run.info.run_id, "weights/large.bin", folder)
    with open(back, "rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == digest.hexdigest()
print("run", run.info.run_id)
