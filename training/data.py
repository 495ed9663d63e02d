"""Batches: which image stands where in which step, prepared by worker processes.

Sample number step · batch_size + place, in one endless list of epochs, decides image, crops and mask. So the
global batch of a step is the same for any number of processes and workers, and after a resume.

Shapes: B images of this process, V large and S small crops each, R = V·B and Q = S·B crop-major, N patches,
M masked patches of this process; K numbers say what is done to a crop's colours.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from shared.errors import WorkFailedError
from shared.images import UndecodableError
from shared.published import Published
from training.corpus import Corpus, Spot
from training.decoding import decoded
from training.device import Place
from training.masks import block_mask, mask_ratio
from training.params import PretrainParams
from training.photometric import recoloured
from training.views import Views, multi_crop, resized, stream

CACHE_BYTES = 1 << 30
"""Shrunk images that one worker keeps, at most; the rest is decoded again."""
MASKING = 1
"""Tells the stream of mask ratios from the stream of the order."""

Sample = tuple[Views, np.ndarray]
"""Crops as they were cut, and mask_VN."""


class Batch(NamedTuple):
    """One process's share of a step; pixels are uint8."""

    large: Tensor
    """large_RCHW."""
    small: Tensor
    """small_QCHW."""
    mask: Tensor
    """mask_RN: true where the student must not look."""
    places: Tensor
    """places_M: masked patches, counted through the flattened (R, N)."""
    weight: Tensor
    """weight_M: 1 / masked patches of the patch's crop."""

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on a device."""
        return Batch(*(part.to(device, non_blocking=True) for part in self))

    def pieces(self, count: int, images: int) -> list["Batch"]:
        """Return the batch of so many images as batches of some of them, in order."""
        if count == 1:
            return [self]
        share, wholes = images // count, (self.large, self.small, self.mask)
        apart = [part.view(len(part) // images, count, share, *part.shape[1:]) for part in wholes]
        found = []
        for number in range(count):
            large_RCHW, small_QCHW, mask_RN = (part[:, number].flatten(0, 1) for part in apart)
            found.append(Batch(large_RCHW, small_QCHW, mask_RN, *masked_patches(mask_RN)))
        return found


def masked_patches(mask_RN: Tensor) -> tuple[Tensor, Tensor]:
    """Return places_M and weight_M of a mask."""
    places_M = mask_RN.flatten().nonzero().squeeze(1)
    hidden_R = mask_RN.sum(dim=1)
    return places_M, 1.0 / hidden_R[places_M // mask_RN.shape[1]].float()


class Draft(NamedTuple):
    """A batch before its colours are changed: crops are large_RHWC and small_QHWC."""

    batch: Batch
    large_colours: Tensor
    """colours_RK."""
    small_colours: Tensor
    """colours_QK."""

    def finished(self, device: torch.device) -> Batch:
        """Change the colours on this device and return the batch there."""
        batch = self.batch.to(device)
        large, small = recoloured(batch.large, self.large_colours), recoloured(batch.small, self.small_colours)
        return batch._replace(large=large, small=small)


class Samples(Dataset[Sample]):
    """Spot → crops and mask, a pure function of params and images."""

    def __init__(self, dataset: Published, params: PretrainParams) -> None:
        self.dataset, self.params = dataset, params
        self.kept: dict[int, np.ndarray] = {}
        self.kept_bytes = 0

    def __getitem__(self, spot: Spot) -> Sample:
        p = self.params
        rng = stream(p.seed, spot.number)
        return multi_crop(self._pixels(spot), p.crops, p.augment, rng), self._masks(spot.number, rng)

    def _masks(self, number: int, rng: np.random.Generator) -> np.ndarray:
        p = self.params
        step, place = divmod(number, p.optim.batch_size)
        side, crops = p.crops.large_size // p.model.patch_size, p.crops.large_count * p.optim.batch_size
        masks = []
        for view in range(p.crops.large_count):
            ratio = mask_ratio(place * p.crops.large_count + view, crops, (p.seed, step, MASKING), p.objective)
            masks.append(block_mask(side, int(side * side * ratio), rng))
        return np.stack(masks)

    def _pixels(self, spot: Spot) -> np.ndarray:
        """Decode, or remember: with `crops.shrink`, small pictures are worth keeping."""
        if spot.row in self.kept:
            return self.kept[spot.row]
        pixels_HWC, shrink = self._decoded(spot), self.params.crops.shrink
        if not shrink:
            return pixels_HWC
        height, width = pixels_HWC.shape[:2]
        factor = shrink / min(width, height)
        if factor < 1:
            pixels_HWC = resized(pixels_HWC, *(max(1, round(side * factor)) for side in (width, height)))
        if self.kept_bytes + pixels_HWC.nbytes <= CACHE_BYTES:
            self.kept[spot.row] = pixels_HWC
            self.kept_bytes += pixels_HWC.nbytes
        return pixels_HWC

    def _decoded(self, spot: Spot) -> np.ndarray:
        data = self.dataset.read(spot.shard, spot.offset, spot.length)
        try:
            if len(data) < spot.length:
                raise UndecodableError(f"the shard ends after {len(data)} of {spot.length} bytes")
            return decoded(data, spot.rotation, self.params.crops)
        except UndecodableError as error:
            raise WorkFailedError(
                f"Training needs every published image to decode, got {spot.shard} at byte {spot.offset}: {error}. "
                "Check the shards with `dinoflow datasets WORKSPACE verify VERSION`, then publish again."
            ) from error


def collate(samples: list[Sample]) -> Draft:
    """Put the crops of a batch together, crop by crop, and count out the masked patches."""
    views, masks = zip(*samples, strict=True)
    large, small, large_colours, small_colours, mask = (
        np.stack(part, axis=1) for part in (*zip(*views, strict=True), masks)
    )
    large_RHWC, small_QHWC, mask_RN = (
        torch.from_numpy(part.reshape(-1, *part.shape[2:])) for part in (large, small, mask)
    )
    colours = (torch.from_numpy(part.reshape(-1, part.shape[-1])) for part in (large_colours, small_colours))
    return Draft(Batch(large_RHWC, small_QHWC, mask_RN, *masked_patches(mask_RN)), *colours)


def collate_finished(samples: list[Sample]) -> Batch:
    """Put a batch together and change its colours here, on the CPU."""
    return collate(samples).finished(torch.device("cpu"))


@dataclass(frozen=True)
class Shares(Sampler[list[Spot]]):
    """The samples of one rank, step by step: a contiguous share of each global batch."""

    corpus: Corpus
    batch_size: int
    start: int
    steps: int
    rank: int
    world: int

    def __iter__(self) -> Iterator[list[Spot]]:
        share = self.batch_size // self.world
        for step in range(self.start, self.steps):
            first = step * self.batch_size + self.rank * share
            yield self.corpus.spots(list(range(first, first + share)))

    def __len__(self) -> int:
        return max(0, self.steps - self.start)


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
