"""Training under SIGKILL: at checkpoints, between them, while it starts; with one rank and two; and at uploads."""

import json
import os
import random
import shutil
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from threading import Thread
from time import sleep
from typing import Any

from tests.benchmarks.campaign import inputs
from tests.benchmarks.campaign.command import NOWHERE, Aim, Ending, dinoflow, end
from tests.benchmarks.campaign.results import steps, trained
from tests.benchmarks.campaign.tally import Row, Tally
from tests.object_store import serving

AIMS = (
    ("os.mkdir", r"/checkpoints/\.tmp-step-", 3),
    ("os.rename", r"/checkpoints/step-\d+$", 3),
    ("open", r"/checkpoints/.*checkpoint\.json$", 3),
    ("shutil.rmtree", r"/checkpoints/\.tmp-step-", 5),
)
REQUESTS = (("PUT", "state.pt", 3), ("PUT", "checkpoint.json", 3), ("PUT", "metrics.jsonl", 3), ("POST", "", 20))
"""Method, part of the path, and how many come before at most. A POST deletes many objects."""


class Training:
    """A published dataset, one recipe, and what an undisturbed run on it comes to."""

    def __init__(self, home: Path, tally: Tally, seed: int, processes: int = 1) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home, self.tally, self.random = home, tally, random.Random(seed)
        self.numbers = count()
        self.title = f"{processes} rank{'s' if processes > 1 else ''}"
        self.recipe = inputs.recipe(
            home / f"{processes}.json", str(inputs.draw(home / "sources")), steps=45, processes=processes
        )
        self.dataset = home / f"dataset{processes}"
        assert dinoflow("pack", self.recipe, "--workspace", self.dataset).code == 0
        self.whole = self.fresh()
        ending = self.run(self.whole)
        assert ending.code == 0, ending.text
        self.expected = trained(str(self.whole))

    def fresh(self) -> Path:
        """Return a new workspace with the dataset alone."""
        return shutil.copytree(self.dataset, self.home / f"{self.title.replace(' ', '')}-{next(self.numbers)}")

    def run(self, workspace: Path | str, aim: Aim = NOWHERE, **more: Any) -> Ending:
        """Train with a kill at the aim."""
        return dinoflow("pretrain", self.recipe, "--workspace", workspace, aim=aim, **more)

    def kills(self, number: int) -> None:
        """Kill at checkpoints, between steps and at start-up until so many kills count; each run ends undisturbed."""
        rows = {name: self.tally.row(f"SIGKILL {name}, {self.title}") for name in ("at a checkpoint", "between steps")}
        starts = self.tally.row(f"SIGKILL at start-up, {self.title}")
        workspace, before, at_start = self.fresh(), self.state(self.dataset), self.state(self.dataset)
        while sum(row.tried for row in rows.values()) < number:
            if self.state(workspace) != at_start and self.random.random() < 0.2:
                ending = self.run(workspace, Aim("start-up", seconds=self.random.uniform(0.2, 4)))
                self.count(starts, ending, True)
                at_start = self.state(workspace)
            name = self.random.choice(list(rows))
            ending = self.killed_between(workspace) if name == "between steps" else self.run(workspace, self.aim())
            after = self.state(workspace)
            self.count(rows[name], ending, after != before)
            before = after
            if not ending.killed:
                workspace, before, at_start = self.ended(rows[name], workspace, ending)
        self.ended(rows["at a checkpoint"], workspace, self.run(workspace))

    def ended(self, row: Row, workspace: Path, ending: Ending) -> tuple[Path, Any, Any]:
        """Hold a run that came to its end against the undisturbed one; return a new workspace to go on in."""
        if ending.code or not ending.clear:
            row.fail("a run that goes on", ending)
        elif trained(str(workspace)) != self.expected:
            row.lose("weights or losses are not equal to the bit")
        shutil.rmtree(workspace)
        return self.fresh(), self.state(self.dataset), self.state(self.dataset)

    def count(self, row: Row, ending: Ending, progress: bool) -> None:
        """Count a kill."""
        row.fired += ending.killed
        row.tried += ending.killed and progress
        if ending.orphans:
            row.fail(f"{len(ending.orphans)} processes outlived the command")

    def state(self, workspace: Path) -> tuple[int, list[str]]:
        """Return how far a run is: its steps written down, and its checkpoints."""
        return steps(workspace), sorted(path.name for path in workspace.glob("runs/*/checkpoints/step-*"))

    def aim(self) -> Aim:
        """Return a place in the saving of one of the next checkpoints."""
        event, path, most = self.random.choice(AIMS)
        when = self.random.choice(("before", "after"))
        return Aim("checkpoint", event, path, self.random.randint(2, most), when)

    def killed_between(self, workspace: Path) -> Ending:
        """Kill when some more steps have been written down."""
        begun, more = steps(workspace), self.random.randint(4, 12)
        ended: list[bool] = []

        def watch(pid: int) -> None:
            while not ended and steps(workspace) < begun + more:
                sleep(0.01)
            if not ended:
                end(pid)

        ending = self.run(workspace, started=lambda pid: Thread(target=watch, args=(pid,), daemon=True).start())
        ended.append(True)
        return ending


def kills_at_uploads(home: Path, tally: Tally, number: int, seed: int) -> None:
    """Kill the whole pipeline whose only disk is an object store at puts and deletions of a run's checkpoints."""
    row, chance = tally.row("SIGKILL at an upload, `run` in an object store"), random.Random(seed)
    wanted: list[Any] = []
    command: list[int] = []

    def watch(method: str, path: str, done: bool) -> None:
        if wanted and command and [method, done] == wanted[:2] and wanted[2] in path:
            wanted[3] -= 1
            if not wanted[3]:
                end(command[0])

    with ExitStack() as stack:
        settings = stack.enter_context(serving(watch))
        for name, value in settings.items():
            os.environ[name] = value
        import fsspec

        fs = fsspec.filesystem("s3")
        fs.mkdir("images")
        for name, data in inputs.files().items():
            fs.pipe_file(f"images/raw/{name}", data)
        recipe = inputs.recipe(home / "stored.json", "s3://images/raw", steps=45)
        whole = json.loads(recipe.read_text())
        whole["evaluation"] |= {"pictures": 0, "baselines": False, "evaluations": [{"kind": "knn"}]}
        recipe.write_text(json.dumps(whole))
        assert dinoflow("run", recipe, "--workspace", "s3://images/whole").code == 0
        expected = trained("s3://images/whole")
        rounds = count()
        workspace, before = f"s3://images/w{next(rounds)}", None
        while row.tried < number:
            (method, what, most), done = chance.choice(REQUESTS), chance.choice((True, False))
            wanted[:] = [method, done, what, chance.randint(1, most)]
            command.clear()
            ending = dinoflow("run", recipe, "--workspace", workspace, started=command.append)
            command.clear()
            after = _stored(fs, workspace)
            row.fired += ending.killed
            row.tried += ending.killed and after != before
            before = after
            if ending.orphans:
                row.fail(f"{len(ending.orphans)} processes outlived the command")
            if not ending.killed or row.tried == number:
                ending = dinoflow("run", recipe, "--workspace", workspace)
                if ending.code or not ending.clear:
                    row.fail("the rest of a run", ending)
                elif trained(workspace) != expected:
                    row.lose("weights or losses are not equal to the bit")
                workspace, before = f"s3://images/w{next(rounds)}", None


def _stored(fs: Any, workspace: str) -> list[str]:
    fs.invalidate_cache()
    return sorted(path for path in fs.find(f"{workspace}/runs") if "/checkpoints/" in path)
