"""The folder that a gang works in: the workspace itself, or, for one in an object store, a mirror of a run.

Checkpoints are not for the mirror: the ranks bring those that they need and send those that they make, each before
the next. What a killed command leaves on this disk is never needed again.
"""

import fcntl
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from shared.storage import Store
from shared.storage.transfer import ChangedFiles, bring

APART = ("checkpoints", "exports", "pictures", "replay", "tensorboard")
"""Folders of a run that nothing goes on from, but for checkpoints."""
LOG = ".log"
PREFIX, HELD = "dinoflow-mirror-", ".tmp-held"
"""How mirrors are called, and the file in each that is locked while it is in use."""


@contextmanager
def mirrored(workspace: Store, run: str) -> Iterator[tuple[Path, Callable[[], None]]]:
    """Give the local folder to work in, and what sends the gang's own log home; in the end all is sent."""
    if workspace.local:
        yield Path(workspace.path()), lambda: None
        return
    _sweep()
    with tempfile.TemporaryDirectory(prefix=PREFIX) as folder, open(f"{folder}/{HELD}", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        mirror = Mirror(workspace, Path(folder))
        for branch in (f"runs/{run}", f"evaluations/{run}"):
            mirror.bring(branch)
        try:
            yield mirror.home, mirror.send_logs
        finally:
            mirror.send_all()


def _sweep() -> None:
    """Delete the mirrors of commands that were killed: the system lets go of a lock when its holder dies."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError), open(folder / HELD) as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)


class Mirror:
    """A local folder with some files of a workspace; knows which of them have changed."""

    def __init__(self, workspace: Store, home: Path) -> None:
        self.workspace, self.home = workspace, home
        self.files = ChangedFiles(home, workspace)

    def bring(self, branch: str) -> None:
        """Copy what a rerun goes on from. It is not sent back as it is: its writer may have gone on."""
        for name in self.workspace.names(branch):
            path = f"{branch}/{name}"
            if name in APART:
                continue
            if self.workspace.fs.isdir(self.workspace.path(path)):
                self.bring(path)
            else:
                bring(self.workspace, path, self.home / path)
                self.files.keep(self.home / path)

    def send_logs(self) -> None:
        """Send what the command itself writes while the gang works; the rest is the gang's to send."""
        self._send(file for file in self.home.rglob(f"*{LOG}"))

    def send_all(self) -> None:
        """Send everything that has changed, when the gang has ended."""
        self._send(file for file in self.home.rglob("*") if "checkpoints" not in file.relative_to(self.home).parts)

    def _send(self, files: Iterator[Path]) -> None:
        for file in files:
            self.files.send(file)
