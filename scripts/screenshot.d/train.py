"""Trains a network with one hidden layer to tell two spirals apart. Plain Python, nothing to install."""

import argparse
import json
import math
import os
import random
import subprocess
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.3)
parser.add_argument("--hidden", type=int, default=12)
parser.add_argument("--batch", type=int, default=8)
parser.add_argument("--epochs", type=int, default=60)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--pause", type=float, default=0.0, help="seconds between epochs")
options = parser.parse_args()
generator = random.Random(options.seed)


def log(**line):
    """Tells git-ml: one JSON object a line in the file that GIT_ML_LOG names."""
    if path := os.environ.get("GIT_ML_LOG"):
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def spirals(count):
    for index in range(count):
        side = index % 2
        turn = generator.uniform(0.3, 1.0)
        angle = 7.5 * turn + math.pi * side
        noise = [generator.gauss(0, 0.22) for _ in range(2)]
        yield [3 * turn * math.cos(angle) + noise[0], 3 * turn * math.sin(angle) + noise[1]], side


def forward(inputs):
    hidden = [math.tanh(sum(w * x for w, x in zip(row, inputs)) + row[-1]) for row in first]
    score = sum(w * h for w, h in zip(second, hidden)) + second[-1]
    return hidden, 1 / (1 + math.exp(-max(-60.0, min(60.0, score))))


def judge(examples):
    loss = right = 0.0
    for inputs, side in examples:
        _, chance = forward(inputs)
        loss -= math.log(max(chance if side else 1 - chance, 1e-9))
        right += (chance > 0.5) == bool(side)
    return loss / len(examples), right / len(examples)


train, held, test = list(spirals(240)), list(spirals(120)), list(spirals(120))
first = [[generator.gauss(0, 1.2) for _ in range(3)] for _ in range(options.hidden)]
second = [generator.gauss(0, 0.5) for _ in range(options.hidden + 1)]
log(params={name: value for name, value in vars(options).items() if name != "pause"})

for epoch in range(1, options.epochs + 1):
    generator.shuffle(train)
    for inputs, side in train:
        hidden, chance = forward(inputs)
        slope = options.lr / math.sqrt(options.batch) * (side - chance)
        for row, h, weight in zip(first, hidden, second):
            inner = slope * weight * (1 - h * h)
            for index, x in enumerate(inputs):
                row[index] += inner * x
            row[-1] += inner
        for index, h in enumerate(hidden):
            second[index] += slope * h
        second[-1] += slope
    if not all(map(math.isfinite, second)):
        log(step=epoch, train_loss=math.nan, val_loss=math.nan, failure=f"the weights left the numbers at epoch {epoch}")
        sys.exit(f"epoch {epoch}: the weights are not finite any more")
    (train_loss, train_accuracy), (val_loss, val_accuracy) = judge(train), judge(held)
    log(step=epoch, train_loss=train_loss, train_accuracy=train_accuracy, val_loss=val_loss, val_accuracy=val_accuracy)
    print(f"epoch {epoch:3}/{options.epochs}  loss {train_loss:.4f}  val {val_loss:.4f}  accuracy {val_accuracy:.3f}", flush=True)
    time.sleep(options.pause)

test_loss, test_accuracy = judge(test)
log(test_loss=test_loss, test_accuracy=test_accuracy)
print(f"test accuracy {test_accuracy:.3f}")
if os.environ.get("GIT_ML_RUN_ID"):
    os.makedirs("out", exist_ok=True)
    with open("out/model.json", "w", encoding="utf-8") as file:
        json.dump({"first": first, "second": second}, file)
    subprocess.run(["git", "ml", "output", "out/model.json", "--name", "model", "--type", "model"], check=True)
