"""Batches: which image stands where in which step, prepared by worker processes.

Sample number step · batch_size + context, in one endless list of epochs, decides image, crops and mask. So the
global batch of a step is the same for any number of processes and workers, and after a resume.

Shapes: B images of this process, V global and S local crops each, R = V·B and Q = S·B crop-major, N patches,
M masked patches of this process; K numbers say what is done to a crop's colours.
"""

from collections.abc import Callable, Iterator
from typing import Any

import cv2
from torch.utils.data import DataLoader

from shared.errors import WorkFailedError
from shared.params import Compute
from training.data.batch import Batch, UnaugmentedBatch, collate, collate_augmented
from training.data.damage import Damage
from training.data.dataset import Sample, Samples
from training.data.index import SampleIndex
from training.data.loader_workers import begin_worker, start_method, turns
from training.data.sampler import RankBatchSampler
from training.distributed import DistributedContext
from training.params.resolved import ResolvedParams


def batches(
    index: SampleIndex,
    params: ResolvedParams,
    *,
    start: int,
    end: int | None = None,
    context: DistributedContext,
    workers: int,
    on_device: bool = False,
    order: int = 0,
) -> Iterator[Batch]:
    """Yield this rank's share of every step from `start` to `end`, or to that of the run; 0 workers = in this process.

    Colours are changed in the workers, or, `on_device`, here and where the batch goes. Each `order` is of its own,
    for one after the other the list of samples goes on.
    """
    if workers:
        cv2.setNumThreads(1)  # before the fork: a child that finds a pool waits for ever for threads that it lacks
    gather: Callable[[list[Sample]], UnaugmentedBatch | Batch] = collate if on_device else collate_augmented
    damage = Damage(index, workers, params.damaged_share)
    loader: DataLoader[Any] = DataLoader(
        Samples(index.dataset, params, damage),
        batch_sampler=RankBatchSampler(
            index,
            params.optim.batch_size,
            start,
            end or params.optim.steps,
            context.rank,
            context.world,
            shift=order * params.optim.steps,
        ),
        collate_fn=gather,
        num_workers=workers,
        pin_memory=context.device.type == "cuda",
        worker_init_fn=begin_worker,
        multiprocessing_context=start_method() if workers else None,
    )
    for batch in checked(turns(loader), damage):
        yield batch.augmented(context.device) if isinstance(batch, UnaugmentedBatch) else batch


def steps_of(
    index: SampleIndex,
    params: ResolvedParams,
    start: int,
    context: DistributedContext,
    compute: Compute,
    order: int = 0,
) -> Iterator[Batch]:
    """Yield this rank's share of every step from `start` to the end of the run, each with the crops of its phase."""
    workers, on_device = context.loader_workers(compute), context.augments(compute)
    for first, end in params.spans(start):
        yield from batches(
            index,
            params.at(first),
            start=first,
            end=end,
            context=context,
            workers=workers,
            on_device=on_device,
            order=order,
        )


def checked(turns: Iterator[Any], damage: Damage) -> Iterator[Any]:
    """Yield what workers make. Raises WorkFailedError where too many images are damaged, in few words."""
    try:
        for batch in turns:
            damage.check()
            yield batch
    except WorkFailedError:  # of a worker, whose traceback stands before it
        damage.check()
        raise
