"""A disk that is full in every stage: a tmpfs that nobody else sees, with room for what was there and little more."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.benchmarks.campaign.command import environment
from tests.benchmarks.campaign.kill_curation import STAGES, Curation
from tests.benchmarks.campaign.results import published, trained
from tests.benchmarks.campaign.tally import Row, Tally

ROOM = 20 << 10
"""Bytes beside what is there already: enough for a lock and a seal, too little for a stage."""
SCRIPT = """
set -u
mount -t tmpfs -o size="$SIZE" tmpfs "$DISK" || exit 99
cp -a "$TEMPLATE/." "$DISK/" || exit 98
"$@" > "$LOG" 2>&1; echo $? > "$LOG.rc"
mount -o remount,size=512m "$DISK"
"$@" > "$LOG.again" 2>&1; echo $? > "$LOG.rc.again"
cp -a "$DISK" "$RESULT"
"""


def may_mount() -> bool:
    """Tell whether this process may have a mount namespace of its own."""
    return os.geteuid() == 0 and subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0


def full_disks(one: Curation, trained_in: Path, recipe: Path, tally: Tally, few: bool = False) -> None:
    """Fill the disk in each stage of curation, in publishing, and in a checkpoint; free it; run again."""
    if not may_mount():
        tally.skipped.append("full disks: they need root, for a tmpfs of their own")
        return
    places = (*STAGES, "publishing")[:: 4 if few else 1]
    for place in places:
        template = one.fresh(one.unpublished)
        for later in STAGES[STAGES.index(place) :] if place in STAGES else ():
            shutil.rmtree(template / "stages" / later)
        row = tally.row("a disk full in each stage and in publishing")
        result = _filled(row, place, template, ["pack", one.recipe], one.home)
        if result and published(str(result)) != one.expected:
            row.lose(f"the version after a full disk in {place}")
        shutil.rmtree(one.home / "result", ignore_errors=True)
        shutil.rmtree(template)
    if few:
        return
    template = shutil.copytree(trained_in, one.home / "untrained", ignore=shutil.ignore_patterns("runs", "evaluations"))
    row = tally.row("a disk full in a checkpoint")
    for extra in (0, 2, 4):
        result = _filled(row, "a checkpoint", template, ["pretrain", recipe], one.home, (1 << 20) * extra)
        if result and trained(str(result)) != trained(str(trained_in)):
            row.lose("weights after a full disk")
        shutil.rmtree(one.home / "result", ignore_errors=True)


def _filled(row: Row, place: str, template: Path, words: list[object], home: Path, extra: int = 0) -> Path | None:
    """Run a command on a disk that gets full, then again on one that has room; return what it left."""
    used = int(subprocess.run(["du", "-s", "-B1", template], capture_output=True, check=True).stdout.split()[0])
    disk, log = home / "disk", home / "full.log"
    disk.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "flows.cli", *map(str, words), "--workspace", str(disk)]
    given = {
        "SIZE": str(used + ROOM + extra),
        "DISK": str(disk),
        "TEMPLATE": str(template),
        "LOG": str(log),
        "RESULT": str(home / "result"),
    }
    subprocess.run(["unshare", "-m", "sh", "-c", SCRIPT, "sh", *command], env=environment(given), check=True, cwd="/")
    first, again = (int((home / f"full.log.rc{end}").read_text()) for end in ("", ".again"))
    text, after = log.read_text(errors="replace"), (home / "full.log.again").read_text(errors="replace")
    row.fired += 1
    if not first:
        row.note(f"{place}: there was room enough")
        return home / "result"
    row.tried += 1
    last = next((line for line in reversed(text.splitlines()) if line.strip()), "")
    if "Traceback" in text or "disk is full" not in text or str(disk) not in text:
        row.fail(f"{place}: no clear line, but {last[:200]}")
    if again:
        row.fail(f"{place}: a rerun with room: {after.splitlines()[-1][:200]}")
        return None
    return home / "result"
