"""Where tensors live and who else is computing: the one place that chooses a device and joins processes."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from shared.errors import RecipeError
from shared.params import Compute

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}


@dataclass(frozen=True)
class DistributedContext:
    """One process of a gang: its device, its rank, and how many there are."""

    device: torch.device
    rank: int
    world: int

    @property
    def leads(self) -> bool:
        """Whether this process writes the files and prints."""
        return self.rank == 0

    def autocast(self, precision: str) -> AbstractContextManager[Any]:
        """Return the context in which matrix products use the precision."""
        if precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, DTYPES[precision])

    def inference_precision(self, wanted: str) -> str:
        """Return fp32, bf16, or for auto whichever of them the device has instructions for."""
        if wanted != "auto":
            return wanted
        if self.device.type == "cuda":
            return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
        able = torch.cpu.get_capabilities() if self.device.type == "cpu" else {}
        return "bf16" if able.get("avx512_bf16") or able.get("amx_bf16") else "fp32"

    def loader_workers(self, compute: Compute) -> int:
        """Return how many processes prepare images for this one."""
        return max(1, compute.width // self.world)

    def augments(self, compute: Compute) -> bool:
        """Return whether colours are changed on the device, not in the workers."""
        return compute.colours_on_device(self.device.type != "cpu")


def check_precision(device: torch.device, precision: str) -> None:
    """Raise RecipeError when the device cannot train in the precision."""
    if precision == "fp16" and device.type == "cpu":
        raise RecipeError(
            f"optim.precision fp16 needs a GPU, got the device {device}. Set training.optim.precision=bf16 or fp32."
        )
    if precision == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        name = torch.cuda.get_device_name(device)
        raise RecipeError(f"optim.precision bf16 needs an Ampere GPU or newer, got {name}. Set fp16 or fp32.")


EXACT = 1e-5
"""Relative error up to which a product counts as fp32's: ten times what that leaves, a hundredth of bf16's."""


@contextmanager
def fast_products(device: torch.device) -> Iterator[None]:
    """Send a CPU's fp32 products to oneDNN, which may be twice as fast as MKL, where they stay fp32 there.

    The one switch that does so allows bf16, and the processor decides what that comes to: with AVX-512 alone
    products stay exact, with AMX they do not. So it is kept only where a probe finds them exact.
    """
    matmul: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    before = matmul.fp32_precision
    if device.type == "cpu":
        matmul.fp32_precision = "bf16"
        a, b = torch.randn(2, 256, 256, generator=torch.Generator().manual_seed(0))
        exact = a.double() @ b.double()
        if float(((a @ b).double() - exact).abs().max() / exact.abs().max()) > EXACT:
            matmul.fp32_precision = before
    try:
        yield
    finally:
        matmul.fp32_precision = before


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]  # read where a branch is compiled
def products_in_onednn() -> bool:
    """Tell whether `fast_products` is in force."""
    matmul: Any = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    return bool(matmul.fp32_precision == "bf16")


@contextmanager
def joined(compute: Compute) -> Iterator[DistributedContext]:
    """Choose the device, join the other processes that torchrun started, and leave them at the end.

    Raises RecipeError when cuda is asked for and absent, or when ranks outnumber the GPUs.
    """
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    device = _device(compute, int(os.environ.get("LOCAL_RANK", "0")))
    together = "TORCHELASTIC_RUN_ID" in os.environ or world > 1
    if device.type == "cpu" and world > 1:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // world))
    if together:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        with fast_products(device):
            yield DistributedContext(device, rank, world)
    finally:
        if together:
            dist.destroy_process_group()


def _device(compute: Compute, local_rank: int) -> torch.device:
    gpus = torch.cuda.device_count() if compute.device != "cpu" and torch.cuda.is_available() else 0
    if compute.device == "cuda" and not gpus:
        raise RecipeError("compute.device cuda needs an NVIDIA GPU, got a machine without one. Set it to auto.")
    if not gpus:
        return torch.device("cpu")
    if local_rank >= gpus:
        raise RecipeError(
            f"compute.processes needs one GPU for each process, got {local_rank + 1} for {gpus}. "
            f"Set compute.processes={gpus} or less, or compute.device=cpu."
        )
    device = torch.device("cuda", local_rank)
    torch.cuda.set_device(device)
    return device


def to_device(array: np.ndarray, device: torch.device) -> Tensor:
    """Return an array on a device; from pinned memory, or the processor would wait for all that is queued there."""
    tensor = torch.from_numpy(array)
    return (tensor.pin_memory() if device.type == "cuda" else tensor).to(device, non_blocking=True)


def all_sum(x: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes; the argument stays as it is."""
    if not dist.is_initialized():
        return x
    total = x.clone()
    dist.all_reduce(total)
    return total


def from_leader(fact: Any) -> Any:
    """Return what rank 0 holds, on every rank."""
    if not dist.is_initialized():
        return fact
    received = [fact]
    dist.broadcast_object_list(received, src=0)
    return received[0]


def gathered(fact: Any, world: int) -> list[Any]:
    """Return what every rank holds, in the order of ranks."""
    if not dist.is_initialized():
        return [fact]
    facts: list[Any] = [None] * world
    dist.all_gather_object(facts, fact)
    return facts
