#!/usr/bin/env python3
"""Makes the TorchScript modules beside it, which the tests train: `python3 make.py`, with torch 2.13.

They take images of 1x8x8 and give 3 logits. What only says where their Python was, is taken out.
"""

import pathlib
import zipfile

import torch
from torch import nn

HERE = pathlib.Path(__file__).resolve().parent


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2))
        self.dropout = nn.Dropout(0.1)
        self.head = nn.Linear(64, 3)

    def forward(self, x):
        return self.head(self.dropout(self.body(x).flatten(1)))


def save(name, module):
    place = HERE / f"{name}.pt"
    torch.jit.save(module, place)
    with zipfile.ZipFile(place) as source:
        files = [(entry.filename, source.read(entry)) for entry in source.infolist()]
    with zipfile.ZipFile(place, "w", zipfile.ZIP_STORED) as target:
        for file, content in files:
            if not file.endswith(".debug_pkl"):
                target.writestr(zipfile.ZipInfo(file, (1980, 1, 1, 0, 0, 0)), content)


torch.manual_seed(3)
images = torch.rand(5, 1, 8, 8)
save("scripted", torch.jit.script(Net()))
save("traced", torch.jit.trace(Net().eval(), images))
save("traced-in-training", torch.jit.trace(Net(), images, check_trace=False))
save("frozen", torch.jit.freeze(torch.jit.script(Net().eval())))
