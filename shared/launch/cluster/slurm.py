"""A place in a SLURM step: `srun dinoflow pretrain`, with one task on each machine or one for each process.

All meet at the first host of the step. MASTER_ADDR and MASTER_PORT name another address of that, such as a faster one.
"""

import re
from collections.abc import Mapping

from shared.errors import RecipeError
from shared.launch.cluster.place import Machine, Place, Rank
from shared.launch.cluster.variables import Variables

REMEDY = "Start it with srun inside an allocation, or set compute.launcher=local."
PORTS = range(15000, 25000)
"""Where the machines of a job meet: below the ports that Linux gives out by itself."""


def place_in_slurm(environment: Mapping[str, str]) -> Place:
    """Return where this task stands. Raises RecipeError, naming what is missing, outside of a step."""
    read = Variables("slurm", environment, REMEDY)
    job, machines = read.number("SLURM_JOB_ID"), read.number("SLURM_NNODES", "SLURM_JOB_NUM_NODES")
    if not read.has("SLURM_STEP_ID"):
        if machines > 1:
            raise RecipeError(
                f"compute.launcher slurm needs a task on each of the {machines} machines, got no SLURM_STEP_ID: this "
                "is the batch script, which runs on the first alone. Start it as `srun dinoflow pretrain …`."
            )
        return Machine(processes=_gpus(read))
    host = environment.get("MASTER_ADDR") or first_host(read.text("SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST"))
    port = int(environment.get("MASTER_PORT") or PORTS[job % len(PORTS)])
    tasks = read.number("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS")
    if tasks == machines:
        return Machine(read.number("SLURM_NODEID"), machines, f"{host}:{port}", _gpus(read))
    local_world = read.text("SLURM_STEP_TASKS_PER_NODE", "SLURM_TASKS_PER_NODE")
    return Rank(
        rank=read.number("SLURM_PROCID"),
        world=tasks,
        local_rank=read.number("SLURM_LOCALID"),
        local_world=tasks_on_node(local_world, read.number("SLURM_NODEID")),
        host=host,
        port=port,
    )


def _gpus(read: Variables) -> str:
    return "gpu" if read.has("SLURM_GPUS_ON_NODE") and read.text("SLURM_GPUS_ON_NODE") != "0" else ""


def first_host(nodes: str) -> str:
    """Return the first of a list such as `gpu[03-06,09],login1`."""
    first = re.split(r",(?![^\[]*\])", nodes)[0]
    return re.sub(r"\[([^\],-]+)[^\]]*\]", r"\1", first)


def tasks_on_node(tasks: str, node: int) -> int:
    """Return how many tasks a node has, of a list such as `2(x3),1`."""
    counts: list[int] = []
    for part in tasks.split(","):
        count, _, times = part.partition("(x")
        counts += [int(count)] * int(times.rstrip(")") or 1)
    return counts[node]
