"""Gang stages for test_launch: found by name in the processes that it starts."""

import os
import time
from pathlib import Path
from typing import Any

from shared.dataset_version import Published
from shared.errors import UserError
from shared.launch.progress import ProgressEvent, emit
from shared.params import Compute, Params
from shared.stage import stage


class GangParams(Params):
    how: str = "well"


@stage(shape="gang")
def act(dataset: Published, *, params: GangParams, compute: Compute, workspace: Path, run: str) -> dict[str, Any]:
    """End well, by mistake, with a crash, or never; or tell how far it is."""
    print(f"{params.how} on {dataset.name}", flush=True)
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
    if params.how == "endless":
        time.sleep(100)
    return {"how": params.how, "world": os.environ.get("WORLD_SIZE", "1")}
