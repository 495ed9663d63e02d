"""The images that a run's pictures are made of, and the album that one model makes of them while it is evaluated.

Shapes: S subjects, B images of the bank, C colours, H W pixels or patches, N patches, D width, h heads, k neighbours.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from training.evals.features import centre_crop
from training.evals.neighbours import nearest
from training.images import UNLABELLED, Images
from training.model import Backbone, normalised
from training.pictures import pca
from training.pictures.album import Album, written
from training.pictures.attention import tokens_and_attention

SIDE = 32
"""Patches along a side: enough to see shapes, whatever the size of the crops in training."""
NEIGHBOURS = 7


@dataclass(frozen=True)
class Sitting:
    """A few held-out images, or images of the bank where none is held out, and the bank to find neighbours in."""

    bank: Images
    subjects: Images
    row: np.ndarray
    """row_S of the subjects among the held-out images or in the bank."""
    in_bank: bool
    resize: float

    @classmethod
    def choose(cls, bank: Images, queries: Images, count: int, resize: float) -> "Sitting":
        """Choose subjects evenly over the classes."""
        source = queries if len(queries) else bank
        by_class = np.argsort(source.label, kind="stable")
        row_S = by_class[np.unique(np.linspace(0, len(by_class) - 1, min(count, len(by_class))).round().astype(int))]
        return cls(bank, source.take(row_S), row_S, not len(queries), resize)

    def album(self, backbone: Backbone, bank_BD: Tensor, queries_QD: Tensor) -> Album:
        """Let a model look at the subjects; neighbours are found by the features that its scores were made of."""
        patch = backbone.vit.patch_embed.patch_size[0]
        crops = [centre_crop(self.subjects.pixels(row), SIDE * patch, self.resize) for row in range(len(self.subjects))]
        components, attention = zip(*(self._looked(backbone, crop_CHW) for crop_CHW in crops), strict=True)
        patches_SND = np.concatenate(components)
        scores_SNK = pca.projected(patches_SND)
        foreground_SHW = pca.foreground(_grid(scores_SNK)[..., 0])
        return Album(
            **self._shown(bank_BD, queries_QD),
            resize=np.array(self.resize),
            components=_grid(scores_SNK).astype(np.float16),
            foreground=foreground_SHW,
            objects=self._objects(patches_SND, foreground_SHW),
            attention=np.concatenate(attention),
        )

    def _looked(self, backbone: Backbone, crop_CHW: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return patches_1ND and attention_1hHW as bytes."""
        pixels_1CHW = torch.from_numpy(crop_CHW)[None].to(next(backbone.parameters()).device)
        tokens, attention_1hN = tokens_and_attention(backbone, normalised(pixels_1CHW))
        attention_1hHW = attention_1hN.float().cpu().numpy().reshape(1, -1, SIDE, SIDE)
        return tokens.patches.float().cpu().numpy(), written(attention_1hHW, SIDE * SIDE)

    def _objects(self, patches_SND: np.ndarray, foreground_SHW: np.ndarray) -> np.ndarray:
        mask_SN = foreground_SHW.reshape(len(foreground_SHW), -1)
        if mask_SN.sum() <= pca.COMPONENTS:
            return np.zeros((*foreground_SHW.shape, pca.COMPONENTS), dtype=np.float16)
        scores_SNK = pca.projected(patches_SND, mask_SN) * mask_SN[..., None]
        return _grid(scores_SNK).astype(np.float16)

    def _shown(self, bank_BD: Tensor, queries_QD: Tensor) -> dict[str, np.ndarray]:
        """Return the columns of the images that are shown, with the subjects first, and who is near to whom."""
        subjects_SD = (bank_BD if self.in_bank else queries_QD)[self.row]
        cosine_Sk, row_Sk = nearest(subjects_SD, bank_BD, min(NEIGHBOURS + self.in_bank, len(bank_BD)))
        if self.in_bank:
            cosine_Sk, row_Sk = (_others(found_Sk, row_Sk, self.row) for found_Sk in (cosine_Sk, row_Sk))
        row_U, neighbours = np.unique(row_Sk.numpy(), return_inverse=True)
        both = [_places(self.subjects), _places(self.bank.take(row_U))]
        return {
            **{name: np.concatenate([part[name] for part in both]) for name in both[0]},
            "neighbours": neighbours.reshape(row_Sk.shape) + len(self.subjects),
            "cosine": cosine_Sk.numpy().astype(np.float16),
        }


def _places(images: Images) -> dict[str, np.ndarray]:
    """Return where the images' bytes lie, and what they are."""
    return {
        "shard": np.array(images.shards)[images.shard],
        "offset": images.offset,
        "length": images.length,
        "rotation": images.rotation,
        "label": np.array(["" if n == UNLABELLED else images.classes[n] for n in images.label], dtype=np.str_),
    }


def _others(found_Sk: Tensor, row_Sk: Tensor, itself_S: np.ndarray) -> Tensor:
    """Return what was found, without each subject itself, or without the farthest where a copy came before it."""
    itself_Sk = row_Sk == torch.from_numpy(itself_S)[:, None]
    itself_Sk[~itself_Sk.any(dim=1), -1] = True
    return found_Sk[~itself_Sk].view(len(found_Sk), -1)


def _grid(x_SNK: np.ndarray) -> np.ndarray:
    return x_SNK.reshape(len(x_SNK), SIDE, SIDE, -1)
