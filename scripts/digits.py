#!/usr/bin/env python3
"""Makes the data of the template `digits` from the copy that scikit-learn carries.

    pip download --no-deps scikit-learn
    unzip -p scikit_learn-*.whl sklearn/datasets/data/digits.csv.gz > digits.csv.gz
    scripts/digits.py digits.csv.gz templates/digits/data/digits

Each line of the source is an image of 8x8 values from 0 to 16, then its label. What is written is MNIST's IDX format,
in the source's order; the same source gives the same bytes on every machine with the same zlib.
"""

import gzip
import hashlib
import pathlib
import struct
import sys

SOURCE_SHA256 = "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22"
COUNT = 1797


def main(source, folder):
    packed = pathlib.Path(source).read_bytes()
    if hashlib.sha256(packed).hexdigest() != SOURCE_SHA256:
        sys.exit(f"{source} is not the file that the template was made from")
    rows = [[int(float(value)) for value in line.split(",")] for line in gzip.decompress(packed).decode().split()]
    assert len(rows) == COUNT and all(len(row) == 65 for row in rows)
    images = b"".join(bytes(row[:64]) for row in rows)
    labels = bytes(row[64] for row in rows)
    assert max(images) == 16 and set(labels) == set(range(10))
    files = {
        "images-idx3-ubyte.gz": struct.pack(">IIII", 0x803, COUNT, 8, 8) + images,
        "labels-idx1-ubyte.gz": struct.pack(">II", 0x801, COUNT) + labels,
    }
    place = pathlib.Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (place / name).write_bytes(gzip.compress(content, compresslevel=9, mtime=0))


if __name__ == "__main__":
    main(*sys.argv[1:])
