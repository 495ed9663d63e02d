"""What both segmentation evaluations share: classes of patches, and predictions on the patch grid to mean IoU.

Shapes: B images, N patches (row by row), H W pixels, R C rows and columns of the patch grid, Z classes.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from training.eval.inputs import OmittedError, PatchFeatures, ScoreRow, score
from training.eval.math.nearest import rows_at_once
from training.eval.math.splits import drawn
from training.eval.sets.base import IGNORED


def grid_of(patches: int, height: int, width: int) -> tuple[int, int]:
    """Return rows and columns of patches of one shape that tile a mask. Raises OmittedError where they do not."""
    rows = max(1, round((patches * height / width) ** 0.5))
    columns = patches // rows
    if not patches or rows * columns != patches or height % rows or width % columns:
        raise OmittedError(f"needs patches that tile the mask, got {patches} patches on {height}×{width} pixels")
    return rows, columns


def patch_classes(mask_BHW: Tensor, grid: tuple[int, int], classes: int) -> Tensor:
    """Return class_BN: that of most pixels that count, the first of equals; IGNORED where none counts."""
    class_parts = []
    for part in torch.split(mask_BHW, rows_at_once(mask_BHW[0].numel() * classes)):
        tall, wide = part.shape[1] // grid[0], part.shape[2] // grid[1]
        patch_BNP = (
            part.view(len(part), grid[0], tall, grid[1], wide).transpose(2, 3).reshape(len(part), -1, tall * wide)
        )
        count_BNZ = torch.stack([(patch_BNP == z).sum(dim=2) for z in range(classes)], dim=2)
        most = count_BNZ.max(dim=2)
        class_parts.append(most.indices.where(most.values > 0, IGNORED))
    return torch.cat(class_parts)


def labelled_patches(inputs: PatchFeatures, limit: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return x_MD and class_M: patches of the bank that have a class, at most so many, drawn evenly."""
    grid = grid_of(inputs.bank.shape[1], *inputs.bank_mask.shape[1:])
    class_M = patch_classes(inputs.bank_mask, grid, len(inputs.classes)).flatten()
    rows = (class_M != IGNORED).nonzero()[:, 0]
    rows = rows[drawn(len(rows), limit, seed).to(rows.device)]
    return inputs.bank.flatten(0, 1)[rows], class_M[rows]


def segmentation_scores(
    kind: str, logit_QNZ: Tensor, inputs: PatchFeatures, protocol: dict[str, Any]
) -> list[ScoreRow]:
    """Return `miou` at the resolution of the mask, and `miou patches` on the grid, each over the classes present.

    Logits are drawn out bilinearly; IoU = right / (right + wrongly given + missed), over all pixels of all queries.
    """
    grid, classes = grid_of(logit_QNZ.shape[1], *inputs.query_mask.shape[1:]), len(inputs.classes)
    pixels_ZZ = logit_QNZ.new_zeros(classes, classes, dtype=torch.int64)
    patches_ZZ = pixels_ZZ.clone()
    images = rows_at_once(inputs.query_mask[0].numel() * classes)
    for part_QNZ, mask_QHW in zip(torch.split(logit_QNZ, images), torch.split(inputs.query_mask, images), strict=True):
        logit_QZRC = part_QNZ.transpose(1, 2).reshape(len(part_QNZ), classes, *grid)
        wide_QZHW = F.interpolate(logit_QZRC, size=mask_QHW.shape[1:], mode="bilinear", align_corners=False)
        pixels_ZZ += confusion(wide_QZHW.argmax(dim=1), mask_QHW, classes)
        patches_ZZ += confusion(part_QNZ.argmax(dim=2), patch_classes(mask_QHW, grid, classes), classes)
    return [
        score(kind, metric, *_mean_iou(counts_ZZ, inputs.classes, {**protocol, **inputs.counts, "judged": judged}))
        for metric, counts_ZZ, judged in (
            ("miou", pixels_ZZ, "pixels, logits drawn out bilinearly"),
            ("miou patches", patches_ZZ, "patches, by the class of most of their pixels"),
        )
        if bool(counts_ZZ.any())
    ]


def confusion(given: Tensor, true: Tensor, classes: int) -> Tensor:
    """Return counts_ZZ of true class (row) and given class (column) where the truth is not IGNORED."""
    counted = true != IGNORED
    pair = true[counted].long() * classes + given[counted]
    return torch.bincount(pair, minlength=classes**2).view(classes, classes)


def _mean_iou(counts_ZZ: Tensor, names: tuple[str, ...], protocol: dict[str, Any]) -> tuple[float, dict[str, Any]]:
    right_Z, true_Z, given_Z = counts_ZZ.diag(), counts_ZZ.sum(dim=1), counts_ZZ.sum(dim=0)
    iou = {
        name: float(right / (true + given - right))
        for name, right, true, given in zip(names, right_Z, true_Z, given_Z, strict=True)
        if true
    }
    absent = [name for name in names if name not in iou]
    return sum(iou.values()) / len(iou), {**protocol, "iou": iou, **({"absent": absent} if absent else {})}
