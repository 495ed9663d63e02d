"""Centre crops of images and of their masks, and a second, random view: each image's numbers are its own.

Shapes: C colours, H W pixels, uint8.
"""

from collections.abc import Sequence, Set
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from shared.errors import UserError, WorkFailedError
from training.data.multi_crop import keyed_rng, random_box
from training.eval.sets.labelled import IndexedImages, Masks

AGAIN_SCALE = (0.32, 1.0)
"""Share of the area that the second view covers, as the global crops of training do."""


class CropSize(NamedTuple):
    """What of an image a model is shown, and how much at once."""

    size: int
    """Side of the centre crop."""
    resize: float
    """The shorter side is resized to so many crop sides before."""
    batch_size: int


def _scaled(image: Image.Image, size: int, resize: float, resampling: Image.Resampling) -> Image.Image:
    factor = size * resize / min(image.size)
    width, height = (max(size, round(side * factor)) for side in image.size)
    left, top = (width - size) // 2, (height - size) // 2
    return image.resize((width, height), resampling).crop((left, top, left + size, top + size))


def centre_crop(image: Image.Image, size: int, resize: float) -> np.ndarray:
    """Resize the shorter side to size · resize, cut the middle, and return uint8 pixels_CHW."""
    return np.asarray(_scaled(image, size, resize, Image.Resampling.BICUBIC)).transpose(2, 0, 1).copy()


def centre_crop_mask(class_HW: np.ndarray, size: int, resize: float) -> np.ndarray:
    """Return the classes of the pixels of the same crop: those of the nearest pixels."""
    return np.asarray(_scaled(Image.fromarray(class_HW), size, resize, Image.Resampling.NEAREST)).copy()


def random_crop(image: Image.Image, size: int, *key: int) -> np.ndarray:
    """Return another view, uint8 pixels_CHW: a random crop that may be flipped; the key decides."""
    rng = keyed_rng(*key)
    box = random_box(*image.size, AGAIN_SCALE, rng)
    pixels_HWC = np.asarray(image.resize((size, size), Image.Resampling.BICUBIC, box=box))
    return (pixels_HWC[:, ::-1] if rng.random() < 0.5 else pixels_HWC).transpose(2, 0, 1).copy()


class WorkerError(NamedTuple):
    """An error on its way out of a worker: there it would be wrapped into a traceback."""

    error: UserError | WorkFailedError


class CentreCrops(Dataset[dict[str, Tensor] | WorkerError]):
    """Place in the list of rows → uint8 `pixels`, `mask` where there are masks, `again` of rows seen twice."""

    def __init__(
        self, images: IndexedImages, rows: np.ndarray, cut: CropSize, masks: Masks | None, again: Set[int]
    ) -> None:
        self.images, self.rows, self.cut, self.masks, self.again = images, rows, cut, masks, again

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int) -> dict[str, Tensor] | WorkerError:
        row, (size, resize, _) = int(self.rows[place]), self.cut
        try:
            image = self.images.pixels(row)
            views = {"pixels": centre_crop(image, size, resize)}
            if self.masks is not None:
                views["mask"] = centre_crop_mask(self.masks.classes(row, image.size), size, resize)
            if row in self.again:
                views["again"] = random_crop(image, size, row)
        except (UserError, WorkFailedError) as error:
            return WorkerError(error)
        return {name: torch.from_numpy(array) for name, array in views.items()}


def collated(items: Sequence[dict[str, Tensor] | WorkerError]) -> dict[str, Tensor] | WorkerError:
    """Return the batch, or the first error in it."""
    errors_or_items: list[Any] = [item for item in items if isinstance(item, WorkerError)] or list(items)
    first = errors_or_items[0]
    if isinstance(first, WorkerError):
        return first
    return {
        name: torch.stack([item[name] for item in errors_or_items if name in item])
        for name in dict.fromkeys(name for item in errors_or_items for name in item)
    }
