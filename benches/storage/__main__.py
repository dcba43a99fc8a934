#!/usr/bin/env python3
"""Measures git-ml's storage against other tools, side by side on this machine, and prints tables in Markdown.

python3 benches/storage --setup            installs the peers that PyPI has, into a virtual environment of their own
python3 benches/storage                    measures everything: hours, and some 60 GB of room
python3 benches/storage --size-scale 0.02  a quick look
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import report
import rows
import tools
from data import Data, Sizes
from measure import Failed, apart, own_peak


def main():
    options = arguments()
    if options.setup:
        tools.set_up(options.venv)
    chosen, absent = find_tools(options)
    for name, how in absent:
        say(f"{name} is not there, and is left out: {how}")
    if options.setup or not chosen:
        return 0 if options.setup else 1
    if os.getloadavg()[0] > 0.5:
        say(f"this machine is busy (load {os.getloadavg()[0]:.1f}): ratios will be noisy, seconds will be wrong")
    options.dir.mkdir(parents=True, exist_ok=True)
    sizes = Sizes(options.size_scale)
    data = Data(options.dir / "data", sizes)
    wanted = {name for name in rows.NAMES if name in options.rows}
    scenarios = [name for name in rows.NEEDS if any(row.scenario == name for row in rows.ROWS if row.name in wanted)]
    needed = [part for scenario in scenarios for part in rows.NEEDS[scenario]]
    check_room(options, sizes, scenarios, len(chosen))
    apart(lambda: data.make(needed, say))
    document = {
        "machine": report.machine(options.dir),
        "sizes": {key: value for key, value in vars(sizes).items() if key != "scale"},
        "rounds": options.rounds,
        "rows": [name for name in rows.NAMES if name in wanted],
        "versions": {tool.name: tool.version() for tool in chosen},
        "commands": {},
        "samples": {},
        "failures": [],
    }
    rounds = Path(tempfile.mkdtemp(prefix="rounds-", dir=options.dir))
    try:
        for number in range(options.rounds):
            for scenario in scenarios:
                measure_round(options, chosen, scenario, number, wanted, data, rounds, document)
    except KeyboardInterrupt:
        say("stopped; what was measured so far:")
    finally:
        if not options.keep:
            make_removable(rounds)
            shutil.rmtree(rounds, ignore_errors=True)
    document["own_peak_bytes"] = own_peak()
    if options.json:
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    print(report.markdown(document), end="")
    return 1 if document["failures"] else 0


def measure_round(options, chosen, scenario, number, wanted, data, rounds, document):
    """One round of one scenario: each tool goes through it once, every round in another order."""
    start = number % len(chosen)
    for tool in chosen[start:] + chosen[:start]:
        place = tools.Place(rounds / f"{number:02}-{scenario}-{tool.name}")
        if any(failure.startswith(f"{tool.name}, {scenario}:") for failure in document["failures"]):
            continue
        say(f"round {number + 1} of {options.rounds}: {scenario}, {tool.name}")
        rows.warm(data, scenario)

        def found(name, sample, tool=tool, place=place):
            kept = document["samples"].setdefault(name, {}).setdefault(tool.name, [])
            kept.append({"round": number} | {key: value for key, value in asdict(sample).items() if key != "command"})
            shown = sample.command.replace(str(place.top) + "/", "../").replace(str(options.git_ml), "git-ml")
            shown = shown.replace(str(options.venv / "bin") + "/", "")
            document["commands"].setdefault(tool.name, {})[name] = shown
            added, peak = sample.added_bytes >> 20, sample.peak_bytes >> 20
            say(f"  {name}: {sample.seconds:.3f} s, {added} MiB added, {peak} MiB memory")

        try:
            rows.Story(tool, place, data, wanted, options.limit, found).go(scenario)
        except (Failed, rows.Mismatch, OSError) as failure:
            said = " / ".join(str(failure).splitlines())
            document["failures"].append(f"{tool.name}, {scenario}: {said}")
            say(f"  failed: {failure}")
        if scenario in rows.FEW_FILES and not options.keep:
            make_removable(place.top)
            shutil.rmtree(place.top, ignore_errors=True)


def check_room(options, sizes, scenarios, tools_count):
    """Stops before the disk is full rather than after."""
    # Of the folders with many files, which stay to the end: the work tree, the store, the remote, the clone, and more.
    need = 6 * 4096 * sizes.files * tools_count * options.rounds if "many" in scenarios else 0
    need += 6 * sizes.file + 2 * sizes.table
    need += 3 * sizes.long_file if "long" in scenarios else 0
    free = shutil.disk_usage(options.dir).free
    if need > free:
        sys.exit(
            f"error: this needs about {report.amount(need)} below {options.dir}, where {report.amount(free)} are free\n"
            "hint: --dir, fewer --rounds, fewer --tools or a smaller --size-scale"
        )


def make_removable(folder):
    """git-annex takes the write permission from its folders."""
    for path, _, _ in os.walk(folder):
        os.chmod(path, 0o700)


def find_tools(options):
    chosen, absent = [], []
    for kind in tools.ALL:
        if kind.name in options.tools:
            tool = kind(options)
            how = tool.missing()
            if how is None:
                chosen.append(tool)
            else:
                absent.append((tool.name, how))
    return chosen, absent


def arguments():
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "git-ml"
    parser = argparse.ArgumentParser(
        prog="benches/storage", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--git-ml", metavar="PROGRAM", help="[default: target/release/git-ml, then the PATH]")
    parser.add_argument("--tools", type=names(tools.NAMES), default=tools.NAMES, help=f"of: {','.join(tools.NAMES)}")
    parser.add_argument("--rows", type=names(rows.NAMES), default=rows.DEFAULT, help=f"of: {','.join(rows.NAMES)}")
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is measured [default: 3]")
    parser.add_argument("--size-scale", type=float, default=1.0, help="less data, for a quick look [default: 1]")
    parser.add_argument("--dir", type=Path, default=cache / "bench-storage", help="where it happens [default: %(default)s]")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample to this file")
    parser.add_argument("--limit", type=float, default=900, help="seconds that a step may take [default: 900]")
    parser.add_argument("--keep", action="store_true", help="leave the folders of the rounds")
    parser.add_argument("--setup", action="store_true", help="install the peers of PyPI, say what is missing, and stop")
    parser.add_argument("--venv", type=Path, default=cache / "bench-venv", help="[default: %(default)s]")
    options = parser.parse_args()
    options.git_ml = tools.find_git_ml(options.git_ml)
    options.dir = options.dir.resolve()
    if not 0 < options.size_scale <= 1 or options.rounds < 1:
        parser.error("--size-scale is above 0 and at most 1, --rounds at least 1")
    return options


def names(known):
    def parse(text):
        given = text.split(",")
        for name in given:
            if name not in known:
                raise argparse.ArgumentTypeError(f"`{name}` is none of {', '.join(known)}")
        return given

    return parse


def say(text):
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
