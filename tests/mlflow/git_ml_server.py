"""A pytest plugin that lets MLflow's own REST tests talk to `git ml mlflow serve`.

Those tests start MLflow's server in `ServerThread` and `_init_server` of `tests/tracking/integration_test_utils.py`.
This replaces both with a started process in a fresh git repository. README.md says how to run it.

GIT_ML         the program, `git-ml`
GIT_ML_SERVER  `git-ml` (the default), or `mlflow` to give MLflow's own server the same treatment
"""

import contextlib
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
import time

import requests

STARTUP_SECONDS = 120


def _clean_environment(folder):
    """The caller's environment without anything that says how git or git-ml behave elsewhere."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GIT_", "MLFLOW_"))}
    identity = {}
    for role in ("AUTHOR", "COMMITTER"):
        identity[f"GIT_{role}_NAME"] = "Tester"
        identity[f"GIT_{role}_EMAIL"] = "tester@example.org"
    return kept | identity | {"HOME": folder, "XDG_DATA_HOME": f"{folder}/data", "GIT_CONFIG_NOSYSTEM": "1"}


def _make_repository(folder, environment):
    repository = os.path.join(folder, "repository")
    subprocess.run(["git", "init", "--quiet", repository], check=True, env=environment)
    commit = ["git", "-C", repository, "commit", "--quiet", "--allow-empty", "--message", "Begin"]
    subprocess.run(commit, check=True, env=environment)
    return repository


def _command(folder, port, environment):
    if os.environ.get("GIT_ML_SERVER", "git-ml") == "mlflow":
        environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
        store = f"sqlite:///{folder}/mlflow.db"
        arguments = ["server", "--port", str(port), "--workers", "1", "--backend-store-uri", store]
        return [sys.executable, "-m", "mlflow", *arguments], folder
    program = os.path.abspath(os.environ.get("GIT_ML", "target/debug/git-ml"))
    return [program, "mlflow", "serve", "--port", str(port)], _make_repository(folder, environment)


def _wait_until_healthy(url, process, log):
    deadline = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(requests.RequestException):
            if requests.get(f"{url}/health", timeout=2).ok:
                return
        time.sleep(0.02)
    log.seek(0)
    raise RuntimeError(f"the server did not come up: {log.read()}")


@contextlib.contextmanager
def serve(port, extra_environment=None):
    """Starts the server and yields its URL."""
    folder = tempfile.mkdtemp(prefix="git-ml-mlflow-")
    environment = _clean_environment(folder) | (extra_environment or {})
    command, place = _command(folder, port, environment)
    with open(os.path.join(folder, "log"), "w+") as log:
        process = subprocess.Popen(
            command, cwd=place, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_until_healthy(url, process, log)
            yield url
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            log.seek(0)
            # pytest shows it where a test fails.
            print(log.read())
            shutil.rmtree(folder, ignore_errors=True)


class ServerThread:
    """What the tests know under this name; the application they hand over is not used."""

    def __init__(self, _app, port):
        self._server = serve(port)

    def __enter__(self):
        return self._server.__enter__()

    def __exit__(self, *problem):
        return self._server.__exit__(*problem)


def pytest_configure(config):
    """Replaces what starts servers, before the tests are read."""
    del config
    utilities = importlib.import_module("tests.tracking.integration_test_utils")

    @contextlib.contextmanager
    def init_server(backend_uri, root_artifact_uri, extra_env=None, app=None, server_type="fastapi"):
        del backend_uri, root_artifact_uri, app, server_type
        importlib.import_module("mlflow").set_tracking_uri(None)
        with serve(utilities.get_safe_port(), extra_env) as url:
            yield url

    utilities.ServerThread = ServerThread
    utilities._init_server = init_server
