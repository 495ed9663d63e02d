"""The images that a run's pictures are made of, and the snapshots that models make of them while they are evaluated.

Shapes: S subjects, B images of the bank, C colours, H W pixels or patches, N patches, D width, h heads, k neighbours.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from shared.dataset_version import Published
from shared.params import Compute
from training.data.published_images import UNLABELLED, Images, all_images
from training.data.shuffle import subsample
from training.distributed import DistributedContext
from training.eval.crops import CropSize, centre_crop
from training.eval.features import Readout, extract
from training.eval.math.nearest import nearest
from training.eval.params import EvaluateParams
from training.eval.visualize import pca
from training.eval.visualize.attention import tokens_and_attention
from training.eval.visualize.snapshot import Snapshot, written
from training.model.vit import Backbone, normalised
from training.runs.run_folder import RunFolder
from training.weights import Weights

SIDE = 32
"""Patches along a side: enough to see shapes, whatever the size of the crops in training."""
NEIGHBOURS = 7
BANK = 1000
"""Images among which neighbours are sought, at most: a gallery, no score."""


def make_snapshots(
    dataset: Published,
    weights: Mapping[str, Weights],
    readings: Mapping[str, Readout],
    params: EvaluateParams,
    place: DistributedContext,
    compute: Compute,
    folder: RunFolder,
    seed: int,
) -> None:
    """Write a snapshot of each model into the run's folder; neighbours are found as the models are read for scores."""
    chosen = SnapshotImages.choose(dataset, params.pictures, seed)
    size = params.image_size or next(iter(readings.values())).model.usual_size
    cut = CropSize(size, params.resize, params.batch_size)
    rows, workers = np.arange(len(chosen.images)), place.loader_workers(compute)
    features, _ = extract(chosen.images, rows, readings, place, cut, workers=workers)
    for name, extracted in features.items() if place.leads else ():
        backbone = weights[name].backbone().to(place.device)
        chosen.snapshot(backbone, extracted.pooled, params.resize).write(folder.store, name)


@dataclass(frozen=True)
class SnapshotImages:
    """A few held-out images, or training images where none is held out, and training images to compare with."""

    images: Images
    """The subjects come first, then the bank."""
    subjects: int

    @classmethod
    def choose(cls, dataset: Published, count: int, seed: int) -> "SnapshotImages":
        """Choose subjects evenly over the classes, and a bank by the seed; no subject lies in the bank."""
        images, is_held_out = all_images(dataset)
        source = np.flatnonzero(is_held_out) if is_held_out.any() else np.arange(len(images))
        by_class = source[np.argsort(images.label[source], kind="stable")]
        spread = np.linspace(0, len(by_class) - 1, min(count, len(by_class))).round().astype(int)
        subjects = by_class[np.unique(spread)]
        rest = np.setdiff1d(np.flatnonzero(~is_held_out), subjects)
        return cls(images.take(np.concatenate([subjects, subsample(rest, BANK, seed)])), len(subjects))

    def snapshot(self, backbone: Backbone, features_ID: Tensor, resize: float) -> Snapshot:
        """Let a model look at the subjects; the features are those of all its images."""
        patch = backbone.vit.patch_embed.patch_size[0]
        crops = [centre_crop(self.images.pixels(row), SIDE * patch, resize) for row in range(self.subjects)]
        patches, attention = zip(*(_forward(backbone, crop_CHW) for crop_CHW in crops), strict=True)
        patches_SND = np.concatenate(patches)
        scores_SNK = pca.projected(patches_SND)
        foreground_SHW = pca.foreground(_grid(scores_SNK)[..., 0])
        subjects_SD, bank_BD = features_ID[: self.subjects], features_ID[self.subjects :]
        cosine_Sk, row_Sk = nearest(subjects_SD, bank_BD, min(NEIGHBOURS, len(bank_BD)))
        shown, neighbours = np.unique(row_Sk.numpy() + self.subjects, return_inverse=True)
        return Snapshot(
            **_places(self.images.take(np.concatenate([np.arange(self.subjects), shown]))),
            resize=np.array(resize),
            components=_grid(scores_SNK).astype(np.float16),
            foreground=foreground_SHW,
            objects=_objects(patches_SND, foreground_SHW),
            attention=np.concatenate(attention),
            neighbours=neighbours.reshape(row_Sk.shape) + self.subjects,
            cosine=cosine_Sk.numpy().astype(np.float16),
        )


def _forward(backbone: Backbone, crop_CHW: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return patches_1ND and attention_1hHW as bytes."""
    pixels_1CHW = torch.from_numpy(crop_CHW)[None].to(next(backbone.parameters()).device)
    tokens, attention_1hN = tokens_and_attention(backbone, normalised(pixels_1CHW))
    attention_1hHW = attention_1hN.float().cpu().numpy().reshape(1, -1, SIDE, SIDE)
    return tokens.patches.float().cpu().numpy(), written(attention_1hHW, SIDE * SIDE)


def _objects(patches_SND: np.ndarray, foreground_SHW: np.ndarray) -> np.ndarray:
    """Return the foreground's own components, 0 outside of it."""
    mask_SN = foreground_SHW.reshape(len(foreground_SHW), -1)
    if mask_SN.sum() <= pca.COMPONENTS:
        return np.zeros((*foreground_SHW.shape, pca.COMPONENTS), dtype=np.float16)
    return _grid(pca.projected(patches_SND, mask_SN) * mask_SN[..., None]).astype(np.float16)


def _places(images: Images) -> dict[str, np.ndarray]:
    """Return where the images' bytes lie, and what they are."""
    return {
        "shard": np.array(images.shards)[images.shard],
        "offset": images.offset,
        "length": images.length,
        "rotation": images.rotation,
        "label": np.array(["" if n == UNLABELLED else images.classes[n] for n in images.label], dtype=np.str_),
    }


def _grid(x_SNK: np.ndarray) -> np.ndarray:
    return x_SNK.reshape(len(x_SNK), SIDE, SIDE, -1)
