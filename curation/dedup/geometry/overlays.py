"""How much two pictures hide of each other: a watermark, a caption or a hole lies over one, other figures over both.

What lies over a picture ends where the other goes on: along the rim of a difference, one picture jumps and the other
does not. Two figures that overlap make one difference, but of its rim each owns a part.
"""

from typing import NamedTuple

import cv2
import numpy as np

from curation.arrays import Bools, Bytes, Floats
from curation.dedup.geometry.shades import LUMA, tints

STRONG, STRONG_SHARE, STRONG_TINT = 12.0, 0.35, 16.0
"""Gray levels of residual, and its share of the contrast, that are a difference and no noise; the same in colour."""
SMALLEST_BLOB = 12
WINDOW, FEWEST = (9, 9), 6
"""Pixels around a place of a rim, inside and outside the difference, whose means are compared; texture averages out."""
STRAY = 0.35
"""By so much the share of a jump that one picture makes may miss 1 where that one makes it alone, and 0 where the other
does."""
CLEAR, PLAINER = (0.7, 0.85), (3.0, 12.0)
"""Where no picture makes so much of a rim, one that is so many times as plain inside lies over the other: a hole in a
busy place."""
EDGE, CORE = np.ones((3, 3), np.uint8), np.ones((5, 5), np.uint8)


class Laying(NamedTuple):
    """What lies over which of two pictures."""

    overlay: float
    """Of the area of strong residuals: what one picture lays over the other, that one which lays more."""
    crossed: float
    """Of both pictures: what the other lays over that one."""


def laying(first: Floats, second: Floats, agreeing: Bools, both: Bools, contrast: float) -> Laying:
    """Return what lies over which of two RGB images [h, w, 3] under one light, whose colours agree where told."""
    pictures = _paled(first, second, agreeing)
    residual = np.abs(pictures[0] - pictures[1])
    strong = (residual[..., 0] > max(STRONG, STRONG_SHARE * contrast)) & both
    strong |= (np.hypot(residual[..., 1], residual[..., 2]) > STRONG_TINT) & both
    opened = cv2.morphologyEx(strong.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    mask = np.asarray(opened, np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    jump, shares = _jumps(pictures, mask, both)
    areas, total = np.zeros(2), 0
    for blob in range(1, count):
        left, top, width, height, area = (int(value) for value in stats[blob])
        if area >= SMALLEST_BLOB:
            cut = np.s_[max(0, top - 2) : top + height + 2, max(0, left - 2) : left + width + 2]
            inside = (labels[cut] == blob).astype(np.uint8)
            owned = _owned(jump[cut], shares[cut], inside)
            areas += area * _plainer((pictures[0][cut], pictures[1][cut]), inside, owned)
            total += area
    return Laying(float(areas.max() / max(1, total)), float(areas.min() / max(1, both.sum())))


def _paled(first: Floats, second: Floats, agreeing: Bools) -> tuple[Floats, Floats]:
    """Return luma, Cr and Cb [h, w, 3] of both, the richer as pale as the other where they agree."""
    tinted = [tints(image) for image in (first, second)]
    planes = [np.asarray(cv2.GaussianBlur(tint, (0, 0), 1.0), np.float32) for tint in tinted]  # as coarse as JPEG's
    chosen = [plane[agreeing] for plane in planes]
    energies = [float(np.vdot(plane, plane)) for plane in chosen]
    paled = float(np.clip(np.vdot(*chosen) / max(1e-3, *energies), 0, 1))
    richer = int(np.argmax(energies))
    planes[richer] = np.float32(paled) * planes[richer]
    one, other = (np.dstack([image @ LUMA, plane]) for image, plane in zip((first, second), planes, strict=True))
    return one, other


def _jumps(pictures: tuple[Floats, Floats], mask: Bytes, both: Bools) -> tuple[Floats, Floats]:
    """Return how much the difference jumps along its rim [h, w], and the share of that which the first picture makes.

    A jump is that between the means inside and outside of the difference, in a window.
    """
    inside, outside = mask.astype(np.float32), ((mask == 0) & both).astype(np.float32)
    counts = [_summed(part) for part in (inside, outside)]
    jumps = []
    for image in pictures:
        means = [
            _summed(image * part[..., None]) / np.maximum(1, count)[..., None]
            for part, count in zip((inside, outside), counts, strict=True)
        ]
        jumps.append(means[0] - means[1])
    change = jumps[0] - jumps[1]
    energy = np.square(change).sum(-1)
    rim = (cv2.dilate(mask, EDGE) > cv2.erode(mask, EDGE)) & (np.minimum(*counts) >= FEWEST)
    return np.sqrt(energy) * rim, (jumps[0] * change).sum(-1) / np.maximum(1e-3, energy)


def _summed(values: Floats) -> Floats:
    return np.asarray(cv2.boxFilter(values, -1, WINDOW, normalize=False))


def _owned(jump: Floats, shares: Floats, inside: Bytes) -> Floats:
    """Return which share of a rim each picture makes alone."""
    rim = cv2.dilate(inside, EDGE) > 0
    weight, share = jump[rim], shares[rim]
    alone = [float(weight[share >= 1 - STRAY].sum()), float(weight[share <= STRAY].sum())]
    return np.array(alone, np.float32) / np.float32(max(1e-3, float(weight.sum())))


def _plainer(pictures: tuple[Floats, Floats], inside: Bytes, owned: Floats) -> Floats:
    """Return what each picture owns of a blob: all where it is much plainer and its rim does not say otherwise."""
    core = cv2.erode(inside, CORE, borderValue=0) > 0
    core = core if core.sum() >= SMALLEST_BLOB else inside > 0  # without its blurred rim
    strewn = [max(0.1, float(np.sqrt(image[core].var(0).sum()))) for image in pictures]
    times = max(strewn) / min(strewn)
    if any(owned.max() < clear and times >= least for clear, least in zip(CLEAR, PLAINER, strict=True)):
        return np.asarray(np.eye(2)[int(np.argmin(strewn))], np.float32)
    return owned
