"""How well two pictures agree when one is laid over the other by a given map.

Inlier counts do not separate copies from look-alikes (other photographs of a person share up to 61 keypoints),
nor does one correlation over everything (two gradients reach .999, two pictures with the same white hole .82).
What does is agreement of the detail, in most places of the overlap.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from curation.arrays import Array, Bools, Bytes, Floats
from curation.dedup.geometry.alignments import Affine, determinant
from curation.dedup.geometry.features import DETAIL_SIGMA, SIDE, SMALL, LocalFeatures, blurred, high_pass

MIN_OVERLAP = 0.5
"""Share of the smaller picture that the larger one must show."""
MIN_SCALE = 1 / 6
"""A picture shrunk further leaves some 20 pixels to judge it by."""
TINY = 107
"""Files with fewer pixels on their longer side have no fine detail: both are blurred before they are compared."""
TINY_BLUR = 1.2
TILES = 4
"""Tiles along each side, of which the median must agree."""
FINE_TILES, FINE_TILE = 8, 4
"""Tiles along each side, of which most must agree, and the least pixels along one; else TILES."""
TILE_DETAIL = 2.0
"""Standard deviation, in gray levels, from which a tile has something to agree about."""
FEW_TILES = 6
KEY, MIDDLE = 0.85, 0.55
"""A copy: everything agrees this well, gray levels and detail, and the median tile does too."""
CLEAR_MIDDLE, ROUGH = 0.90, 0.5
"""Or: the median tile agrees this well, and the whole roughly, as under a watermark or a caption."""
KEY_ALONE = 0.90
"""Or: with fewer tiles than FEW_TILES to ask, everything agrees this well."""
DISSENT, DISSENTING = 0.25, 0.5
"""And in each case: the fine tile that a quarter of all fall below agrees this well. Pages of one template with
other things in the same place stay at .27 (median), copies with a hole or a watermark at .54 and above. A blank
hole in the same place of both, over two fifths of them, still passes in a quarter of cases.
"""
SMALL_DETAIL = DETAIL_SIGMA * SMALL / SIDE
"""Pixels of the small frame: the same blur there."""
GLIMPSE = 0.2
"""From this correlation of detail from afar a guess may be a copy's, off by what a few steps in small frames mend:
windows lie many pixels apart."""
WEAK = 1.1
"""Below this, an agreement in gray is a copy's only if colours agree too: one drawing in two colours scores up to
1.08, so do stop signs and toys, while copies that were recoloured agree in gray almost to the pixel.
"""
TINTED = 6.0
"""Root mean square of Cb and Cr from which a picture has colours to agree about."""
SAME_TINT = 0.5
"""Least cosine between the colours of a copy and its original."""


@dataclass(frozen=True)
class Overlap:
    """Two pictures in one frame, cut to the box where they meet: gray levels [h, w], and where both are."""

    first: Floats
    second: Floats
    both: Bools


def agreement(a: LocalFeatures, b: LocalFeatures, affine: Affine) -> float:
    """Return how alike a and b are where they overlap: a copy from 1.0 on, 0.0 where the overlap is too small.

    With r the correlation of gray levels, d that of detail, m the median of the latter over 4 × 4 tiles:
    max(min(r / .85, d / .85, m / .55), min(m / .90, r / .5)), or min(r, d) / .90 where few tiles have detail.
    What reaches 1.0 is then at most q / .5, with q the lower quartile over 8 × 8 tiles; and what stays below 1.1
    at most c / .5, with c the cosine of the colours, where both have any.
    """
    overlap = laid_over(a.gray, b.gray, affine)
    if overlap is None:
        return 0.0
    first, second = overlap.first, overlap.second
    if min(max(a.size), max(b.size)) < TINY:
        first, second = blurred(first, TINY_BLUR), blurred(second, TINY_BLUR)
    inside = ... if overlap.both.all() else overlap.both  # a mask copies
    gray = _correlation(first[inside], second[inside])
    if gray < ROUGH / 2:  # far from any rule, and most maps end here
        return max(0.0, gray / KEY)
    fine = Overlap(high_pass(first), high_pass(second), overlap.both)
    key = min(gray, _correlation(fine.first[inside], fine.second[inside]))
    tiles = _tile_correlations(fine, TILES)
    if len(tiles) < FEW_TILES:
        score = key / KEY_ALONE
    else:
        middle = float(np.median(tiles))
        score = max(min(key / KEY, middle / MIDDLE), min(middle / CLEAR_MIDDLE, gray / ROUGH))
    if score >= 1:
        score = min(score, _dissent(fine))
    if 1 <= score < WEAK:
        score = min(score, _same_tint(a, b, affine) / SAME_TINT)
    return max(0.0, score)


def glance(a: LocalFeatures, b: LocalFeatures, affine: Affine) -> float:
    """Return how well detail correlates from afar, under a map between small frames; 0.0 where the overlap is small.

    Over everything, or in the median tile, which a watermark or a caption hardly moves: the larger of both.
    """
    overlap = laid_over(a.small, b.small, affine, TILES)
    if overlap is None:
        return 0.0
    inside = ... if overlap.both.all() else overlap.both
    first, second = (side - blurred(side, SMALL_DETAIL) for side in (overlap.first, overlap.second))
    detail = _correlation(first[inside], second[inside])
    if detail < GLIMPSE:  # most guesses end here
        return max(0.0, detail)
    tiles = _tile_correlations(Overlap(first, second, overlap.both), TILES)
    return max(detail, float(np.median(tiles))) if len(tiles) >= FEW_TILES else detail


def _same_tint(a: LocalFeatures, b: LocalFeatures, affine: Affine) -> float:
    """Return the cosine of the colours where two pictures overlap; 1.0 where either has none."""
    planes = [laid_over(a.chroma[..., i], b.chroma[..., i], affine) for i in (0, 1)]
    x, y = (
        np.concatenate([getattr(plane, side)[plane.both] - 128 for plane in planes if plane])
        for side in ("first", "second")
    )
    if min(np.sqrt(np.mean(x * x)), np.sqrt(np.mean(y * y))) < TINTED:
        return 1.0
    return float(np.vdot(x, y) / np.sqrt(np.vdot(x, x) * np.vdot(y, y)))


def _dissent(fine: Overlap) -> float:
    """Return below 1.0 where too many places disagree, however well the others agree."""
    side = FINE_TILES if min(fine.both.shape) >= FINE_TILES * FINE_TILE else TILES
    tiles = _tile_correlations(fine, side)
    return float(np.quantile(tiles, DISSENT)) / DISSENTING if len(tiles) >= FEW_TILES else float("inf")


def laid_over(a: Array, b: Array, affine: Affine, least: int = 2 * TILES) -> Overlap | None:
    """Lay the finer picture over the coarser one, where nothing is invented; None if they hardly meet."""
    if abs(determinant(affine)) > 1:
        a, b, affine = b, a, np.asarray(cv2.invertAffineTransform(affine), np.float64)
    height, width = b.shape
    area = abs(determinant(affine))
    if area < MIN_SCALE**2:
        return None
    inside = cv2.warpAffine(_all_of(a.shape), affine, (width, height), flags=cv2.INTER_NEAREST)
    left, top, wide, high = cv2.boundingRect(inside)
    if min(wide, high) < least or cv2.countNonZero(inside) < MIN_OVERLAP * min(b.size, area * a.size):
        return None
    source = a.astype(np.float32)
    if area < 0.8**2:  # as the other was when it was shrunk: the blur of that many pixels in one
        source = blurred(source, 0.5 * (1 / area - 1) ** 0.5)
    laid = np.asarray(cv2.warpAffine(source, affine, (width, height), borderMode=cv2.BORDER_REFLECT), np.float32)
    cut = np.s_[top : top + high, left : left + wide]
    return Overlap(laid[cut], b[cut].astype(np.float32), inside[cut].view(bool))


@lru_cache(64)
def _all_of(shape: tuple[int, int]) -> Bytes:
    return np.ones(shape, np.uint8)


def _correlation(x: Floats, y: Floats) -> float:
    x, y = ((side - side.sum() / side.size).ravel() for side in (x, y))
    return float(x @ y) / max(1e-6, math.sqrt(float(x @ x) * float(y @ y)))


def _tile_correlations(fine: Overlap, side: int) -> Floats:
    """Return the correlations inside the tiles of a grid [side, side] in which both pictures have detail."""
    high, wide = (length // side for length in fine.both.shape)

    def total(values: Floats) -> Floats:
        """Sum inside each tile; a few lines at the edges are left out."""
        cut = values[: high * side, : wide * side].reshape(side, high, side, wide)
        return np.asarray(cut.sum(1).sum(2).ravel())  # a third of the time of both at once

    x, y = fine.first, fine.second
    if fine.both.all():
        count = np.full(side * side, high * wide, np.float32)
    else:
        weight = fine.both.astype(np.float32)
        count, x, y = np.maximum(total(weight), 1), x * weight, y * weight
    mean_x, mean_y = total(x) / count, total(y) / count
    var_x, var_y = total(x * x) / count - mean_x**2, total(y * y) / count - mean_y**2
    detailed = (np.minimum(var_x, var_y) >= TILE_DETAIL**2) & (count >= high * wide / 4)
    covariance = total(x * y) / count - mean_x * mean_y
    return np.asarray(covariance[detailed] / np.sqrt((var_x * var_y)[detailed]))
