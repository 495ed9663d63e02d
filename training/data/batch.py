"""A batch of crops and masks, as workers hand it over and as the model takes it."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from training.data.color_cpu import color_jitter
from training.data.dataset import Sample


class Batch(NamedTuple):
    """One process's share of a step; pixels are uint8."""

    global_crops: Tensor
    """global_RCHW."""
    local_crops: Tensor
    """local_QCHW."""
    mask: Tensor
    """mask_RN: true where iBOT hides the patch from the student."""
    mask_indices: Tensor
    """indices_M: masked patches, counted through the flattened (R, N)."""
    mask_weight: Tensor
    """weight_M: 1 / masked patches of the patch's crop."""

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on a device."""
        return Batch(*(part.to(device, non_blocking=True) for part in self))

    def with_all_patches(self) -> "Batch":
        """Return the batch with no patch hidden and every patch read."""
        count, patches = self.mask.shape
        indices_M = torch.arange(count * patches, device=self.mask.device)
        weight_M = torch.full((count * patches,), 1 / patches, device=self.mask.device)
        return self._replace(mask=torch.zeros_like(self.mask), mask_indices=indices_M, mask_weight=weight_M)

    def micro_batches(self, count: int, images: int) -> list["Batch"]:
        """Return the batch of so many images as batches of some of them, in order, for gradient accumulation."""
        if count == 1:
            return [self]
        share, wholes = images // count, (self.global_crops, self.local_crops, self.mask)
        apart = [part.view(len(part) // images, count, share, *part.shape[1:]) for part in wholes]
        micro_batches = []
        for number in range(count):
            global_RCHW, local_QCHW, mask_RN = (part[:, number].flatten(0, 1) for part in apart)
            micro_batches.append(Batch(global_RCHW, local_QCHW, mask_RN, *masked_patches(mask_RN)))
        return micro_batches


def masked_patches(mask_RN: Tensor) -> tuple[Tensor, Tensor]:
    """Return indices_M and weight_M of a mask."""
    indices_M = mask_RN.flatten().nonzero().squeeze(1)
    hidden_R = mask_RN.sum(dim=1)
    return indices_M, 1.0 / hidden_R[indices_M // mask_RN.shape[1]].float()


class UnaugmentedBatch(NamedTuple):
    """A batch before its colours are changed: crops are global_RHWC and local_QHWC."""

    batch: Batch
    global_colours: Tensor
    """colours_RK."""
    local_colours: Tensor
    """colours_QK."""

    def augmented(self, device: torch.device) -> Batch:
        """Jitter the colours on this device and return the batch there."""
        batch = self.batch.to(device)
        return batch._replace(
            global_crops=color_jitter(batch.global_crops, self.global_colours),
            local_crops=color_jitter(batch.local_crops, self.local_colours),
        )


def collate(samples: list[Sample]) -> UnaugmentedBatch:
    """Put the crops of a batch together, crop by crop, and count out the masked patches."""
    views, masks = zip(*samples, strict=True)
    global_crops, local_crops, global_colours, local_colours, mask = (
        np.stack(part, axis=1) for part in (*zip(*views, strict=True), masks)
    )
    global_RHWC, local_QHWC, mask_RN = (
        torch.from_numpy(part.reshape(-1, *part.shape[2:])) for part in (global_crops, local_crops, mask)
    )
    colours = (torch.from_numpy(part.reshape(-1, part.shape[-1])) for part in (global_colours, local_colours))
    return UnaugmentedBatch(Batch(global_RHWC, local_QHWC, mask_RN, *masked_patches(mask_RN)), *colours)


def collate_augmented(samples: list[Sample]) -> Batch:
    """Put a batch together and change its colours here, on the CPU."""
    return collate(samples).augmented(torch.device("cpu"))
