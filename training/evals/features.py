"""Features of images: resize, centre crop, one pass over the pixels for any number of models.

Shapes: B images, C colours, H W pixels, D width of a feature.
"""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from training.device import Place, gathered
from training.images import Images
from training.model import normalised

PIXEL_SIDE = 16

Model = Callable[[Tensor], Tensor]
"""Normalised images_BCHW → features_BD."""


def centre_crop(image: Image.Image, size: int, resize: float) -> np.ndarray:
    """Resize the shorter side to size · resize, cut the middle, and return uint8 pixels_CHW."""
    factor = size * resize / min(image.size)
    width, height = (max(size, round(side * factor)) for side in image.size)
    image = image.resize((width, height), Image.Resampling.BICUBIC)
    left, top = (width - size) // 2, (height - size) // 2
    return np.asarray(image.crop((left, top, left + size, top + size))).transpose(2, 0, 1).copy()


class CentreCrops(Dataset[Tensor]):
    """Row → uint8 pixels_CHW."""

    def __init__(self, images: Images, size: int, resize: float) -> None:
        self.images, self.size, self.resize = images, size, resize

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> Tensor:
        return torch.from_numpy(centre_crop(self.images.pixels(row), self.size, self.resize))


def pixel_features(images_BCHW: Tensor) -> Tensor:
    """Return 16×16 colour pixels as features: what can be had without learning."""
    return F.adaptive_avg_pool2d(images_BCHW, PIXEL_SIDE).flatten(1)


@torch.inference_mode()
def extract(
    images: Images,
    models: Mapping[str, Model],
    place: Place,
    *,
    size: int,
    resize: float,
    batch_size: int,
    workers: int,
) -> dict[str, Tensor]:
    """Return features_BD of every model in the order of the images, on the CPU, on every rank.

    Ranks share the images in contiguous slices.
    """
    mine = np.array_split(np.arange(len(images)), place.world)[place.rank]
    loader = DataLoader(CentreCrops(images.take(mine), size, resize), batch_size=batch_size, num_workers=workers)
    found: dict[str, list[Tensor]] = {name: [] for name in models}
    for pixels_BCHW in loader:
        images_BCHW = normalised(pixels_BCHW.to(place.device))
        for name, model in models.items():
            found[name].append(model(images_BCHW).float().cpu())
    parts = gathered({name: torch.cat(chunks) for name, chunks in found.items() if chunks}, place.world)
    return {name: torch.cat([part[name] for part in parts if name in part]) for name in models}
