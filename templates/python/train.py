#!/usr/bin/env python3
"""Trains a network of one hidden layer with nothing but Python itself.

It is a script as any other: it runs alone too, and knows of git ml only that the variable GIT_ML_LOG, where it is set,
names a file for lines of JSON.
"""

import argparse
import csv
import json
import math
import os
import pathlib
import random


def read(path):
    """The points of a CSV file as (x, y, label)."""
    with open(path, newline="") as file:
        return [(float(row["x"]), float(row["y"]), int(row["label"])) for row in csv.DictReader(file)]


class Network:
    """Two inputs, a hidden layer with tanh, and the probability of the label 1."""

    def __init__(self, hidden, source):
        self.inner = [[source.uniform(-1, 1) for _ in range(3)] for _ in range(hidden)]
        self.outer = [source.uniform(-1, 1) for _ in range(hidden + 1)]

    def forward(self, x, y):
        hidden = [math.tanh(a * x + b * y + c) for a, b, c in self.inner]
        total = self.outer[-1] + sum(weight * value for weight, value in zip(self.outer, hidden))
        return hidden, 1 / (1 + math.exp(-total))

    def learn(self, x, y, label, lr):
        """One step of gradient descent; returns the loss before it."""
        hidden, probability = self.forward(x, y)
        error = probability - label
        for index, value in enumerate(hidden):
            slope = error * self.outer[index] * (1 - value * value)
            self.outer[index] -= lr * error * value
            for place, given in enumerate((x, y, 1)):
                self.inner[index][place] -= lr * slope * given
        self.outer[-1] -= lr * error
        return cross_entropy(probability, label)


def cross_entropy(probability, label):
    return -math.log(max(probability if label else 1 - probability, 1e-12))


def evaluate(network, points):
    """The mean loss and the accuracy."""
    told = [(network.forward(x, y)[1], label) for x, y, label in points]
    loss = sum(cross_entropy(probability, label) for probability, label in told) / len(told)
    return loss, sum((probability > 0.5) == label for probability, label in told) / len(told)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--data", type=pathlib.Path, default="data/python")
    arguments.add_argument("--out", type=pathlib.Path, default="out/model")
    arguments.add_argument("--hidden", type=int, default=16)
    arguments.add_argument("--epochs", type=int, default=60)
    arguments.add_argument("--lr", type=float, default=0.1)
    arguments.add_argument("--seed", type=int, default=0)
    given = arguments.parse_args()

    source = random.Random(given.seed)
    points, test = read(given.data / "train.csv"), read(given.data / "test.csv")
    source.shuffle(points)
    validation, train = points[: len(points) // 10], points[len(points) // 10 :]
    network = Network(given.hidden, source)

    # Outside of a run there is nobody to log to.
    log = open(os.environ.get("GIT_ML_LOG", os.devnull), "a", buffering=1)
    for epoch in range(1, given.epochs + 1):
        source.shuffle(train)
        lr = given.lr * (1 - (epoch - 1) / given.epochs)
        loss = sum(network.learn(*point, lr) for point in train) / len(train)
        val_loss, val_accuracy = evaluate(network, validation)
        metrics = {"train_loss": loss, "val_loss": val_loss, "val_accuracy": val_accuracy}
        log.write(json.dumps({"step": epoch, **metrics}) + "\n")
        if epoch % 10 == 0:
            print(f"epoch {epoch}: loss {loss:.4f}, validation accuracy {val_accuracy:.4f}")

    test_loss, test_accuracy = evaluate(network, test)
    log.write(json.dumps({"test_loss": test_loss, "test_accuracy": test_accuracy}) + "\n")
    print(f"test accuracy {test_accuracy:.4f}")

    given.out.mkdir(parents=True, exist_ok=True)
    with open(given.out / "network.json", "w") as file:
        json.dump({"inner": network.inner, "outer": network.outer}, file, indent=1)


main()
