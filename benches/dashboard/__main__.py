#!/usr/bin/env python3
"""Measures the dashboard in a real terminal, and prints a table in Markdown.

python3 benches/dashboard                 makes its repositories first, which takes a minute or two
python3 benches/dashboard --repo FOLDER   measures one that `synthetic_repo` made
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from screen import Screen

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
TICKS = os.sysconf("SC_CLK_TCK")
BRAILLE = re.compile("[\u2801-\u28ff]")
LOGGER = """
import os, sys, time
path, rate, seconds = os.environ["GIT_ML_LOG"], int(sys.argv[1]), float(sys.argv[2])
step, begun = 0, time.monotonic()
with open(path, "a") as log:
    while time.monotonic() - begun < seconds:
        for _ in range(rate // 50):
            step += 1
            log.write('{"step": %d, "loss": %f}\\n' % (step, 1 / (1 + step / 1000)))
        log.flush()
        time.sleep(max(0, begun + step / rate - time.monotonic()))
"""


def main():
    options = arguments()
    if os.getloadavg()[0] > 0.5:
        say(f"this machine is busy (load {os.getloadavg()[0]:.1f}): the times will be too long")
    with tempfile.TemporaryDirectory(prefix="git-ml-dashboard-", dir=options.dir) as folder:
        folder = Path(folder)
        repo = options.repo or make(options, folder / "many", options.runs, options.points)
        figures = {}
        if "start" in options.rows:
            start(options, repo, figures)
        if "keys" in options.rows:
            keys(options, repo, figures)
        if "idle" in options.rows:
            idle(options, repo, figures)
        if "open" in options.rows:
            one = options.long or make(options, folder / "long", 3, options.long_points)
            open_run(options, one, figures)
        if "live" in options.rows:
            live(options, repo, folder, figures)
    print("| what | measured | wanted |\n| --- | ---: | ---: |")
    for name, (value, unit, wanted) in figures.items():
        print(f"| {name} | {value:.1f} {unit} | {wanted} |")
    if options.json:
        options.json.write_text(json.dumps({name: value for name, (value, *_) in figures.items()}, indent=2) + "\n")


def arguments():
    parser = argparse.ArgumentParser(prog="benches/dashboard", description=__doc__.split("\n")[0])
    release = TOP / "target" / "release"
    parser.add_argument("--git-ml", type=Path, default=release / "git-ml")
    parser.add_argument("--synthetic", type=Path, default=release / "examples" / "synthetic_repo")
    parser.add_argument("--repo", type=Path, help="a repository with runs [default: a new one]")
    parser.add_argument("--long", type=Path, help="a repository with long runs [default: a new one]")
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--points", type=int, default=1000)
    parser.add_argument("--long-points", type=int, default=1_000_000)
    parser.add_argument("--rows", default="start,keys,idle,open,live", help="only these parts [default: %(default)s]")
    parser.add_argument("--seconds", type=float, default=10, help="how long the processor time is watched")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--dir", type=Path, help="where all of it happens")
    parser.add_argument("--json", type=Path, help="every figure")
    options = parser.parse_args()
    options.rows = options.rows.split(",")
    for program in (options.git_ml, options.synthetic):
        if not program.exists():
            parser.error(f"{program} does not exist: cargo build --release --bin git-ml --example synthetic_repo")
    options.git_ml = options.git_ml.resolve()
    return options


def say(words):
    print(words, file=sys.stderr)


def make(options, place, runs, points):
    say(f"making a repository of {runs} runs with {points} points each")
    subprocess.run([options.synthetic, "--runs", str(runs), "--points", str(points), place], check=True, stdout=sys.stderr)
    return place


def dashboard(options, repo):
    # A default state: nothing is remembered from the run before.
    (repo / ".git" / "ml" / "ui.toml").unlink(missing_ok=True)
    return Screen([str(options.git_ml), "ui"], repo)


def has_rows(screen):
    return re.search(r"\d+ runs? ", screen.text()) is not None and "✓" in screen.text()


def cpu(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory(pid, key):
    return int(re.search(rf"{key}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1]) / 1024


def median(times):
    return statistics.median(times) * 1000


def start(options, repo, figures):
    """The catalog is there, as it is after the first look; the first frame of all says that the runs are loading."""
    first, rows = [], []
    for _ in range(options.rounds):
        screen = dashboard(options, repo)
        screen.until(lambda screen: "git ml" in screen.line(0))
        first.append(time.perf_counter() - screen.started)
        screen.until(has_rows)
        rows.append(time.perf_counter() - screen.started)
        screen.end()
    figures["first frame"] = (median(first), "ms", "100 ms")
    figures["first frame with the runs"] = (median(rows), "ms", "100 ms")


def keys(options, repo, figures):
    screen = dashboard(options, repo)
    screen.until(has_rows)
    screen.settle()

    def count(screen):
        match = re.search(r"(\d+) of \d+ runs", screen.text())
        return match and match[1]

    times = []
    for bound in range(options.rounds):
        before = count(screen)
        screen.send("/")
        screen.until(lambda screen: screen.line(screen.rows - 4).startswith(" /"))
        screen.settle()
        query = f"metrics.val_accuracy > 0.{60 + bound} and params.optimizer = 'adam'"
        # As one paste, so that one query is asked; a keystroke costs the same.
        screen.send(f"\x1b[200~{query}\x1b[201~")
        times.append(screen.until(lambda screen: count(screen) not in (None, before)))
        screen.send("\x15\r")
        screen.until(lambda screen: count(screen) is None)
        screen.settle()
    figures["filter"] = (median(times), "ms", "50 ms")

    times = []
    for _ in range(options.rounds):
        first = screen.line(3)
        screen.send("s")
        begun = time.perf_counter()
        screen.until(lambda screen: screen.line(3) != first)
        times.append(time.perf_counter() - begun)
        screen.settle()
    figures["sort"] = (median(times), "ms", "50 ms")

    times = []
    # The first page goes to the end of the screen, and scrolls nothing.
    screen.send("\x1b[6~")
    screen.settle()
    for _ in range(200):
        first = screen.line(3)
        screen.send("\x1b[6~")
        begun = time.perf_counter()
        screen.until(lambda screen: screen.line(3) != first)
        times.append(time.perf_counter() - begun)
    figures["a page further"] = (median(times), "ms", "smooth")
    figures["the slowest of 200 pages"] = (max(times) * 1000, "ms", "50 ms")
    figures["memory after that"] = (memory(screen.pid, "VmRSS"), "MB", "300 MB")
    figures["memory at its peak"] = (memory(screen.pid, "VmHWM"), "MB", "300 MB")
    screen.end()


def watch(screen, seconds):
    """The share of a core over some seconds, while the screen is read."""
    before, begun, bytes_before = cpu(screen.pid), time.monotonic(), screen.bytes
    while time.monotonic() - begun < seconds:
        screen.read(0.1)
    passed = time.monotonic() - begun
    return (cpu(screen.pid) - before) / passed * 100, (screen.bytes - bytes_before) / passed / 1000


def idle(options, repo, figures):
    screen = dashboard(options, repo)
    screen.until(has_rows)
    screen.settle()
    share, rate = watch(screen, options.seconds)
    figures["processor, nothing happens"] = (share, "%", "3 %")
    figures["written to the terminal then"] = (rate, "kB/s", "")
    screen.end()


def open_run(options, repo, figures):
    times = []
    for _ in range(options.rounds):
        screen = Screen([str(options.git_ml), "ui"], repo, columns=100, rows=28)
        screen.until(has_rows)
        screen.settle()
        screen.send("\rC")
        times.append(screen.until(lambda screen: BRAILLE.search(screen.text()) is not None))
        peak = memory(screen.pid, "VmHWM")
        screen.end()
    figures[f"opening a run of {options.long_points:,} points"] = (median(times), "ms", "100 ms")
    figures["memory at its peak then"] = (peak, "MB", "300 MB")


def live(options, repo, folder, figures):
    script = folder / "logger.py"
    script.write_text(LOGGER)
    seconds = 4 * options.seconds + 20
    run = subprocess.Popen(
        [options.git_ml, "run", "--name", "live-one-1", "--", sys.executable, script, "1000", str(seconds)],
        cwd=repo, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    try:
        screen = dashboard(options, repo)
        screen.until(lambda screen: "1 running" in screen.text())
        time.sleep(3)
        share, _ = watch(screen, options.seconds)
        figures["processor, a live run in the table"] = (share, "%", "15 %")
        screen.send("g\rC")
        screen.until(lambda screen: "live-one-1" in screen.line(1))
        time.sleep(2)
        share, rate = watch(screen, options.seconds)
        figures["processor, a live run open"] = (share, "%", "15 %")
        figures["written to the terminal while it is open"] = (rate, "kB/s", "")
        screen.end()
    finally:
        run.terminate()
        run.wait()


if __name__ == "__main__":
    main()
