"""Copies found, dinoflow beside other tools: precision, recall, kinds of copy and CPU time, as Markdown, in one run.

    python tests/benchmarks/duplicates.py FOLDER [FOLDER…] [--only NAME…] [--environments DIR]

FOLDER holds `images/`, and either `truth.json` ({"files": {name: {"group", "kind"}}}) or `groups.csv` (file,group)
with an optional `pairs.csv` (a,b,relation,transform), whose near_shot and ignore rows are left out of the score.
dinoflow runs without quality rules: only copies are judged. Every other tool is installed into a virtual environment
of its own, which stays in DIR, and is skipped with the reason where that fails.

A tool that tells pairs found these; one that tells groups found every pair inside them. CPU is user and system time
of its process and of those that it awaits; without start-up is the slope between the first 16 files and all.
"""

import argparse
import datetime
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from copies.tools import DINOFLOW, OTHERS, FoundPairs, SkippedError, Tool, python_of, run
from copies.truth import Score, Truth, read_truth, score

from shared.images.decode import UndecodableError, decode

FEW = 16
"""Files in the run that tells what starting costs."""


class Row(NamedTuple):
    """A tool's line in the tables."""

    tool: Tool
    found: FoundPairs
    score: Score
    startless_cpu: float
    """CPU seconds an image, without what starting costs."""
    spread: tuple[float, float]
    """Lowest and highest F1 of its runs."""


def main() -> None:
    """Print the tables of every folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--only", action="append", default=[], help="run the tools whose name contains this")
    parser.add_argument("--environments", type=Path, default=Path.home() / ".cache" / "dinoflow-benchmarks")
    options = parser.parse_args()
    tools = [tool for tool in DINOFLOW + OTHERS if not options.only or any(part in tool.name for part in options.only)]
    print(f"{hardware()}, Python {platform.python_version()}, {datetime.date.today()}")
    for folder in options.folders:
        truth = read_truth(folder)
        rows, skipped = [], []
        for tool in tools:
            print(f"{folder.name}: {tool.name}", file=sys.stderr)
            try:
                rows.append(measure(tool, python_of(tool, options.environments), folder / "images", truth))
            except SkippedError as error:
                skipped.append(f"- {tool.name}: skipped, {error}")
        print("\n".join(["", *report(folder.name, truth, rows), *skipped]), flush=True)


def measure(tool: Tool, python: Path, images: Path, truth: Truth) -> Row:
    """Run a tool on a few files and on all, so often as it asks for."""
    with tempfile.TemporaryDirectory() as scratch:
        readable = [name for name in truth.files if is_readable(images / name)]
        few = folder_of(Path(scratch, "few"), images, readable[:FEW])
        if tool.readable_only:
            images = folder_of(Path(scratch, "readable"), images, readable)
        start = run(tool, python, few).cpu
        finds = sorted(
            (run(tool, python, images) for _ in range(tool.runs)), key=lambda one: score(one.pairs, truth).f1
        )
    found = finds[len(finds) // 2]
    startless = (found.cpu - start) / max(1, len(truth.files) - FEW)
    lowest, highest = (score(one.pairs, truth).f1 for one in (finds[0], finds[-1]))
    return Row(tool, found, score(found.pairs, truth), startless, (lowest, highest))


def is_readable(path: Path) -> bool:
    """Whether the file is an image."""
    try:
        decode(path.read_bytes())
    except UndecodableError:
        return False
    return True


def folder_of(folder: Path, images: Path, names: list[str]) -> Path:
    """Return a folder with copies of these files."""
    folder.mkdir()
    for name in names:
        shutil.copyfile(images / name, folder / name)
    return folder


def report(name: str, truth: Truth, rows: list[Row]) -> list[str]:
    """Return the lines of both tables and of what must be known to read them."""
    count = len(truth.files)
    judged = [
        [
            row.tool.name,
            *map(share, row.score[:4]),
            str(row.score.false),
            str(row.score.false_negatives),
            f"{row.found.cpu / count * 1000:.1f}",
            f"{row.startless_cpu * 1000:.1f}",
        ]
        for row in rows
    ]
    heads = ["precision", "recall", "precision by group", "recall by group", "false pairs", "of them hard negatives"]
    found_of_kinds = [
        [kind, str(len(pairs)), *(str(len(pairs & row.found.pairs)) for row in rows)]
        for kind, pairs in truth.kinds.items()
    ]
    notes = [f"- {row.tool.name}: {' '.join(row.tool.requires)}" for row in rows if row.tool.requires]
    for tool, _, _, _, (lowest, highest) in rows:
        if tool.runs > 1:
            notes.append(f"- {tool.name}: the median of {tool.runs} runs, F1 {share(lowest)} to {share(highest)}")
        if tool.readable_only:
            notes.append(f"- {tool.name}: given only the readable files, as it crashes on others")
    return [
        f"{name}: {count} files, {len(truth.pairs)} true pairs in {len(truth.groups)} groups",
        "",
        *table(["tool", *heads, "CPU ms / image", "without start-up"], judged),
        "",
        f"Pairs found of each kind, between {truth.kinds_are}:",
        "",
        *table(["kind", "pairs", *(row.tool.name for row in rows)], found_of_kinds),
        "",
        *notes,
    ]


def table(heads: list[str], rows: list[list[str]]) -> list[str]:
    """Return a Markdown table, numbers to the right."""
    lines = [heads, ["---", *["--:"] * (len(heads) - 1)], *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def share(value: float) -> str:
    """Return a share in three digits, as in 1.000 and .691."""
    return f"{value:.3f}".removeprefix("0")


def hardware() -> str:
    """Return the name and number of processors."""
    cpuinfo = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    names = [line.partition(":")[2].strip() for line in cpuinfo.splitlines() if line.startswith("model name")]
    return f"{names[0] if names else platform.processor() or platform.machine()}, {os.cpu_count()} cores"


if __name__ == "__main__":
    main()
