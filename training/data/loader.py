"""Batches: which image stands where in which step, prepared by worker processes.

Sample number step · batch_size + place, in one endless list of epochs, decides image, crops and mask. So the
global batch of a step is the same for any number of processes and workers, and after a resume.

Shapes: B images of this process, V large and S small crops each, R = V·B and Q = S·B crop-major, N patches,
M masked patches of this process; K numbers say what is done to a crop's colours.
"""

from collections.abc import Callable, Iterator
from typing import Any

import cv2
from torch.utils.data import DataLoader

from training.data.batch import Batch, Draft, collate, collate_finished
from training.data.dataset import Sample, Samples
from training.data.index import Corpus
from training.data.sampler import Shares
from training.distributed import Place
from training.params import PretrainParams


def batches(
    corpus: Corpus, params: PretrainParams, *, start: int, place: Place, workers: int, on_device: bool = False
) -> Iterator[Batch]:
    """Yield this rank's share of every step from `start` to the end of the run; 0 workers = in this process.

    Colours are changed in the workers, or, `on_device`, here and where the batch goes.
    """
    gather: Callable[[list[Sample]], Draft | Batch] = collate if on_device else collate_finished
    loader: DataLoader[Any] = DataLoader(
        Samples(corpus.dataset, params),
        batch_sampler=Shares(corpus, params.optim.batch_size, start, params.optim.steps, place.rank, place.world),
        collate_fn=gather,
        num_workers=workers,
        pin_memory=place.device.type == "cuda",
        worker_init_fn=_alone,
        multiprocessing_context=("fork" if corpus.dataset.store.local else "spawn") if workers else None,
    )
    for batch in loader:
        yield batch.finished(place.device) if isinstance(batch, Draft) else batch


def _alone(_: int) -> None:
    cv2.setNumThreads(1)  # as torch does in a worker: each has one core
