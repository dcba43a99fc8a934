"""What is measured. A scenario is a story of several rows in one repository; a row is a step of it that is timed."""

import filecmp
import shutil
import time
from dataclasses import dataclass

from measure import bytes_on_disk, read_all, run


@dataclass
class Row:
    name: str
    scenario: str
    title: str
    # Whether the step adds to a store.
    stores: bool = True
    # How often the step is repeated within a round, where that changes nothing.
    repeats: int = 1


ROWS = [
    Row("track-file", "file", "`track` one file of random floats, {file}"),
    Row("retrack-inserted", "file", "`track` it again after {insertion} were inserted in the middle"),
    Row("checkout-file", "file", "`checkout` of that file after deletion", stores=False),
    Row("track-many", "many", "`track` {files} files of 3 KiB in 100 folders"),
    Row("status-many", "many", "`status` of those, nothing changed", stores=False, repeats=5),
    Row("retrack-changed", "many", "`track` those again after 1 % of them changed"),
    Row("checkout-many", "many", "`checkout` of those after deletion", stores=False),
    Row("push-many", "many", "push those to a folder"),
    Row("pull-many", "many", "pull those into a fresh clone, with checkout", stores=False),
    Row("track-table", "table", "`track` a CSV file of {table}"),
    Row("track-long", "long", "`track` one file of random floats, {long_file}"),
]
NAMES = [row.name for row in ROWS]
# Ten times the bytes for the same peak of memory. Only measured when asked for.
DEFAULT = [row.name for row in ROWS if row.name != "track-long"]

# The data each scenario needs.
NEEDS = {"file": ["file", "inserted"], "many": ["many", "changed"], "table": ["table"], "long": ["long"]}

# Folders with few files are removed at once. On some file systems inodes that were deleted a moment ago make every new
# file slow, so all others stay to the end.
FEW_FILES = {"file", "table", "long"}


class Mismatch(Exception):
    """What a tool brought back is not what it was given."""


class Story:
    """One tool going through one scenario, in fresh folders."""

    def __init__(self, tool, place, data, wanted, limit, found):
        self.tool, self.place, self.data, self.wanted, self.limit = tool, place, data, wanted, limit
        # Told of each sample: the row's name and what was measured.
        self.found = found

    def go(self, scenario):
        self.place.make()
        self.untimed(self.tool.prepare(self.place))
        getattr(self, scenario)()

    def file(self):
        folder = self.place.work / "data"
        self.bring(self.data.file.parent)
        self.timed("track-file", self.tool.track(self.place))
        self.untimed(self.tool.after_track(self.place))
        if self.still_wanted("retrack-inserted", "checkout-file"):
            # As an editor saves: another file under the same name. The peers may have made the old one a link.
            place = folder / self.data.inserted.name
            place.unlink()
            shutil.copyfile(self.data.inserted, place)
            self.settle()
            self.timed("retrack-inserted", self.tool.track(self.place))
            self.untimed(self.tool.after_track(self.place))
            self.delete_and_check_out("checkout-file", [self.data.inserted.parent])

    def many(self):
        self.bring(self.data.many)
        self.timed("track-many", self.tool.track(self.place))
        self.untimed(self.tool.after_track(self.place))
        self.settle()
        if self.still_wanted("status-many"):
            # Once without the clock: a first look may refresh caches.
            self.untimed(self.tool.status(self.place))
        self.timed("status-many", self.tool.status(self.place))
        if self.still_wanted("push-many", "pull-many") and self.tool.push(self.place):
            self.untimed(self.tool.before_push(self.place))
            self.timed("push-many", self.tool.push(self.place), store=[self.place.share, self.place.remote])
            self.untimed(self.tool.after_push(self.place))
            if self.timed("pull-many", self.tool.pull(self.place)):
                self.compare([self.data.many], self.place.clone / "data")
        if self.still_wanted("retrack-changed", "checkout-many"):
            for source in sorted(path for path in self.data.changed.rglob("*") if path.is_file()):
                place = self.place.work / "data" / source.relative_to(self.data.changed)
                place.unlink()
                shutil.copyfile(source, place)
            self.settle()
            self.timed("retrack-changed", self.tool.track(self.place))
            self.untimed(self.tool.after_track(self.place))
            self.delete_and_check_out("checkout-many", [self.data.many, self.data.changed])

    def table(self):
        self.bring(self.data.table.parent)
        self.timed("track-table", self.tool.track(self.place))

    def long(self):
        self.bring(self.data.long_file.parent)
        self.timed("track-long", self.tool.track(self.place))

    def bring(self, source):
        """Copies the data to where the tool expects it; afterwards it is in the page cache."""
        shutil.copytree(source, self.place.work / "data", copy_function=shutil.copyfile)
        self.settle()

    def settle(self):
        """Lets the clock go on, so that no tool has to distrust files as young as its own records."""
        time.sleep(1.1)

    def delete_and_check_out(self, row, sources):
        command = self.tool.checkout(self.place)
        if row in self.wanted and command is not None:
            shutil.rmtree(self.place.work / "data")
            self.timed(row, command)
            self.compare(sources, self.tool.restored(self.place))

    def compare(self, sources, result):
        """A tool that is fast because it brings back something else has failed. Later sources lie over earlier ones."""
        ours = {}
        for source in sources:
            ours |= {path.relative_to(source): path for path in source.rglob("*") if path.is_file()}
        theirs = {path.relative_to(result): path for path in result.rglob("*") if path.is_file()}
        if ours.keys() != theirs.keys():
            raise Mismatch(f"{self.tool.name} brought back {len(theirs)} files, not the {len(ours)} that it was given")
        for path in ours:
            if not filecmp.cmp(ours[path], theirs[path], shallow=False):
                raise Mismatch(f"{self.tool.name} brought {path} back with other content")

    def untimed(self, command):
        if command is not None:
            run(command, self.place.work, self.place.environment(), self.limit)

    def timed(self, name, command, store=None):
        """Measures a step, also where only later ones are wanted: those start from where it ends."""
        if command is None:
            return False
        row = ROWS[NAMES.index(name)]
        is_wanted = name in self.wanted and name not in self.tool.skips
        store = store or self.tool.stored(self.place)
        for _ in range(row.repeats if is_wanted else 1):
            before = bytes_on_disk(store)
            sample = run(command, self.place.work, self.place.environment(), self.limit)
            sample.added_bytes = bytes_on_disk(store) - before
            if is_wanted:
                self.found(name, sample)
        return True

    def still_wanted(self, *names):
        return any(name in self.wanted for name in names)


def warm(data, scenario):
    """Reads the data of a scenario into the page cache."""
    places = {"file": [data.file, data.inserted], "many": [data.many, data.changed], "table": [data.table]}
    for place in places.get(scenario, []):
        read_all(place)
