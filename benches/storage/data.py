"""The data that is measured with: made once below a folder, the same bytes everywhere."""

import random
from pathlib import Path

MIB = 1 << 20
FOLDERS = 100
FILE_BYTES = 3072
# One file in a hundred is changed.
CHANGED_EVERY, CHANGED_FIRST = 100, 37


class Sizes:
    """How much data there is, at a scale between almost nothing and 1."""

    def __init__(self, scale):
        self.scale = scale
        self.file = whole(2048 * MIB * scale, 4 * MIB)
        self.long_file = self.file * 10
        self.insertion = whole(MIB * min(1, scale * 64), 4096)
        self.files = max(FOLDERS, int(50_000 * scale) // FOLDERS * FOLDERS)
        self.table = whole(512 * MIB * scale, MIB)


def whole(size, step):
    """`size` rounded to steps, one at least."""
    return max(1, round(size / step)) * step


class Data:
    """The data sets of one scale, below a folder of their own."""

    def __init__(self, folder, sizes):
        self.sizes = sizes
        self.folder = folder / f"scale-{sizes.scale:g}"
        self.file = self.folder / "file" / "weights.bin"
        self.inserted = self.folder / "inserted" / "weights.bin"
        self.long_file = self.folder / "long" / "weights.bin"
        self.many = self.folder / "many"
        self.changed = self.folder / "changed"
        self.table = self.folder / "table" / "measurements.csv"

    def make(self, names, say):
        """Makes those data sets that are named and not there yet."""
        makers = {
            "file": (self.file, lambda part: write_floats(part, self.sizes.file, seed=1)),
            "inserted": (self.inserted, self._insert),
            "long": (self.long_file, lambda part: write_floats(part, self.sizes.long_file, seed=1)),
            "many": (self.many, self._write_many),
            "changed": (self.changed, self._write_changed),
            "table": (self.table, lambda part: write_table(part, self.sizes.table)),
        }
        for name, (place, make) in makers.items():
            if name in names and not place.exists():
                say(f"making {place}")
                place.parent.mkdir(parents=True, exist_ok=True)
                # A half-made data set is never taken for a whole one.
                part = place.with_name(place.name + f".part-{random.randrange(1 << 30)}")
                make(part)
                part.rename(place)

    def _insert(self, part):
        middle = self.sizes.file // 8 * 4
        with open(self.file, "rb") as source, open(part, "wb") as target:
            copy_bytes(source, target, middle)
            target.write(floats(random.Random(2), self.sizes.insertion))
            copy_bytes(source, target, self.sizes.file - middle)

    def _write_many(self, part):
        numbers = random.Random(3)
        per_folder = self.sizes.files // FOLDERS
        for folder in range(FOLDERS):
            (part / f"class-{folder:03}").mkdir(parents=True)
            block = floats(numbers, per_folder * FILE_BYTES)
            for index in range(per_folder):
                path = part / f"class-{folder:03}" / f"{index:05}.f32"
                path.write_bytes(block[index * FILE_BYTES : (index + 1) * FILE_BYTES])

    def _write_changed(self, part):
        numbers = random.Random(4)
        per_folder = self.sizes.files // FOLDERS
        for position in range(CHANGED_FIRST, self.sizes.files, CHANGED_EVERY):
            folder, index = divmod(position, per_folder)
            path = part / f"class-{folder:03}" / f"{index:05}.f32"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(floats(numbers, FILE_BYTES))


def copy_bytes(source, target, count):
    while count:
        block = source.read(min(count, 8 * MIB))
        target.write(block)
        count -= len(block)


def write_floats(path, size, seed):
    numbers = random.Random(seed)
    with open(path, "wb") as file:
        for start in range(0, size, 32 * MIB):
            file.write(floats(numbers, min(32 * MIB, size - start)))


def floats(numbers, size):
    """32-bit floats that spread as standard normal ones do, as weights of a model might.

    Sign and exponent are drawn from the normal distribution to 1 in 128, the mantissa is even: drawing each number by
    itself would take minutes for gigabytes.
    """
    count = size // 4
    drawn = numbers.randbytes(count)
    mantissa = numbers.randbytes(count).translate(LOW_SEVEN_BITS)
    exponent = drawn.translate(LAST_EXPONENT_BIT)
    middle = int.from_bytes(mantissa, "little") | int.from_bytes(exponent, "little")
    result = bytearray(count * 4)
    result[0::4] = numbers.randbytes(count)
    result[1::4] = numbers.randbytes(count)
    result[2::4] = middle.to_bytes(count, "little")
    result[3::4] = drawn.translate(FIRST_BYTE)
    return bytes(result)


def float_tables():
    """For each byte that is drawn: a float's first byte (sign, seven bits of exponent) and its exponent's last bit."""
    # How many of 128 numbers are between 2 to this power and twice that: the normal distribution.
    shares = {1: 6, 0: 35, -1: 38, -2: 24, -3: 13, -4: 6, -5: 3, -6: 2, -7: 1}
    exponents = [127 + power for power, share in shares.items() for _ in range(share)]
    assert len(exponents) == 128
    both_signs = [(sign, exponent) for sign in (0, 128) for exponent in exponents]
    first = bytes(sign | exponent >> 1 for sign, exponent in both_signs)
    last = bytes((exponent & 1) << 7 for _, exponent in both_signs)
    return first, last


FIRST_BYTE, LAST_EXPONENT_BIT = float_tables()
LOW_SEVEN_BITS = bytes(byte & 0x7F for byte in range(256))

CITIES = "Berlin Bogotá Cairo Delhi Hanoi Lagos Lima Lyon Madrid Osaka Oslo Perth Porto Quito Seoul Sofia Turin"
CITIES = CITIES.split()
KINDS = "bicycle camera drone kettle lamp laptop monitor notebook printer router scanner speaker tablet watch".split()
STATES = ["new", "used", "refurbished", "returned"]
REMARKS = [
    "arrived late",
    "box was open",
    "works as described",
    "battery weak after a week",
    "colour differs from picture",
    "no manual",
    "would buy again",
    "customer asked for invoice",
    "scratch on the left side",
    "sent to workshop",
]


def write_table(path, size):
    """A table of numbers and words, as an export from a shop or a laboratory looks."""
    numbers = random.Random(5)
    choose, uniform, normal = numbers.choice, numbers.random, numbers.gauss
    minute = 29_000_000
    written = row = 0
    with open(path, "w", encoding="utf-8") as file:
        written += file.write("order,minute,city,product,state,quantity,price,temperature,pressure,score,remark\n")
        while written < size:
            lines = []
            for _ in range(2000):
                row += 1
                minute += uniform() < 0.2
                remark = choose(REMARKS) if uniform() < 0.15 else ""
                lines.append(
                    f"{row},{minute},{choose(CITIES)},{choose(KINDS)},{choose(STATES)},{int(uniform() * 20) + 1},"
                    f"{uniform() * 90 + 5:.1f},{normal(20, 6):.1f},{normal(1013, 5):.0f},{uniform():.1f},{remark}\n"
                )
            written += file.write("".join(lines))
