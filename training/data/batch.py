"""A batch of crops and masks, as workers hand it over and as the model takes it."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from training.data.color_cpu import recoloured
from training.data.dataset import Sample


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
