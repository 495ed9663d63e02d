"""Inner products of vectors on the grid: by FAISS on the GPU that this process was given, else by NumPy; the same bits.

FAISS sums them in float32 (of cuBLAS's modes it sets none that rounds, such as TF32), and on the grid float32 is exact
in any order. All scores of a block come back to the processor, which is what takes longest.
"""

from collections.abc import Callable
from functools import cache
from threading import Lock
from typing import Any

import faiss
import numpy as np

from curation.arrays import Floats
from curation.dedup.ivf.grid import on_grid
from shared.launch.gpus import named_gpus
from shared.params import NOTHING, Needing, Resources

TEMPORARY = 256 << 20
"""Bytes of a GPU that FAISS sets aside in a process; blocks that need more are given theirs and take it back."""
ON_GPU = Lock()
"""Threads share the resources of their process, which serve one at a time."""

Products = Callable[[Floats, Floats], Floats]


def products(ours: Floats, theirs: Floats) -> Floats:
    """Return the inner product [n, m] of each of ours [n, dim] with each of theirs [m, dim]."""
    if len(ours) and len(theirs):  # FAISS refuses none
        with ON_GPU:
            by_faiss = gpu_products()
            if by_faiss:
                return by_faiss(ours, theirs)
    return _by_numpy(ours, theirs)


def comparing(fn: Callable[[Any], Any], pays: bool) -> Callable[[Any], Any]:
    """Return the function as work for a GPU where there is one, if that pays and FAISS was built for GPUs."""
    return Needing(fn, Resources(gpu=True) if pays and _built_for_gpus() else NOTHING)


@cache
def gpu_products() -> Products | None:
    """Return products on this process's GPU; null where it was given none, or one that cannot be used.

    That is one whose memory others fill, or that rounds: an environment can tell cuBLAS to.
    """
    if not (named_gpus() and faiss.get_num_gpus()):
        return None
    resources = faiss.StandardGpuResources()
    resources.setTempMemory(TEMPORARY)
    resources.setPinnedMemory(0)  # for copies into indexes, of which there are none

    def by_faiss(ours: Floats, theirs: Floats) -> Floats:
        ours, theirs = np.ascontiguousarray(ours), np.ascontiguousarray(theirs)
        return faiss.pairwise_distance_gpu(resources, ours, theirs, metric=faiss.METRIC_INNER_PRODUCT)

    probe = on_grid(np.random.default_rng(0).normal(size=(256, 64)))
    try:
        exact = np.array_equal(by_faiss(probe, probe), _by_numpy(probe, probe))
    except RuntimeError:
        return None
    return by_faiss if exact else None


def _by_numpy(ours: Floats, theirs: Floats) -> Floats:
    return np.asarray(ours @ theirs.T)


def _built_for_gpus() -> bool:
    return hasattr(faiss, "StandardGpuResources")
