"""Running commands and measuring them: seconds, peak memory, bytes on the disk."""

import os
import resource
import signal
import subprocess
import tempfile
import time
import traceback
from dataclasses import dataclass


class Failed(Exception):
    """A command failed or took too long."""


@dataclass
class Sample:
    """What one run of a command took."""

    command: str
    seconds: float
    processor_seconds: float
    peak_bytes: int
    added_bytes: int = 0


def run(command, folder, environment, limit):
    """Runs a shell command to its end and measures it. What was written before is on the disk when it starts."""
    os.sync()
    with tempfile.TemporaryFile() as words:
        start = time.perf_counter()
        child = subprocess.Popen(
            ["sh", "-c", command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=words,
            stderr=words,
            start_new_session=True,
        )
        status, usage = wait(child, start + limit)
        seconds = time.perf_counter() - start
        if status != 0:
            words.seek(0)
            said = words.read().decode(errors="replace").strip().splitlines()[-8:]
            why = f"took more than {limit} s" if status is None else f"ended with {status}"
            raise Failed("\n".join([f"`{command}` {why}"] + said))
    # That of the largest process of the tree. A child begins with the peak of this program, so that nothing below that
    # can be seen: the report says how much it is.
    return Sample(command, seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def wait(child, until):
    """The child's exit code, None where its time was over, and what it used."""
    if not hasattr(os, "pidfd_open"):
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        return child.returncode, usage
    import select

    handle = os.pidfd_open(child.pid)
    try:
        ready, _, _ = select.select([handle], [], [], max(0, until - time.perf_counter()))
    except BaseException:
        os.killpg(child.pid, signal.SIGKILL)
        raise
    finally:
        os.close(handle)
    if not ready:
        os.killpg(child.pid, signal.SIGKILL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return (child.returncode if ready else None), usage


def bytes_on_disk(paths):
    """What `du` says of files and folders together: allocated blocks, each file once."""
    seen, total = set(), 0
    pending = [path for path in paths if path.exists()]
    while pending:
        path = pending.pop()
        status = os.lstat(path)
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        total += status.st_blocks * 512
        if os.path.isdir(path) and not os.path.islink(path):
            pending.extend(os.scandir(path))
    return total


def own_peak():
    """The most memory that this program itself has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def apart(work):
    """Does `work` in a process of its own, whose memory then does not count as this one's."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:  # Whatever it is, the child must not go on as if it were the parent.
            traceback.print_exc()
        finally:
            os._exit(code)
    if os.waitpid(child, 0)[1] != 0:
        raise SystemExit("error: the data could not be made")


def read_all(place):
    """Reads files, so that they are in the page cache."""
    paths = [place] if place.is_file() else [path for path in place.rglob("*") if path.is_file()]
    for path in paths:
        with open(path, "rb") as file:
            while file.read(1 << 20):
                pass
