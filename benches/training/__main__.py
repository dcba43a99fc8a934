#!/usr/bin/env python3
"""Measures git-ml's training beside PyTorch in Python, in turns, and prints a table in Markdown with the ratios.

python3 benches/training                 everything: some fifteen minutes
python3 benches/training --rounds 1      a quick look
"""

import argparse
import gzip
import json
import os
import platform
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
TOP = HERE.parent.parent
# Name, recipe of git-ml, examples, batch size, epochs.
WORK = {
    "cnn": ("MNIST CNN, batch 128", 'model = "cnn"\nfilters = [32, 64]\nhidden = 128\ndropout = 0.25', 12_800, 128, 3),
    "resnet18": ("ResNet-18 (modified), 32×32, batch 64", 'model = "resnet18"\nvariant = "modified"', 640, 64, 2),
}
# Name, whether channels-last, whether bfloat16.
SETTINGS = [("fp32", False, False), ("channels-last", True, False), ("bf16", False, True), ("both", True, True)]


def main():
    options = arguments()
    if os.getloadavg()[0] > 0.5:
        say(f"this machine is busy (load {os.getloadavg()[0]:.1f}): ratios will be noisy, figures will be too low")
    figures = {}
    with tempfile.TemporaryDirectory(prefix="git-ml-training-", dir=options.dir) as folder:
        folder = Path(folder)
        make_project(folder, options)
        for number in range(1, options.rounds + 1):
            for work in options.work:
                for name, channels_last, bf16 in SETTINGS:
                    say(f"round {number} of {options.rounds}: {work}, {name}")
                    own = figures.setdefault(work, {}).setdefault(name, {"git-ml": [], "in memory": [], "PyTorch": []})
                    rates = run_git_ml(folder, options, work, channels_last, bf16)
                    own["git-ml"].append(rates[0])
                    own["in memory"].append(rates[1])
                    own["PyTorch"].append(run_pytorch(folder, options, work, channels_last, bf16))
    print(f"{processor()}, {options.threads} threads, {platform.platform()}, best of {options.rounds}\n")
    print("| what | PyTorch | git-ml in memory | git-ml whole | ratio | ratio to eager's default |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    for work, by_setting in figures.items():
        default = max(by_setting["fp32"]["PyTorch"])
        for name, own in by_setting.items():
            theirs, memory, whole = (max(own[kind]) for kind in ("PyTorch", "in memory", "git-ml"))
            print(f"| {WORK[work][0]}, {name} | {theirs:,.0f} | {memory:,.0f} | {whole:,.0f} | "
                  f"{memory / theirs:.2f} | {whole / default:.2f} |")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--git-ml", type=Path, default=TOP / "target/release/git-ml")
    parser.add_argument("--python", default=sys.executable, help="a Python that has torch and torchvision")
    parser.add_argument("--data", type=Path, required="GIT_ML_TEST_DATA" not in os.environ,
                        default=os.environ.get("GIT_ML_TEST_DATA"), help="a folder with mnist/ and cifar10/")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--work", type=lambda text: text.split(","), default=list(WORK))
    parser.add_argument("--dir", type=Path, help="where all of it happens")
    parser.add_argument("--json", type=Path, help="every figure")
    return parser.parse_args()


def make_project(folder, options):
    """A repository with a recipe for each work and the first examples of the real data."""
    recipes = []
    for work, (_, model, examples, batch_size, epochs) in WORK.items():
        place = folder / "data" / work
        place.mkdir(parents=True)
        cut_mnist(options.data, place, examples) if work == "cnn" else cut_cifar(options.data, place, examples)
        # Nearly all examples train: a validation and a test of a hundredth each take little time.
        recipes.append(f'[experiments.{work}]\n{model}\ndata = "data/{work}"\nbatch_size = {batch_size}\n'
                       f'epochs = {epochs}\nvalidation = 0.0\ntest = 0.01\n')
    (folder / "ml.toml").write_text("\n".join(recipes))
    git = ["git", "-C", folder, "-c", "user.name=bench", "-c", "user.email=bench@example.com"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([options.git_ml, "trust"], cwd=folder, check=True, capture_output=True)
    subprocess.run([*git, "add", "ml.toml"], check=True)
    subprocess.run([*git, "commit", "--quiet", "-m", "Describe the experiments"], check=True)


def cut_mnist(data, place, count):
    for kind, header, size in (("images-idx3", 16, 784), ("labels-idx1", 8, 1)):
        whole = gzip.decompress((Path(data) / f"mnist/train-{kind}-ubyte.gz").read_bytes())
        cut = whole[:4] + struct.pack(">I", count) + whole[8:header + count * size]
        (place / f"{kind}-ubyte.gz").write_bytes(gzip.compress(cut, mtime=0))


def cut_cifar(data, place, count):
    whole = (Path(data) / "cifar10/data_batch_1.bin").read_bytes()
    (place / "data_batch_1.bin").write_bytes(whole[:count * 3073])
    (place / "batches.meta.txt").write_bytes((Path(data) / "cifar10/batches.meta.txt").read_bytes())


def run_git_ml(folder, options, work, channels_last, bf16):
    """Samples a second of the fastest epoch: with the wait for data, and without."""
    settings = {"threads": options.threads, "channels_last": str(channels_last).lower(),
                "precision": "bf16" if bf16 else "fp32", "device": "cpu"}
    overrides = [word for key, value in settings.items() for word in ("-p", f"{key}={value}")]
    subprocess.run([options.git_ml, "train", work, *overrides], cwd=folder, check=True, capture_output=True)
    whole = metric(folder, options, "samples_per_second")
    data = metric(folder, options, "data_seconds")
    compute = metric(folder, options, "compute_seconds")
    return max(whole), max(rate * (d + c) / c for rate, d, c in zip(whole, data, compute))


def metric(folder, options, name):
    shown = subprocess.run([options.git_ml, "show", "@", "--metric", name, "--json"], cwd=folder, check=True,
                           capture_output=True)
    return [point["value"] for point in json.loads(shown.stdout)]


def run_pytorch(folder, options, work, channels_last, bf16):
    _, _, _, batch_size, epochs = WORK[work]
    command = [options.python, HERE / "pytorch.py", work, folder / "data" / work, "--batch-size", batch_size,
               "--epochs", epochs, "--threads", options.threads]
    command += ["--channels-last"] * channels_last + ["--bf16"] * bf16
    return float(subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True).stdout)


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def say(line):
    print(line, file=sys.stderr)


if __name__ == "__main__":
    main()
