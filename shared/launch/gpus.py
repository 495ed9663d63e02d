"""Which GPUs there are, and which process sees which: one for each, so that a GPU holds one copy of a network."""

import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from itertools import takewhile
from pathlib import Path

VISIBLE = "CUDA_VISIBLE_DEVICES"
"""The environment's word for which GPUs a process sees; CUDA reads it once, at its first use."""
CORES = "DINOFLOW_CORES"
"""The environment's word for how many cores a process may keep busy; 1 where it is not set."""


def visible_gpus(device: str, environment: Mapping[str, str] = os.environ, devices: str = "/dev") -> tuple[str, ...]:
    """Return the GPUs of this machine that may be used, as CUDA_VISIBLE_DEVICES names them; none for device cpu."""
    if device == "cpu" or version("torch").endswith("+cpu"):
        return ()
    if VISIBLE in environment:
        return named_gpus(environment)
    return tuple(str(number) for number in range(len(list(Path(devices).glob("nvidia[0-9]*")))))


def named_gpus(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Return the GPUs that CUDA_VISIBLE_DEVICES names: those that a process of a stage was given, as it was started."""
    named = (name.strip() for name in environment.get(VISIBLE, "").split(","))
    return tuple(takewhile(lambda name: name and not name.startswith("-"), named))


def gpu_environments(gpus: Sequence[str], cores: int) -> list[dict[str, str]]:
    """Return the environment of each process of a gang with one process for each GPU.

    Each sees its own GPU alone, as the first, and has its share of the cores to decode images for it.
    """
    return [{VISIBLE: gpu, CORES: str(max(1, cores // len(gpus)))} for gpu in gpus]


def cores_of_this_process(environment: Mapping[str, str] = os.environ) -> int:
    """Return how many cores this process may keep busy."""
    return int(environment.get(CORES, "1"))
