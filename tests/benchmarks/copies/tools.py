"""The tools that are compared, each in an environment of its own, and what one run of one of them costs."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from copies.truth import Pairs, pairs_within

PEERS = Path(__file__).with_name("peers")


@dataclass(frozen=True)
class Tool:
    """A script in peers/ that takes a folder and a file, and writes {"pairs": …} or {"groups": …} into the file."""

    name: str
    script: str
    arguments: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    """What is installed into its environment, the tool itself last; nothing = the environment that this runs in."""
    readable_only: bool = False
    """It crashes on files that are no images: it gets a folder without them."""
    runs: int = 1
    """More than one where results differ from run to run: the run of median F1 is shown."""


DINOFLOW = (
    Tool("dinoflow", "dinoflow_groups.py"),
    Tool("dinoflow, efficientnet", "dinoflow_groups.py", ("curation.dedup.near.embedder={kind: efficientnet-lite0}",)),
    Tool("dinoflow, exact + hash", "dinoflow_groups.py", ("curation.dedup.near.enabled=false",)),
    Tool(
        "dinoflow, exact only",
        "dinoflow_groups.py",
        ("curation.dedup.near.enabled=false", "curation.dedup.perceptual.enabled=false"),
    ),
)
PERCEPTION = ("perception[approximate-deduplication]==0.9.3",)
OTHERS = (
    Tool("czkawka, 10", "czkawka_groups.py", requires=("czkawka==0.1.2",), runs=5),
    Tool(
        "PDQ, ≤ 31, quality ≥ 50",
        "pdq_pairs.py",
        requires=("faiss-cpu==1.15.1", "numpy==2.4.6", "pillow==13.0.0", "pdqhash==0.2.8"),
    ),
    Tool("fastdup, components", "fastdup_components.py", requires=("fastdup==2.54",)),
    Tool(
        "imagededup, PHash ≤ 10",
        "imagededup_phash.py",
        requires=("torch==2.13.0", "torchvision==0.28.0", "imagededup==0.3.3.post2"),
    ),
    Tool("perception, PHash < .16", "perception_phash.py", requires=PERCEPTION),
    Tool("perception, SIFT", "perception_sift.py", requires=PERCEPTION),
    Tool("cleanvision", "cleanvision_sets.py", requires=("cleanvision==0.3.7",), readable_only=True),
)


class FoundPairs(NamedTuple):
    """What one run of a tool found, and the CPU seconds of its process and of those that it started and awaited."""

    pairs: Pairs
    cpu: float


class SkippedError(Exception):
    """The tool cannot be installed or run here; the text says why."""


def python_of(tool: Tool, environments: Path) -> Path:
    """Return the interpreter of a tool's environment, made if there is none with what it requires."""
    if not tool.requires:
        return Path(sys.executable)
    folder = environments / tool.requires[-1]
    done = folder / "requirements.txt"
    wanted = "\n".join(tool.requires) + "\n"
    python = folder / "bin" / "python"
    if not done.exists() or done.read_text() != wanted:
        print(f"installing {' '.join(tool.requires)}", file=sys.stderr)
        _must_run([sys.executable, "-m", "venv", "--clear", str(folder)], "no environment")
        _must_run([str(python), "-m", "pip", "install", "--quiet", *tool.requires], "cannot be installed")
        done.write_text(wanted)
    return python


def _must_run(command: list[str], otherwise: str) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SkippedError(f"{otherwise}: {_last_line(ended.stderr + ended.stdout)}")


def run(tool: Tool, python: Path, images: Path) -> FoundPairs:
    """Run a tool on a folder of images, in a home of its own, so that nothing is found ready from an earlier run."""
    with tempfile.TemporaryDirectory() as home:
        output, log = Path(home, "found.json"), Path(home, "log.txt")
        variables = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "XDG_"))}
        variables |= {"HOME": home, "XDG_CACHE_HOME": home, "SENTRY_OPT_OUT": "1"}
        if not tool.requires:  # this checkout, whatever is installed
            variables["PYTHONPATH"] = str(PEERS.parents[3])
        command = [str(python), str(PEERS / tool.script), str(images.resolve()), str(output), *tool.arguments]
        with log.open("w") as sink:
            process = subprocess.Popen(command, stdout=sink, stderr=sink, cwd=home, env=variables)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode or not output.exists():
            raise SkippedError(f"ended with {process.returncode}: {_last_line(log.read_text(errors='replace'))}")
        written = json.loads(output.read_text())
    groups: Iterable[list[str]] = written.get("pairs") or written.get("groups") or []
    names = [[Path(file).name for file in group] for group in groups]
    return FoundPairs(pairs_within(names), usage.ru_utime + usage.ru_stime)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "without a word"
