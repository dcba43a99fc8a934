"""A program in a terminal of its own: what it writes becomes a screen, as far as the dashboard's output needs that."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
import unicodedata

SEQUENCE = re.compile(rb"\x1b(?:\[[0-9;?<>=]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()#][0-9A-Za-z]|[=>78cDEHMNOZ])")


class Screen:
    """Starts a program in a pseudo-terminal and follows its screen."""

    def __init__(self, command, folder, columns=160, rows=48, environment=None):
        self.columns, self.rows = columns, rows
        self.cells = [[" "] * columns for _ in range(rows)]
        self.row = self.column = 0
        self.pending = b""
        self.bytes = 0
        self.started = time.perf_counter()
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.environ.update({"TERM": "xterm-256color", "COLORTERM": "truecolor", **(environment or {})})
            os.execvp(command[0], command)
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def send(self, text):
        os.write(self.terminal, text.encode())

    def read(self, seconds):
        """Takes what comes within so many seconds; whether something came."""
        if not select.select([self.terminal], [], [], max(seconds, 0))[0]:
            return False
        try:
            data = os.read(self.terminal, 1 << 20)
        except OSError:
            raise SystemExit(f"error: the program ended\n{self.text()}") from None
        self.bytes += len(data)
        self.take(self.pending + data)
        return True

    def take(self, data):
        at = 0
        while at < len(data):
            if data[at] == 0x1B:
                match = SEQUENCE.match(data, at)
                if match is None:
                    if len(data) - at < 64:
                        break
                    at += 1
                    continue
                self.control(match[0])
                at = match.end()
                continue
            end = next((i for i in range(at, len(data)) if data[i] == 0x1B), len(data))
            chunk = data[at:end]
            # A character that was cut off waits for its rest.
            for back in range(0, min(4, len(chunk) + 1)):
                try:
                    text = chunk[: len(chunk) - back].decode()
                    break
                except UnicodeDecodeError:
                    continue
            else:
                text, back = chunk.decode(errors="replace"), 0
            self.write(text)
            at = end - back
            if back and end == len(data):
                break
        self.pending = data[at:]

    def write(self, text):
        for character in text:
            if character == "\r":
                self.column = 0
            elif character == "\n":
                self.row = min(self.row + 1, self.rows - 1)
            elif character >= " ":
                if self.row < self.rows and self.column < self.columns:
                    self.cells[self.row][self.column] = character
                self.column += 2 if unicodedata.east_asian_width(character) in "WF" else 1

    def control(self, sequence):
        if sequence[:2] != b"\x1b[":
            return
        final, body = sequence[-1:], sequence[2:-1]
        if body.startswith(b"?") or not all(c in b"0123456789;" for c in body):
            return
        numbers = [int(number or 0) for number in body.split(b";")] if body else []
        if final in b"Hf":
            self.row = min(max((numbers + [1])[0], 1), self.rows) - 1
            self.column = min(max((numbers + [1, 1])[1], 1), self.columns) - 1
        elif final == b"J":
            self.cells = [[" "] * self.columns for _ in range(self.rows)]

    def line(self, row):
        return "".join(self.cells[row])

    def text(self):
        return "\n".join("".join(row).rstrip() for row in self.cells)

    def until(self, condition, patience=60.0):
        """Seconds until the screen meets a condition."""
        begun = time.perf_counter()
        while not condition(self):
            left = begun + patience - time.perf_counter()
            if left <= 0:
                raise SystemExit(f"error: the screen did not become what it should\n{self.text()}")
            self.read(min(left, 0.2))
        return time.perf_counter() - begun

    def settle(self, seconds=0.4):
        """Reads for a while: the program looks at its clock all the time, so it is never quite quiet."""
        begun = time.perf_counter()
        while time.perf_counter() - begun < seconds:
            self.read(seconds / 4)

    def end(self, patience=20):
        """Quits, and kills a program that does not."""
        self.send("q")
        begun = time.perf_counter()
        while time.perf_counter() - begun < patience:
            if select.select([self.terminal], [], [], 0.5)[0]:
                try:
                    self.take(self.pending + os.read(self.terminal, 1 << 20))
                except OSError:
                    break
        else:
            os.kill(self.pid, signal.SIGKILL)
            print(f"error: it did not quit\n{self.text()}", file=sys.stderr)
        os.waitpid(self.pid, 0)
        os.close(self.terminal)
