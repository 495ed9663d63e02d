"""A picture of what the model will be shown: crops of a few images, masked patches in gray."""

from pathlib import Path

import numpy as np
from PIL import Image

from training.data.batch import collate_finished
from training.data.dataset import Samples
from training.data.index import Corpus
from training.params import PretrainParams

ROWS = 8
GAP = 2
HIDDEN = 128


def draw_views(corpus: Corpus, params: PretrainParams, path: Path) -> None:
    """Save a grid: one row for each of the first images, its large crops, then its small ones."""
    samples, rows = Samples(corpus.dataset, params), []
    for spot in corpus.spots(list(range(min(ROWS, len(corpus))))):
        batch = collate_finished([samples[spot]])
        rows.append(_row(batch.large.numpy(), batch.small.numpy(), batch.mask.numpy(), params.model.patch_size))
    Image.fromarray(np.concatenate(rows)).save(path)


def _row(large_VCHW: np.ndarray, small_SCHW: np.ndarray, mask_VN: np.ndarray, patch: int) -> np.ndarray:
    height = large_VCHW.shape[2] + GAP
    side = large_VCHW.shape[2] // patch
    tiles = []
    for crop_CHW, mask_N in zip(large_VCHW, mask_VN, strict=True):
        hidden_HW = mask_N.reshape(side, side).repeat(patch, 0).repeat(patch, 1)
        tiles.append(np.where(hidden_HW[..., None], HIDDEN, crop_CHW.transpose(1, 2, 0)))
    tiles += [crop_CHW.transpose(1, 2, 0) for crop_CHW in small_SCHW]
    padded = [
        np.pad(tile, ((0, max(0, height - len(tile))), (0, GAP), (0, 0)), constant_values=255)[:height]
        for tile in tiles
    ]
    return np.concatenate(padded, axis=1).astype(np.uint8)
