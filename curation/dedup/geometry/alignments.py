"""Guesses of how one picture lies over another: affine maps from frame to frame, most likely first.

The whole of one is the whole of the other, turned or mirrored; or keypoints that match agree on a map (RANSAC,
Fischler & Bolles 1981). Full affine maps, because thumbnails are squashed to a square.
"""

from collections.abc import Iterator
from functools import cache

import cv2
import numpy as np

from curation.arrays import Bytes, Doubles, Floats, Ints
from curation.dedup.geometry.features import THUMBNAIL, LocalFeatures
from curation.dedup.geometry.verdicts import MIRRORED, UPRIGHT
from curation.dedup.geometry.window_search import PART_OF, best_windows
from curation.dedup.geometry.windows import ORIENTATIONS, places_of_turns, turned

Affine = Doubles
"""[2, 3], from pixels of the first picture's frame to pixels of the second's."""

PARTS = 2
"""Windows of each picture that are tried."""
TURNS = 2
"""Orientations tried of the whole picture."""
MIN_CORRELATION = 0.5
"""Least correlation of thumbnails at which the whole picture is tried."""
RATIO = 0.85
"""A match is at most this share as far as the second nearest (Lowe 2004)."""
MIN_MATCHES = 6
"""Twice what defines a map; agreement over the pixels decides, so few are enough."""
REACH = 1.5
"""Pixels by which a match may miss the map that it supports."""
MAX_STRETCH = 2.2
"""Ratio of a map's two scales: copies are squashed, but hardly more."""
STEPS, ENOUGH = 40, 1e-4
"""ECC ends after so many steps, or when its correlation grows by less."""
MIRROR = np.arange(128).reshape(4, 4, 8)[::-1, :, -np.arange(8) % 8].ravel()
"""What mirroring a picture does to the entries of a SIFT descriptor: rows of cells swap, angles change sign."""


ORIENTATION_NAMES = (
    (UPRIGHT, "turned 90°", "turned 180°", "turned 270°"),
    (MIRRORED, "mirrored, turned 90°", "mirrored, turned 180°", "mirrored, turned 270°"),
)
FrameShape = tuple[float, ...]


PLACES = places_of_turns(THUMBNAIL)
"""For each orientation, where each pixel of a turned thumbnail comes from."""


def whole(a: LocalFeatures, b: LocalFeatures) -> Iterator[Affine]:
    """Return maps of all of a to all of b, for the orientations in which their thumbnails correlate."""
    scores = a.thumbnail.ravel()[PLACES] @ b.thumbnail.ravel()
    for i in np.argsort(-scores, kind="stable")[:TURNS]:
        if scores[i] >= MIN_CORRELATION:
            yield map_of_turn(a.small.shape, b.small.shape, *ORIENTATIONS[i])


def parts(a: LocalFeatures, b: LocalFeatures) -> Iterator[Affine]:
    """Yield maps of all of one picture to a window of the other that shows it, best first, a few each way."""
    into_b = [(each, a, b, False) for each in best_windows(b.windows, a.windows, PARTS, PART_OF)]
    into_a = [(each, b, a, True) for each in best_windows(a.windows, b.windows, PARTS, PART_OF)]
    for window, shown, picture, inverse in sorted(into_b + into_a, key=lambda part: -part[0].correlation):
        high, wide = picture.small.shape
        affine = map_of_turn(
            shown.small.shape, (window.high * high, window.wide * wide), *ORIENTATIONS[window.orientation]
        )
        affine[:, 2] += window.left * wide, window.top * high
        yield np.asarray(cv2.invertAffineTransform(affine), np.float64) if inverse else affine


def between(affine: Affine, shapes: tuple[FrameShape, FrameShape], others: tuple[FrameShape, FrameShape]) -> Affine:
    """Return a map between two frames as one between frames of other sizes."""
    (first, second), (other_first, other_second) = shapes, others
    return np.asarray(
        (_resized(second, other_second) @ np.vstack([affine, [0, 0, 1]]) @ _resized(other_first, first))[:2]
    )


def _resized(shape: FrameShape, other: FrameShape) -> Doubles:
    x, y = other[1] / shape[1], other[0] / shape[0]
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])


def orientation(affine: Affine) -> str:
    """Return by which turn, counter-clockwise, and then which mirror the first picture is laid over the second."""
    quarters, mirrored = nearest_turn(affine)
    return ORIENTATION_NAMES[mirrored][quarters]


def nearest_turn(affine: Affine) -> tuple[int, bool]:
    """Return the quarter turns nearest to a map, and whether it mirrors after them."""
    linear = affine[:, :2].copy()
    mirrored = determinant(affine) < 0
    if mirrored:
        linear[0] *= -1  # the mirror comes last
    degrees = np.rad2deg(np.arctan2(linear[0, 1] - linear[1, 0], linear[0, 0] + linear[1, 1]))  # y points down
    return round(degrees / 90) % 4, mirrored


def matched(a: LocalFeatures, b: LocalFeatures) -> Iterator[Affine]:
    """Return maps that keypoints agree on, plain and mirrored."""
    one, other = a.keypoints, b.keypoints
    if min(len(one.points), len(other.points)) < MIN_MATCHES:
        return
    right = other.descriptors.astype(np.float32)
    for mirrored in (False, True):
        left = (one.descriptors[:, MIRROR] if mirrored else one.descriptors).astype(np.float32)
        rows, columns = _mutual(left @ right.T)
        if len(rows) >= MIN_MATCHES:
            estimated, inliers = cv2.estimateAffine2D(  # draws from a seed of its own, the same in every call
                one.points[rows], other.points[columns], method=cv2.RANSAC, ransacReprojThreshold=REACH
            )
            affine = None if estimated is None else np.asarray(estimated, np.float64)
            if affine is not None and inliers.sum() >= MIN_MATCHES and _plausible(affine, mirrored):
                yield affine


def refined(a: LocalFeatures, b: LocalFeatures, affine: Affine, steps: int = STEPS) -> Affine | None:
    """Return a map improved on all pixels by ECC (Evangelidis & Psarakis 2008); None where that does not converge."""
    return climbed(a.gray, b.gray, affine, steps)


def climbed(a: Bytes | Floats, b: Bytes | Floats, affine: Affine, steps: int) -> Affine | None:
    """Return a map between two gray frames after so many steps of ECC; None where that does not converge."""
    inward = abs(determinant(affine)) > 1  # the finer picture is warped, as when they are compared
    coarse, fine = (a, b) if inward else (b, a)
    start = np.ascontiguousarray(affine if inward else cv2.invertAffineTransform(affine), np.float32)
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, steps, ENOUGH)
    try:
        _, converged = cv2.findTransformECC(coarse, fine, start, cv2.MOTION_AFFINE, stop)
    except cv2.error as error:
        if error.code != cv2.Error.StsNoConv:
            raise
        return None  # the pictures do not correlate under any map near the first
    better = np.asarray(converged, np.float64)
    return better if inward else np.asarray(cv2.invertAffineTransform(better), np.float64)


def _mutual(products: Floats) -> tuple[Ints, Ints]:
    """Return matches that are nearest both ways, and much nearer than the second nearest."""
    every = np.arange(len(products))
    nearest, back = products.argmax(1), products.argmax(0)
    first = products[every, nearest]
    products[every, nearest] = -1
    second = products.max(1)
    far = np.float32(255**2)  # half the squared distance of descriptors is this minus their product
    rows = np.flatnonzero((back[nearest] == every) & (far - first < RATIO**2 * (far - second)))
    return rows, nearest[rows]


def _plausible(affine: Affine, mirrored: bool) -> bool:
    large, small = np.linalg.svd(affine[:, :2], compute_uv=False)
    return bool(large < MAX_STRETCH * small and (determinant(affine) < 0) == mirrored)


def determinant(affine: Affine) -> float:
    """Return how many times as large a map makes areas, negative where it mirrors: a tenth of NumPy's time for it."""
    (a, b, _), (c, d, _) = affine.tolist()
    return float(a * d - b * c)


def map_of_turn(shape_a: FrameShape, shape_b: FrameShape, quarters: int, mirrored: bool) -> Affine:
    """Turn coordinates instead of gray levels: that says where each place of b comes from in a."""
    half_a, half_b = np.array(shape_a[::-1], np.float64) / 2, np.array(shape_b[::-1], np.float64) / 2
    affine = np.empty((2, 3))
    affine[:, :2] = half_b[:, None] * _turn(quarters, mirrored) / half_a
    affine[:, 2] = (half_b - 0.5) - affine[:, :2] @ (half_a - 0.5)
    return affine


@cache
def _turn(quarters: int, mirrored: bool) -> Doubles:
    corners = np.array([[[-1, -1], [1, -1]], [[-1, 1], [1, 1]]], np.float64)  # [y, x] → x, y of a
    came = np.stack([turned(corners[..., axis], quarters, mirrored) for axis in (0, 1)], axis=-1)
    return np.array([came[0, 1] - came[0, 0], came[1, 0] - came[0, 0]]) / 2  # a to b: from b to a it is transposed
