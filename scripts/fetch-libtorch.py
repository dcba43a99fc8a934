#!/usr/bin/env python3
"""Fills CACHE/libtorch-2.13.0-cpu from the wheels of PyTorch, and prints that folder.

Use: fetch-libtorch.py CACHE; `scripts/libtorch` calls it when it finds no libtorch. Two at once are fine: the second
waits for the first. Nothing but pip of this python3 touches the network, with the indexes the user has configured.
"""

import fcntl
import hashlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

VERSION = "2.13.0"

# libtorch_cpu.so of these wheels is also linked to CUDA's runtime and its profiler, small libraries that need no GPU.
# The rest of CUDA, gigabytes, is left out.
WHEELS = {
    f"torch=={VERSION}": "60fcdcb2f3876e21146cb4524ef06397d727ca9ad5f020818547e25075fe3cb7",
    "nvidia-cuda-runtime==13.0.96": "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
    "nvidia-cuda-cupti==13.0.85": "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8",
}
# The same wheels whatever Python runs this script: only their libraries and headers are used.
TARGET = ["--only-binary=:all:", "--implementation=cp", "--abi=cp311", "--abi=none", "--python-version=3.11"]
TARGET += [f"--platform=manylinux{tag}_x86_64" for tag in ("_2_28", "_2_25", "_2_17", "2014")]

# What is unpacked, and where it goes.
WANTED = [
    (re.compile(r"torch/include/(.+)"), r"include/\1"),
    (re.compile(r"torch/lib/(libtorch_cpu\.so|libc10\.so|libgomp\.so\.1)"), r"lib/\1"),
    (re.compile(r"nvidia/cu13/lib/(libcudart\.so\.13|libcupti\.so\.13)"), r"lib/\1"),
    (re.compile(r"(torch|nvidia_\w+)-[^/]*\.dist-info/licenses/(.+)"), r"licenses/\1/\2"),
]
# libtorch.so of the wheel only gathers libtorch_cpu.so and libtorch_cuda.so. This gathers the first alone; it is read
# by linkers and nobody else.
LIBTORCH_SO = "/* GNU ld script */ INPUT(-ltorch_cpu)\n"
UNPACKED_GB = 0.6


class Problem(Exception):
    pass


def say(text):
    print(text, file=sys.stderr, flush=True)


def wait_for(lock):
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("waiting for another build that fetches libtorch")
        fcntl.flock(lock, fcntl.LOCK_EX)


def check_machine():
    system, machine = platform.system(), platform.machine()
    if (system, machine) != ("Linux", "x86_64"):
        raise Problem(f"libtorch can be fetched for Linux on x86_64 only; this is {system} on {machine}")


def check_space(cache):
    free_gb = shutil.disk_usage(cache).free / 1e9
    if free_gb < 2 * UNPACKED_GB:
        raise Problem(f"{cache} has {free_gb:.1f} GB left; libtorch needs {2 * UNPACKED_GB:.1f} GB")


def download(folder):
    say(f"fetching libtorch {VERSION} (540 MB, once)")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    command = [*pip, "download", "--no-deps", "--dest", str(folder), *TARGET, *WHEELS]
    try:
        # pip's words and its progress bar go to stderr: stdout is for the folder alone.
        subprocess.run(command, stdout=sys.stderr, check=True)
    except (OSError, subprocess.CalledProcessError):
        raise Problem("pip could not download it (its own words are above)") from None


def checked_wheels(folder):
    digests = {}
    for path in folder.glob("*.whl"):
        digests[digest_of(path)] = path
    for name, digest in WHEELS.items():
        if digest not in digests:
            raise Problem(f"what was downloaded as {name} does not have the SHA-256 {digest}")
    return [digests[digest] for digest in WHEELS.values()]


def digest_of(path):
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def unpack(wheel, folder):
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            for pattern, place in WANTED:
                match = pattern.fullmatch(member.filename)
                if match and not member.is_dir():
                    write(archive, member, folder / PurePosixPath(match.expand(place)))


def write(archive, member, place):
    if ".." in place.parts:
        raise Problem(f"a wheel has the unsafe path {member.filename}")
    place.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(member) as source, place.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)


def fill(cache, place):
    check_machine()
    # What is left of one that was killed; nobody else is at work while the lock is held.
    for rest in cache.glob(".libtorch-*"):
        shutil.rmtree(rest)
    check_space(cache)
    # In the cache itself, so that the last step is one rename.
    with tempfile.TemporaryDirectory(prefix=".libtorch-", dir=cache) as folder:
        wheels, whole = Path(folder, "wheels"), Path(folder, "libtorch")
        download(wheels)
        for wheel in checked_wheels(wheels):
            say(f"unpacking {wheel.name}")
            unpack(wheel, whole)
            wheel.unlink()
        (whole / "lib" / "libtorch.so").write_text(LIBTORCH_SO)
        (whole / "build-version").write_text(f"{VERSION}\n")
        if place.exists():
            shutil.rmtree(place)
        whole.rename(place)
    say(f"libtorch {VERSION} is in {place}")


def main():
    cache = Path(sys.argv[1]).absolute()
    place = cache / f"libtorch-{VERSION}-cpu"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with (cache / "libtorch.lock").open("w") as lock:
            wait_for(lock)
            if not (place / "build-version").exists():
                fill(cache, place)
    except (Problem, OSError, zipfile.BadZipFile) as problem:
        say(f"error: cannot fetch libtorch {VERSION}: {problem}")
        say(f"hint: set LIBTORCH to the folder of a libtorch {VERSION}, as the C++ download or a Python torch has it")
        return 1
    except KeyboardInterrupt:
        return 130
    print(place)
    return 0


if __name__ == "__main__":
    sys.exit(main())
