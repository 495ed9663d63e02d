"""Params say what a result depends on; Compute says where and how wide, Resources what work needs there.

Only Params enter a fingerprint.
"""

import hashlib
import json
import os
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Settings(BaseModel):
    """Frozen and closed: an unknown key is refused; the literal under a field is its help everywhere."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Params(Settings):
    """What the result of a stage depends on, beside its inputs."""

    former_names: ClassVar[Mapping[str, str]] = {}
    """Field → the name that it used to have, which is still read."""

    @model_validator(mode="before")
    @classmethod
    def _read_former_names(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        for name, former in cls.former_names.items():
            if name in given and former in given:
                raise ValueError(
                    f"{former} is the former name of {name}, got both: {given[former]!r} and {given[name]!r}; "
                    f"leave out {former}"
                )
        return _renamed(given, cls)

    def identity(self) -> dict[str, Any]:
        """Return the values that differ from their defaults, and every `kind`.

        A new field whose default keeps today's result therefore keeps today's names. `kind` always counts,
        or two plug-ins with untouched fields would look alike. A renamed field goes by its former name: what
        was made before is found again.
        """
        fields = type(self).model_fields
        return {
            self.former_names.get(name, name): _plain(value)
            for name, value in self
            if name == "kind" or value != fields[name].get_default(call_default_factory=True)
        }

    @property
    def idle(self) -> bool:
        """Whether these parameters ask for nothing, so that the stage's table is empty."""
        return False


class ExchangeParams(Params):
    """Params of a stage that gathers rows into buckets."""

    @property
    def bucket_rows(self) -> int:
        """How many rows a bucket may hold on average."""
        raise NotImplementedError


def _plain(value: Any) -> Any:
    if isinstance(value, Params):
        return value.identity()
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def _renamed(values: dict[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    """Return the values of one model with present names in the place of former ones, unless both are there."""
    present = {former: name for name, former in getattr(model, "former_names", {}).items() if name not in values}
    return {present.get(key, key): value for key, value in values.items()}


def with_present_names(values: Any, model: type[BaseModel]) -> Any:
    """Return raw values of a model, at any depth, with former names replaced: so one setting overrides another."""
    if isinstance(values, list | tuple):
        return [with_present_names(item, model) for item in values]
    if not isinstance(values, dict):
        return values
    renamed = _renamed(values, model)
    for name, field in model.model_fields.items():
        for inner in models_in(field.annotation) if name in renamed else ():
            renamed[name] = with_present_names(renamed[name], inner)
    return renamed


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the models that an annotation names, inside lists and unions too."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if typing.get_origin(annotation) is not None or isinstance(annotation, types.UnionType):
        return [model for argument in typing.get_args(annotation) for model in models_in(argument)]
    return []


def fingerprint(*facts: Any) -> str:
    """Return 20 hex digits (80 bits) that name the facts: anything that JSON can write, in a fixed order."""
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.blake2b(text.encode(), digest_size=10).hexdigest()


def usable_cores() -> int:
    """Return how many cores this process may use: a cluster gives a job a share of its machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Compute(Settings):
    """Where the work runs and how wide; never changes a result."""

    model_config = ConfigDict(title="Compute")

    runner: Literal["threads", "dask", "ray"] = "threads"
    """What runs the parts of curation: threads = processes of this machine; dask and ray = workers of a cluster, which
    need `pip install 'dinoflow[dask]'` or `dinoflow[ray]`. The result is the same to the byte."""
    address: str = ""
    """Where a Dask scheduler (tcp://host:8786) or a Ray cluster (host:6379) is, whose workers reach the workspace and
    the sources; "" = a cluster on this machine, started and ended with the command."""
    workers: int = Field(default=0, ge=0)
    """Processes for curation and data loading; 0 = one for each core."""
    parts_per_task: int = Field(default=0, ge=0)
    """Parts that one Prefect task run works through; 0 = as many as keep a stage below 500 task runs."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where tensors live; auto = cuda when a GPU is there."""
    augment: Literal["auto", "workers", "device"] = "auto"
    """Where the colours of training crops are changed; auto = on a GPU where there is one, else in the workers."""
    compile: bool = False
    """Make kernels for the blocks of the model in training: faster steps on a GPU, minutes of waiting at the start."""
    accumulate: int = Field(default=1, ge=1)
    """Gradient accumulation: micro-batches in which a process works through its share; less memory, same gradient."""
    processes: int = Field(default=0, ge=0)
    """Training processes on each machine, started by torchrun; 0 = one for each GPU, or one on a CPU."""
    launcher: Literal["local", "torchrun", "slurm", "env"] = "local"
    """How the processes of a training find each other. local = one machine, whose processes this command starts;
    torchrun = this command on every machine, which meet at `rendezvous`; slurm = under srun, by SLURM_*; env = by what
    Kubernetes sets: MASTER_ADDR with PET_*, with JOB_COMPLETION_INDEX, or with RANK and WORLD_SIZE."""
    nodes: int = Field(default=0, ge=0)
    """Machines of a training, where its launcher does not know: torchrun, and env without PET_NNODES; 0 = it does."""
    rendezvous: str = Field(default="", pattern=r"^(\[?[\w.:-]+\]?:\d+)?$")
    """Where the machines of a training meet, for launcher torchrun: host:port of the first one, free there."""
    max_restarts: int = Field(default=3, ge=0)
    """How often a training whose process was lost is started again, from its last good checkpoint."""
    stuck_after: float = Field(default=600, gt=0)
    """Seconds that a step of several processes, or a checkpoint, may take; what takes longer ends, and says whom it
    waited for."""
    follow: bool = False
    """Also score checkpoints while training goes on, in a task beside it: at low priority, and on the CPU unless
    device is cuda."""

    @model_validator(mode="after")
    def _an_address_needs_a_runner_that_has_one(self) -> Self:
        if self.address and self.runner == "threads":
            raise ValueError(f"address needs runner to be dask or ray, got {self.runner} with {self.address!r}")
        return self

    @model_validator(mode="after")
    def _torchrun_needs_to_know_who_meets_where(self) -> Self:
        if self.launcher == "torchrun" and not (self.nodes and self.rendezvous):
            raise ValueError(
                f"launcher torchrun needs nodes and rendezvous, such as 4 and node0:29500, got {self.nodes} and "
                f"{self.rendezvous!r}"
            )
        if self.launcher == "local" and self.nodes > 1:
            raise ValueError(f"nodes needs a launcher that spans machines, got {self.nodes} with local")
        return self

    @model_validator(mode="after")
    def _several_processes_need_gloo_or_gpus(self) -> Self:
        if self.processes > 64:
            raise ValueError(f"processes is per machine and must be at most 64, got {self.processes}")
        return self

    def colours_on_device(self, gpu: bool) -> bool:
        """Tell whether the colours of training crops are changed where the model is, not in the workers."""
        return self.augment == "device" or (self.augment == "auto" and gpu)

    @property
    def width(self) -> int:
        """The number of worker processes, resolved on this machine."""
        return self.workers or usable_cores()


class Resources(NamedTuple):
    """What one piece of work needs of the process that does it: declared by a stage, met by whatever runs it."""

    gpu: bool = False
    """A GPU to itself, wherever there is one."""
    memory: float = 0
    """GiB; a worker that has less does such work one piece at a time."""

    def joined(self, other: "Resources") -> "Resources":
        """Return what work needs that needs both."""
        return Resources(self.gpu or other.gpu, max(self.memory, other.memory))


NOTHING = Resources()


@dataclass(frozen=True)
class Needing:
    """A function of a piece of work inside a stage that needs more than the stage's other work."""

    fn: Callable[[Any], Any]
    needs: Resources

    def __call__(self, item: Any) -> Any:
        """Do one piece."""
        return self.fn(item)

    @property
    def __name__(self) -> str:
        """What the work is called."""
        return self.fn.__name__
