"""Curation under SIGKILL: at commits, in publishing, while it starts; and with sources that change meanwhile."""

import random
import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from tests.benchmarks.campaign import inputs
from tests.benchmarks.campaign.command import Aim, dinoflow
from tests.benchmarks.campaign.results import finished, published
from tests.benchmarks.campaign.tally import Row, Tally

START_SECONDS = (0.1, 2.5)
STAGES = ("index", "measure", "quality", "candidates", "verify", "dedup", "select", "pack")
"""Those that make tables in this recipe."""


class Curation:
    """One recipe, what an undisturbed run makes of it, and a place to work in."""

    def __init__(self, home: Path, tally: Tally, seed: int) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home, self.tally, self.random = home, tally, random.Random(seed)
        self.sources = inputs.draw(home / "sources")
        self.recipe = inputs.recipe(home / "recipe.json", str(self.sources))
        self.whole = home / "whole"
        ending = dinoflow("pack", self.recipe, "--workspace", self.whole)
        assert ending.code == 0, ending.text
        self.expected = published(str(self.whole))
        self.unpublished = home / "unpublished"
        shutil.copytree(self.whole, self.unpublished, ignore=shutil.ignore_patterns("datasets"))
        self.numbers = count()

    def fresh(self, template: Path | None = None) -> Path:
        """Return a new workspace: empty, or a copy."""
        path = self.home / f"w{next(self.numbers)}"
        return shutil.copytree(template, path) if template else path

    def run(self, workspace: Path, aim: Aim, command: str = "pack", recipe: Path | None = None) -> Any:
        """Curate with a kill at the aim."""
        return dinoflow(command, recipe or self.recipe, "--workspace", workspace, aim=aim)

    def mends(self, row: Row, workspace: Path, what: str, recipe: Path | None = None, expected: Any = None) -> None:
        """Run the command again, undisturbed, and hold what it publishes against what it has to be."""
        ending = dinoflow("pack", recipe or self.recipe, "--workspace", workspace)
        if ending.code or not ending.clear or ending.orphans:
            row.fail(f"a rerun after {what}", ending)
        elif published(str(workspace)) != (expected or self.expected):
            row.lose(f"the result after {what} is another")
        shutil.rmtree(workspace, ignore_errors=True)

    def kills_at_commits(self, kills: int, command: str = "pack") -> None:
        """Kill at every few commits, and while a command starts between them, until so many kills count."""
        row, starts = self.tally.row(f"SIGKILL at a commit, `{command}`"), self.tally.row("SIGKILL at start-up")
        workspace, before, at_start = self.fresh(), frozenset[str](), frozenset[str]()
        while row.tried < kills:
            if finished(workspace) != at_start and self.random.random() < 0.3:
                self.kill_at_start(starts, workspace, command)
                at_start = finished(workspace)
            ending = self.run(workspace, self.commit_aim(), command)
            after = finished(workspace)
            row.fired += ending.killed
            row.tried += ending.killed and bool(after - before)
            before = after
            if ending.orphans:
                row.fail(f"{len(ending.orphans)} processes outlived the command")
            if not ending.killed:
                if ending.code:
                    row.fail("a command that went on", ending)
                self.mends(row, workspace, "kills at commits")
                workspace, before, at_start = self.fresh(), frozenset(), frozenset()
        self.mends(row, workspace, "kills at commits")

    def kill_at_start(self, row: Row, workspace: Path, command: str) -> None:
        """Kill a command some moment after it began; something was finished since the kill before."""
        ending = self.run(workspace, Aim("start-up", seconds=self.random.uniform(*START_SECONDS)), command)
        row.fired += ending.killed
        row.tried += ending.killed
        if not ending.killed and ending.code:
            row.fail("a command that was to be killed", ending)
        if ending.orphans:
            row.fail(f"{len(ending.orphans)} processes outlived the command")

    def commit_aim(self) -> Aim:
        """Return a commit of the cache, of which some come before it: something new is finished at each kill."""
        when = self.random.choice(("before", "after"))
        return Aim("commit", "os.rename", r"/stages/(?!.*\.tmp-[^/]*$)", self.random.randint(2, 9), when)

    def publish_aims(self) -> Iterator[Aim]:
        """Yield places in publishing: its drafts, its links and renames, its locks, the report."""
        while True:
            when = self.random.choice(("before", "after"))
            event, path, most = self.random.choice(
                (
                    ("os.rename", r"/datasets/", 24),
                    ("os.rename", r"/datasets/pets/v0001$", 1),
                    ("os.link", r"/datasets/", 5),
                    ("open", r"/datasets/.*\.tmp-", 30),
                    ("os.rename", r"/dataset\.json$", 1),
                    ("os.rename", r"/report\.html$", 1),
                    ("os.remove", r"/locks/", 1),
                )
            )
            yield Aim("publish", event, path, self.random.randint(1, most), when)

    def kills_in_publishing(self, kills: int, changed: bool = False) -> None:
        """Kill in publishing, where everything before it is done; then run again, with other sources or the same."""
        row = self.tally.row("SIGKILL in publishing" + (", then other sources" if changed else ""))
        aims = self.publish_aims()
        while row.tried < kills:
            aim, workspace = next(aims), self.fresh(self.unpublished)
            before = finished(workspace)
            ending = self.run(workspace, aim)
            row.fired += ending.killed
            row.tried += ending.killed and finished(workspace) != before
            if not ending.killed:
                shutil.rmtree(workspace)
                continue
            if changed:
                self.changed_since(row, workspace, f"a kill {aim.when} {aim.event} {aim.path} {aim.nth}")
            else:
                self.mends(row, workspace, f"a kill {aim.when} {aim.event} {aim.path} {aim.nth}")

    def changed_since(self, row: Row, workspace: Path, what: str) -> None:
        """Go on with other sources than those that the killed command saw."""
        recipe, expected = self.other()
        self.mends(row, workspace, what, recipe, expected)
        inputs.draw(self.sources)
        (self.sources / "cats/900.jpg").unlink()

    def other(self) -> tuple[Path, Any]:
        """Change the sources and return the recipe with what a new workspace makes of them."""
        inputs.change(self.sources)
        workspace = self.fresh()
        ending = dinoflow("pack", self.recipe, "--workspace", workspace)
        assert ending.code == 0, ending.text
        expected = published(str(workspace))
        shutil.rmtree(workspace)
        return self.recipe, expected

    def changes_at_every_stage(self, rounds: int = 1) -> None:
        """Kill in each stage, change the sources, and run again: as if they had always been so."""
        row = self.tally.row("SIGKILL in each stage, then other sources")
        for stage in STAGES * rounds:
            workspace = self.fresh()
            ending = self.run(
                workspace, Aim(stage, "os.rename", rf"/stages/{stage}/(?!.*\.tmp-[^/]*$).*parquet", 1, "after")
            )
            row.fired += ending.killed
            row.tried += ending.killed
            if not ending.killed:
                row.fail(f"the kill in {stage}", ending)
            self.changed_since(row, workspace, f"a kill in {stage}")
