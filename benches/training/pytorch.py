"""One training in plain PyTorch, as its documentation writes it: the yardstick of benches/training.

pytorch.py MODEL DATA --batch-size N --epochs N --threads N [--channels-last] [--bf16]

Reads the same files as git-ml into memory, trains, and prints the samples a second of its fastest epoch. Reading and
preparing the data is not measured.
"""

import argparse
import gzip
import time
from pathlib import Path

import torch
import torchvision
from torch import nn


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model", choices=["cnn", "resnet18"])
    parser.add_argument("data", type=Path)
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--bf16", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    images, labels = mnist(options.data) if options.model == "cnn" else cifar(options.data)
    images = (images - images.mean()) / images.std()
    model = cnn() if options.model == "cnn" else resnet18()
    if options.channels_last:
        model = model.to(memory_format=torch.channels_last)
        images = images.contiguous(memory_format=torch.channels_last)
    print(max(train(model, images, labels, options)))


def train(model, images, labels, options):
    """Trains, and yields the samples a second of each epoch."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    loss_of = nn.CrossEntropyLoss()
    model.train()
    for _ in range(options.epochs):
        order = torch.randperm(len(images))
        begun = time.perf_counter()
        for indexes in order.split(options.batch_size):
            with torch.autocast("cpu", torch.bfloat16, enabled=options.bf16):
                loss = loss_of(model(images[indexes]), labels[indexes])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()
        yield len(images) / (time.perf_counter() - begun)


def cnn():
    """The network that `model = "cnn"` with its default hidden layer makes for MNIST."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64 * 7 * 7, 128), nn.ReLU(), nn.Dropout(0.25), nn.Linear(128, 10),
    )


def resnet18():
    """torchvision's, with the small first convolution of `variant = "modified"`."""
    model = torchvision.models.resnet18(num_classes=10)
    model.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    model.maxpool = nn.Identity()
    return model


def mnist(folder):
    images = bytearray(gzip.decompress((folder / "images-idx3-ubyte.gz").read_bytes()))[16:]
    labels = bytearray(gzip.decompress((folder / "labels-idx1-ubyte.gz").read_bytes()))[8:]
    images = torch.frombuffer(images, dtype=torch.uint8).view(-1, 1, 28, 28) / 255
    return images, torch.frombuffer(labels, dtype=torch.uint8).long()


def cifar(folder):
    records = bytearray((folder / "data_batch_1.bin").read_bytes())
    records = torch.frombuffer(records, dtype=torch.uint8).view(-1, 3073)
    return records[:, 1:].reshape(-1, 3, 32, 32) / 255, records[:, 0].long()


if __name__ == "__main__":
    main()
