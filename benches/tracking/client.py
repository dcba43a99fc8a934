"""Logs through MLflow's own client, and prints how much of the time it waited for the server, as JSON.

MLFLOW_TRACKING_URI=http://… python client.py batch|single|background
"""

import http.client
import json
import sys
import time

import mlflow
import requests
from mlflow import MlflowClient
from mlflow.entities import Metric, Param

RUNS, PARAMS, METRICS, STEPS, SINGLE = 50, 10, 10, 100, 2000


class Clock:
    """Adds up the time inside a function."""

    def __init__(self, owner, name):
        self.seconds, self.calls = 0.0, 0
        inner = getattr(owner, name)

        def timed(*arguments, **named):
            start = time.perf_counter()
            try:
                return inner(*arguments, **named)
            finally:
                self.seconds += time.perf_counter() - start
                self.calls += 1

        setattr(owner, name, timed)


def batch(client):
    for run in range(RUNS):
        run_id = client.create_run("0", run_name=f"run-{run}").info.run_id
        start = int(time.time() * 1000)
        params = [Param(f"p{index}", str(run + index)) for index in range(PARAMS)]
        for first in range(0, STEPS, STEPS // 2):
            metrics = [
                Metric(f"m{metric}", step / (metric + 1), start + step, step)
                for step in range(first, first + STEPS // 2)
                for metric in range(METRICS)
            ]
            client.log_batch(run_id, metrics, params if first == 0 else [])
        client.set_terminated(run_id)


def single(_client):
    with mlflow.start_run():
        for step in range(SINGLE):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)


def background(_client):
    with mlflow.start_run():
        for step in range(SINGLE):
            mlflow.log_metric("loss", 1 / (step + 1), step=step, synchronous=False)
        mlflow.flush_async_logging()


def main():
    # What the client sets up for its first request is not what a request takes.
    client = MlflowClient()
    client.search_experiments()
    sending, waiting = Clock(requests.Session, "send"), Clock(http.client.HTTPConnection, "getresponse")
    start = time.perf_counter()
    {"batch": batch, "single": single, "background": background}[sys.argv[1]](client)
    wall = time.perf_counter() - start
    print(json.dumps({"wall_s": wall, "requests": sending.calls, "sending_s": sending.seconds, "waiting_s": waiting.seconds}))


if __name__ == "__main__":
    main()
