"""Finds where this command stands, by the launcher that a recipe names."""

import os
from collections.abc import Mapping

from shared.errors import RecipeError
from shared.launch.cluster.kubernetes import place_in_environment
from shared.launch.cluster.place import Machine, Place
from shared.launch.cluster.slurm import place_in_slurm
from shared.params import Compute

OTHERS = {"SLURM_STEP_NUM_TASKS": "slurm", "PET_NNODES": "env"}
"""Variables that say that this command is one of several, and the launcher that heeds them."""


def find_place(compute: Compute, environment: Mapping[str, str] = os.environ) -> Place:
    """Return where this command stands. Raises RecipeError, naming a variable that the launcher needs and lacks."""
    if compute.launcher == "slurm":
        return place_in_slurm(environment)
    if compute.launcher == "env":
        return place_in_environment(environment, compute.nodes)
    if compute.launcher == "torchrun":
        number = environment.get("PET_NODE_RANK", "")
        return Machine(int(number) if number.isdigit() else None, compute.nodes, compute.rendezvous)
    return Machine()


def check_alone(compute: Compute, environment: Mapping[str, str] = os.environ) -> None:
    """Raise RecipeError where launcher local is one of several commands: each would train the whole run by itself."""
    if compute.launcher != "local":
        return
    for name, launcher in OTHERS.items():
        if environment.get(name) not in (None, "", "1", "1:1"):
            raise RecipeError(
                f"compute.launcher local needs this command to be the only one, got {name}={environment[name]}. "
                f"Set compute.launcher={launcher} to train with all of them as one run."
            )


def check_one_machine(compute: Compute, command: str) -> None:
    """Raise RecipeError where a command that also curates is one of several, or would be given several machines."""
    check_alone(compute)
    place = find_place(compute)
    if place.several:
        raise RecipeError(
            f"dinoflow {command} also curates, which takes one command alone, got {place.title} of several. "
            "Run `dinoflow curate` first, on one machine, and then `dinoflow pretrain` on all of them."
        )
