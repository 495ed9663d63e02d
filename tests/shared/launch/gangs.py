"""Gang stages for test_launch: found by name in the processes that it starts."""

import os
import signal
import time
from pathlib import Path
from typing import Any

from shared.dataset_version import Published
from shared.errors import UserError, WorkFailedError
from shared.launch.progress import ProgressEvent, emit
from shared.params import Compute, Params
from shared.stage import stage


class GangParams(Params):
    how: str = "well"


@stage(shape="gang")
def act(dataset: Published, *, params: GangParams, compute: Compute, workspace: Path, run: str) -> dict[str, Any]:
    """End well, by mistake, with a crash, by a kill at first, or never; or tell how far it is."""
    print(f"{params.how} on {dataset.name}", flush=True)
    with (workspace / "runs" / run / "tries").open("a") as tries_made:
        tries_made.write(os.environ.get("RANK", "0"))
    (workspace / "runs" / run / "pid").write_text(str(os.getpid()))
    if params.how == "mistaken":
        raise UserError("act needs a better request.")
    if params.how == "crashing":
        raise RuntimeError("boom")
    if params.how == "eventful" and os.environ.get("RANK", "0") == "0":
        emit(ProgressEvent("act", 1, 9, "steps", rate=2.0, fields={"loss": 0.5}))
        print("step 40 is gone: training has dropped its checkpoint", flush=True)
        print("left open", end="")
        emit(ProgressEvent("act", 2, 9, "steps", rate=2.0, fields={"loss": 0.5}))
    if params.how == "lost" and not (tries := workspace / "runs" / run / "lost").exists():
        tries.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if params.how == "failing":
        raise WorkFailedError("act fails whenever it is tried.")
    if params.how == "endless":
        time.sleep(100)
    return {"how": params.how, "world": os.environ.get("WORLD_SIZE", "1")}
