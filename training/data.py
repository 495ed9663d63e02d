"""Batches: which image stands where in which step, prepared by worker processes.

Sample number step · batch_size + place, in one endless list of epochs, decides image, crops and mask. So the
global batch of a step is the same for any number of processes and workers, and after a resume.

Shapes: B images of this process, V large and S small crops each, R = V·B and Q = S·B crop-major, N patches,
M masked patches of this process.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from training.device import Place
from training.images import Images
from training.masks import block_mask, mask_ratio
from training.order import Permutation
from training.params import PretrainParams
from training.views import multi_crop, stream

CACHE_BYTES = 1 << 30
"""Shrunk images that one worker keeps, at most; the rest is decoded again."""
MASKING = 1
"""Tells the stream of mask ratios from the stream of the order."""


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


class Samples(Dataset[tuple[np.ndarray, np.ndarray, np.ndarray]]):
    """Sample number → (large_VCHW, small_SCHW, mask_VN), a pure function of params and images."""

    def __init__(self, images: Images, params: PretrainParams) -> None:
        self.images, self.params = images, params
        self.kept: dict[int, Image.Image] = {}
        self.kept_bytes = 0

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        p = self.params
        epoch, place = divmod(number, len(self.images))
        row = int(Permutation(len(self.images), (p.seed, epoch)).at(np.array([place]))[0])
        rng = stream(p.seed, epoch, row)
        views = multi_crop(self._pixels(row), p.crops, p.augment, rng)
        return *views, self._masks(number, rng)

    def _masks(self, number: int, rng: np.random.Generator) -> np.ndarray:
        p = self.params
        step, place = divmod(number, p.optim.batch_size)
        side, crops = p.crops.large_size // p.model.patch_size, p.crops.large_count * p.optim.batch_size
        masks = []
        for view in range(p.crops.large_count):
            ratio = mask_ratio(place * p.crops.large_count + view, crops, (p.seed, step, MASKING), p.objective)
            masks.append(block_mask(side, int(side * side * ratio), rng))
        return np.stack(masks)

    def _pixels(self, row: int) -> Image.Image:
        """Decode, or remember: with `crops.shrink`, small pictures are worth keeping."""
        if row in self.kept:
            return self.kept[row]
        image = self.images.pixels(row)
        shrink = self.params.crops.shrink
        if not shrink:
            return image
        factor = shrink / min(image.size)
        if factor < 1:
            width, height = (max(1, round(side * factor)) for side in image.size)
            image = image.resize((width, height), Image.Resampling.BICUBIC)
        size = 4 * image.width * image.height  # Pillow keeps RGB in four bytes
        if self.kept_bytes + size <= CACHE_BYTES:
            self.kept[row] = image
            self.kept_bytes += size
        return image


def collate(samples: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> Batch:
    """Put the crops of a batch together, crop by crop, and count out the masked patches."""
    large, small, mask = (np.stack(part, axis=1) for part in zip(*samples, strict=True))
    mask_RN = torch.from_numpy(mask.reshape(-1, mask.shape[-1]))
    places_M = mask_RN.flatten().nonzero().squeeze(1)
    hidden_R = mask_RN.sum(dim=1)
    weight_M = 1.0 / hidden_R[places_M // mask_RN.shape[1]].float()
    large_RCHW, small_QCHW = (torch.from_numpy(x.reshape(-1, *x.shape[2:])) for x in (large, small))
    return Batch(large_RCHW, small_QCHW, mask_RN, places_M, weight_M)


@dataclass(frozen=True)
class Shares(Sampler[list[int]]):
    """The sample numbers of one rank, step by step: a contiguous share of each global batch."""

    batch_size: int
    start: int
    steps: int
    rank: int
    world: int

    def __iter__(self) -> Iterator[list[int]]:
        share = self.batch_size // self.world
        for step in range(self.start, self.steps):
            first = step * self.batch_size + self.rank * share
            yield list(range(first, first + share))

    def __len__(self) -> int:
        return max(0, self.steps - self.start)


def batches(images: Images, params: PretrainParams, *, start: int, place: Place, workers: int) -> Iterator[Batch]:
    """Yield this rank's share of every step from `start` to the end of the run; 0 workers = in this process."""
    shares = Shares(params.optim.batch_size, start, params.optim.steps, place.rank, place.world)
    loader: DataLoader[Any] = DataLoader(
        Samples(images, params),
        batch_sampler=shares,
        collate_fn=collate,
        num_workers=workers,
        pin_memory=place.device.type == "cuda",
        multiprocessing_context=("fork" if images.dataset.store.local else "spawn") if workers else None,
    )
    yield from loader
