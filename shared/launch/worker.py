"""One process of a gang: `python -m shared.launch.worker JOB.json`, alone or as a rank of torchrun.

The job file names the stage, its params, the dataset and where to write. Ranks know torch.distributed and
nothing of Prefect; who starts them knows a command line and nothing of ranks.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from shared.dataset_version import open_version
from shared.errors import StoppedError, UserError, WorkFailedError
from shared.launch.stop_signals import REQUEUE, die_with_parent
from shared.params import Compute, Settings
from shared.stage import load
from shared.storage import Store
from shared.storage.checked_json import json_text


class Job(Settings):
    """What a gang works on."""

    stage: str
    params: dict[str, Any]
    compute: Compute
    source: str
    """Workspace (folder or URL) of the dataset."""
    dataset: str
    version: str
    workspace: str
    """Local folder to write to: the workspace itself, or a mirror of it."""
    run: str

    @property
    def folder(self) -> Path:
        """Where the run keeps its files."""
        return Path(self.workspace) / "runs" / self.run

    @property
    def result(self) -> str:
        """Name, inside the run's folder, of the file that says the stage is done."""
        return f"{self.stage.split(':')[1]}.json"

    @property
    def mistake(self) -> Path:
        """Where a rank leaves the text of a UserError: exit codes do not survive torchrun."""
        return self.folder / f"{self.stage.split(':')[1]}.mistake.txt"

    @property
    def failure(self) -> Path:
        """Where a rank leaves the text of a WorkFailedError, which would come again in another try."""
        return self.folder / f"{self.stage.split(':')[1]}.failure.txt"

    @property
    def stopped(self) -> Path:
        """Where a rank that was asked to stop says so."""
        return self.folder / f"{self.stage.split(':')[1]}.stopped.txt"


def work(path: Path) -> None:
    """Do the job; rank 0 commits what the stage returns as `<stage>.json` in the run's folder.

    Leaves with REQUEUE when it was asked to stop. torchrun starts all again whatever ended one: where that has left
    its last words, because another try would mend nothing, they leave at once with 0, and so end it.
    """
    job = Job.model_validate_json(path.read_text())
    if job.mistake.exists() or job.failure.exists():
        return
    leads = int(os.environ.get("RANK", "0")) == 0
    if leads:
        job.stopped.unlink(missing_ok=True)  # of machines that came or went
    stage = load(job.stage)
    dataset = open_version(Store(job.source), job.dataset, job.version)
    try:
        facts = stage(
            dataset,
            params=stage.params.model_validate(job.params),
            compute=job.compute,
            workspace=Path(job.workspace),
            run=job.run,
        )
    except UserError as mistake:
        job.mistake.write_text(str(mistake))
        raise SystemExit(2) from mistake
    except StoppedError as stop:
        job.stopped.write_text(str(stop))
        raise SystemExit(REQUEUE) from stop
    except WorkFailedError as failure:
        with suppress(OSError):  # of a full disk
            job.failure.write_text(str(failure))
        print(failure, flush=True)
        raise SystemExit(1) from failure
    if leads:
        Store(str(job.folder)).write(job.result, json_text(facts))


if __name__ == "__main__":
    die_with_parent()
    work(Path(sys.argv[1]))
