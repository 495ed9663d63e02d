"""A picture of what the model will be shown: crops of a few images, masked patches in gray."""

from pathlib import Path

import numpy as np
from PIL import Image

from training.data.batch import Batch, collate_augmented
from training.data.damage import Damage
from training.data.dataset import Samples
from training.data.index import SampleIndex
from training.params import PretrainParams

ROWS = 8
GAP = 2
HIDDEN = 128


def draw_views(index: SampleIndex, params: PretrainParams, path: Path) -> None:
    """Save a grid: one row for each of the first images, its global crops, then its local ones."""
    samples, rows = Samples(index.dataset, params, Damage(index, 0, share=1.0)), []
    for ref in index.refs(list(range(min(ROWS, len(index))))):
        batch = collate_augmented([samples[ref]])
        rows.append(
            _row(batch.global_crops.numpy(), batch.local_crops.numpy(), batch.mask.numpy(), params.model.patch_size)
        )
    Image.fromarray(np.concatenate(rows)).save(path)


def draw_batch(batch: Batch, params: PretrainParams, path: Path) -> None:
    """Save the same grid of the first images of a batch."""
    crops, local, mask = (part.cpu().numpy() for part in (batch.global_crops, batch.local_crops, batch.mask))
    images = len(crops) // params.crops.global_count
    rows = [
        _row(crops[image::images], local[image::images], mask[image::images], params.model.patch_size)
        for image in range(min(ROWS, images))
    ]
    Image.fromarray(np.concatenate(rows)).save(path)


def _row(global_VCHW: np.ndarray, local_SCHW: np.ndarray, mask_VN: np.ndarray, patch: int) -> np.ndarray:
    height = global_VCHW.shape[2] + GAP
    side = global_VCHW.shape[2] // patch
    tiles = []
    for crop_CHW, mask_N in zip(global_VCHW, mask_VN, strict=True):
        hidden_HW = mask_N.reshape(side, side).repeat(patch, 0).repeat(patch, 1)
        tiles.append(np.where(hidden_HW[..., None], HIDDEN, crop_CHW.transpose(1, 2, 0)))
    tiles += [crop_CHW.transpose(1, 2, 0) for crop_CHW in local_SCHW]
    padded = [
        np.pad(tile, ((0, max(0, height - len(tile))), (0, GAP), (0, 0)), constant_values=255)[:height]
        for tile in tiles
    ]
    return np.concatenate(padded, axis=1).astype(np.uint8)
