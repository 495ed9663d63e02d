"""The command that runs a gang's processes here: a worker alone, or torchrun, which starts several, and again.

torchrun's own rendezvous (c10d) lets machines come and go: where one is lost, the others wait for another in its place,
and all processes go on from the last checkpoint.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from shared.launch.cluster.place import Machine, Place, Rank, address_towards
from shared.launch.gpus import visible_gpus
from shared.launch.supervisor import GRACE_SECONDS
from shared.params import Compute

JOIN_SECONDS = 1800
"""How long machines wait for each other: one may have an image to fetch, or wait for a replacement."""
STORE_SECONDS = 300
"""How long a machine waits for an answer of the first one, which may come up after it."""
OF_A_GANG = {*Rank.VARIABLES, "TORCHELASTIC_RUN_ID"}
"""What torch reads of its place: ours to say, whatever launched this command."""


def command_of(job: Path, place: Place, compute: Compute) -> list[str]:
    """Return the command that does a job's work at this place."""
    worker = ["-m", "shared.launch.worker", str(job)]
    if isinstance(place, Rank) or (not place.several and processes_of(place, compute) == "1"):
        return [sys.executable, *worker]
    return [sys.executable, "-m", "torch.distributed.run", *_torchrun(job, place, compute), *worker]


def processes_of(place: Machine, compute: Compute) -> str:
    """Return what torchrun takes: a number, or `gpu` for one process on each."""
    if compute.processes:
        return str(compute.processes)
    if compute.device == "cpu":
        return "1"
    return place.processes or ("gpu" if Path("/dev/nvidia0").exists() else "1")


def _torchrun(job: Path, place: Machine, compute: Compute) -> list[str]:
    settings = {
        "nproc-per-node": processes_of(place, compute),
        "max-restarts": str(compute.max_restarts),
        "shutdown-timeout": f"{GRACE_SECONDS:.0f}",
    }
    if not place.several:
        return ["--standalone", *(word for name, value in settings.items() for word in (f"--{name}", value))]
    conf = {"join_timeout": JOIN_SECONDS, "read_timeout": STORE_SECONDS}
    if place.number is not None:
        conf["is_host"] = int(place.leads)
    settings |= {
        "nnodes": str(place.count),
        "rdzv-backend": "c10d",
        "rdzv-endpoint": place.meeting,
        "rdzv-id": job.parent.name,
        "rdzv-conf": ",".join(f"{name}={value}" for name, value in conf.items()),
    }
    if address := address_towards(place.meeting):
        settings["local-addr"] = address
    return [word for name, value in settings.items() for word in (f"--{name}", value)]


def environment_of(place: Place, compute: Compute, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment of that command: what says of a gang is of this one. torchrun would read PET_* itself."""
    kept = {name: value for name, value in environment.items() if name not in OF_A_GANG and name[:4] != "PET_"}
    kept["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"  # or a machine that replaces another seeks rank 0 where it was
    return kept | (place.environment(len(visible_gpus(compute.device))) if isinstance(place, Rank) else {})
