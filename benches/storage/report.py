"""The figures as Markdown, and the facts that they hold for."""

import os
import platform
import statistics
import subprocess
from pathlib import Path

import rows
import tools

MIB = 1 << 20
YARDSTICKS = ["cp", "git", "restic", "dvc"]


def machine(folder):
    """What the figures depend on."""
    model = ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = lines[0].split(":", 1)[1].strip() if lines else ""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    ask = ["df", "--output=fstype", str(folder)]
    kind = subprocess.run(ask, capture_output=True, text=True, check=False).stdout.split()
    return {
        "processor": model or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / (1 << 30), 1),
        "system": platform.platform(),
        "file_system": kind[-1] if kind else "unknown",
        "load_at_start": round(os.getloadavg()[0], 2),
    }


def amount(size):
    """A size in a unit that keeps it short."""
    for unit, name in ((1 << 30, "GiB"), (MIB, "MiB"), (1 << 10, "KiB")):
        if size >= unit:
            return f"{size / unit:.3g} {name}"
    return f"{size} bytes"


def seconds(value):
    return f"{value:.3f}" if value < 1 else f"{value:.2f}" if value < 10 else f"{value:.1f}"


def by_round(samples):
    """Each round's median seconds: a row that is repeated within a round counts once."""
    rounds = {}
    for sample in samples:
        rounds.setdefault(sample["round"], []).append(sample["seconds"])
    return {number: statistics.median(values) for number, values in rounds.items()}


def ratio(ours, theirs):
    """The median over the rounds of how many times longer one took than the other in the same round."""
    ours, theirs = by_round(ours), by_round(theirs)
    both = [ours[number] / theirs[number] for number in ours if theirs.get(number)]
    return f"{statistics.median(both):.2f}" if both else ""


def markdown(document):
    """All tables of a run."""
    sizes = {key: amount(value) for key, value in document["sizes"].items() if key != "files"}
    sizes["files"] = f"{document['sizes']['files']:,}"
    facts = document["machine"]
    lines = [
        f"{facts['processor']}, {facts['cores']} cores, {facts['memory_gib']} GiB; {facts['system']}; "
        f"{facts['file_system']}; load {facts['load_at_start']} at the start.",
        f"Medians of {document['rounds']} rounds, the tools in turn, page cache warm, fresh folders. "
        "× cp and so on: how many times longer than that tool, the median of each round's ratio. "
        "Added: allocated on the disk. Memory: the largest process; "
        f"less than {document['own_peak_bytes'] / MIB:.0f} MiB, which this program itself has, cannot be seen.",
        "",
    ]
    notes = []
    for row in rows.ROWS:
        if row.name not in document["rows"]:
            continue
        samples = document["samples"].get(row.name, {})
        lines += [f"### {row.title.format(**sizes)}", ""]
        lines += [f"| | s | MiB added | memory, MiB | {' | '.join('× ' + name for name in YARDSTICKS)} |"]
        lines += ["| --- " + "| ---: " * (3 + len(YARDSTICKS)) + "|"]
        for tool in tools.ALL:
            mine = samples.get(tool.name)
            if mine:
                cells = [ratio(mine, samples.get(name, [])) for name in YARDSTICKS]
                added = statistics.median(sample["added_bytes"] for sample in mine) / MIB
                added = f"{added:.1f}" if row.stores else ""
                peak = statistics.median(sample["peak_bytes"] for sample in mine) / MIB
                took = statistics.median(by_round(mine).values())
                name = f"*{tool.name}*" if tool.is_floor else tool.name
                lines += [f"| {name} | {seconds(took)} | {added} | {peak:.0f} | {' | '.join(cells)} |"]
                if row.name in tool.notes:
                    notes += [f"- {tool.name}, {row.name}: {tool.notes[row.name]}"]
        lines += [""]
    notes += [f"- {failure}" for failure in document["failures"]]
    if notes:
        lines += ["### Notes", ""] + notes + [""]
    lines += ["### Versions and commands", ""]
    for name, version in document["versions"].items():
        lines += [f"- {name}: {version}"]
        for row_name, command in document["commands"].get(name, {}).items():
            lines += [f"  - {row_name}: `{command}`"]
    return "\n".join(lines) + "\n"
