"""Brings what a run writes home to the object store that it belongs to, beside the training and one after the other.

A checkpoint is sent with the logs up to its step: its tensors, which are read back and held against their checksum,
and only then checkpoint.json, without which nobody takes it for one. When training saves again, that is done.
"""

import json
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from shared.storage import Store
from shared.storage.transfer import ChangedFiles, send
from training.runs.checkpoint_files import ABOUT, STATE

LOGS = ("config.json", "bad_steps.jsonl", "views.png", "frozen", "tensorboard", "metrics.jsonl")
"""What training writes beside checkpoints."""
LOG_SECONDS = 60.0
"""Whoever follows a run sees it go on as often."""


class Uploads:
    """One thread that sends a run's files; whoever gives it work learns of the failure of what it was given before."""

    def __init__(self, folder: Path, home: Store) -> None:
        self.folder, self.home = folder, home
        self.thread = ThreadPoolExecutor(1)
        self.pending: Future[None] | None = None
        self.files = ChangedFiles(folder, home)
        self.begun = time.monotonic()

    def settle(self) -> None:
        """Wait until all is home. Raises WorkFailedError where the store refuses."""
        if self.pending:
            pending, self.pending = self.pending, None
            pending.result()

    def checkpoint(self, name: str, kept: set[str]) -> None:
        """Send a checkpoint, then delete in the store all but these."""
        self._submit(lambda: self._checkpoint(name, kept))

    def logs(self) -> None:
        """Send the logs, if it is time and nothing else is on its way."""
        if time.monotonic() - self.begun > LOG_SECONDS and (self.pending is None or self.pending.done()):
            self._submit(self._logs)

    def _submit(self, work: Callable[[], None]) -> None:
        self.settle()
        self.begun = time.monotonic()
        self.pending = self.thread.submit(work)

    def _checkpoint(self, name: str, kept: set[str]) -> None:
        self._logs()
        source, target = self.folder / "checkpoints" / name, f"checkpoints/{name}"
        self.home.delete(f"{target}/{ABOUT}")  # of a damaged one, which a resume has passed over
        send(self.home, source / STATE, f"{target}/{STATE}", json.loads((source / ABOUT).read_text())["sha256"])
        send(self.home, source / ABOUT, f"{target}/{ABOUT}")
        for old in self.home.names("checkpoints"):
            if old not in kept:
                self.home.delete(f"checkpoints/{old}/{ABOUT}")
                self.home.delete(f"checkpoints/{old}")

    def _logs(self) -> None:
        for name in LOGS:
            path = self.folder / name
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                self.files.send(file)
