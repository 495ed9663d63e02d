"""A place in a job of Kubernetes, or of whatever else sets PyTorch's variables: TrainJob, JobSet, an indexed Job."""

from collections.abc import Mapping

from shared.launch.cluster.place import Machine, Place, Rank
from shared.launch.cluster.variables import Variables

REMEDY = (
    "A TrainJob sets PET_NNODES, PET_NODE_RANK and PET_MASTER_ADDR; an indexed Job sets JOB_COMPLETION_INDEX, and its "
    "manifest MASTER_ADDR and PET_NNODES; other launchers RANK, WORLD_SIZE and MASTER_ADDR. Or set "
    "compute.launcher=local."
)
PORT = 29500
"""torchrun's own default."""


def place_in_environment(environment: Mapping[str, str], nodes: int) -> Place:
    """Return where this command stands: a machine where PET_* or an index of a Job tell, else a single process.

    `nodes` is the recipe's number of machines. Raises RecipeError, naming the variable that is missing.
    """
    read = Variables("env", environment, REMEDY)
    if not (read.has("PET_NNODES") or read.has("JOB_COMPLETION_INDEX")):
        return _rank(read)
    count = nodes or _least(read.text("PET_NNODES"))
    processes = environment.get("PET_NPROC_PER_NODE", "")
    if count == 1:
        return Machine(processes=processes)
    number = read.number("PET_NODE_RANK", "JOB_COMPLETION_INDEX")
    host = read.text("PET_MASTER_ADDR", "MASTER_ADDR")
    return Machine(number, count, f"{host}:{_port(environment)}", processes)


def _rank(read: Variables) -> Rank:
    rank, world = read.number("RANK"), read.number("WORLD_SIZE")
    local_rank = read.number("LOCAL_RANK") if read.has("LOCAL_RANK") else 0
    local_world = read.number("LOCAL_WORLD_SIZE") if read.has("LOCAL_WORLD_SIZE") else 1
    return Rank(rank, world, local_rank, local_world, read.text("MASTER_ADDR"), _port(read.environment))


def _port(environment: Mapping[str, str]) -> int:
    return int(environment.get("PET_MASTER_PORT") or environment.get("MASTER_PORT") or PORT)


def _least(nodes: str) -> int:
    """Return the number of machines, of a range such as 2:4 the smaller."""
    return int(nodes.partition(":")[0])
