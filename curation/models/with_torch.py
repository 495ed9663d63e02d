"""Models that torch runs, in 32-bit floats unless bf16 is asked for: fewer bits move cosines across a threshold.

A process sees one GPU at most (shared/launch/gpus.py says which), so a GPU holds one copy of a network.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Literal

import torch
from torch import Tensor
from torch.jit._fuser import optimized_execution

from curation.arrays import Array
from curation.models.network import Network, RefusedError
from shared.errors import RecipeError

GPU_BATCH = 64
Precision = Literal["fp32", "bf16"]
"""Of the numbers that a network computes with."""


def device() -> torch.device:
    """Return the GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def torch_network(name: str, module: Callable[[Tensor], Tensor], precision: Precision = "fp32") -> Network:
    """Return the module, which is on the device already, as a network."""
    place = device()

    def forward(batch: Array) -> Array:
        try:
            with _exactly(), torch.autocast(place.type, torch.bfloat16, enabled=precision == "bf16"):
                output = module(torch.from_numpy(batch).to(place))
                return output.float().cpu().numpy() if isinstance(output, Tensor) else output
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            raise RefusedError(str(error).strip().splitlines()[-1]) from error

    return Network(name, forward, GPU_BATCH if place.type == "cuda" else 1)


@cache
def load_torchscript(path: str, content: str, precision: Precision) -> Network:
    """Return the TorchScript model at the path. Raises RecipeError when the file holds none."""
    try:
        module = torch.jit.load(path, map_location=device()).eval()  # type: ignore[no-untyped-call]
    except RuntimeError as error:
        raise RecipeError(
            f"{path} needs to be a TorchScript file, got {str(error).strip().splitlines()[0]}. "
            "Save the model with torch.jit.trace(…).save(…), or give an .onnx file."
        ) from None
    return torch_network(path, module, precision)


@contextmanager
def _exactly() -> Iterator[None]:
    """Compute the same bits every time.

    One thread: there is a worker for each core, and sums must not depend on how many a machine has. No
    optimizing executor, which would rewrite a TorchScript model after its first calls. No TF32, no searched
    algorithms. All of it is put back, since training may run in this process later.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with (
            torch.inference_mode(),
            optimized_execution(False),
            torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False),
        ):
            yield
    finally:
        torch.set_num_threads(threads)
