"""Guesses of how one picture lies over another: affine maps from frame to frame, most likely first.

The whole of one is the whole of the other, turned or mirrored; or keypoints that match agree on a map (RANSAC,
Fischler & Bolles 1981). Full affine maps, because thumbnails are squashed to a square.
"""

from collections.abc import Iterator

import cv2
import numpy as np

from curation.arrays import Array, Doubles, Floats, Ints
from curation.dedup.geometry.features import THUMBNAIL, LocalFeatures

Affine = Doubles
"""[2, 3], from pixels of the first picture's frame to pixels of the second's."""

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


def _turned(grid: Array, quarters: int, mirrored: bool) -> Array:
    turned = np.rot90(grid, quarters)
    return np.fliplr(turned) if mirrored else turned


ORIENTATIONS = [(quarters, mirrored) for quarters in range(4) for mirrored in (False, True)]
PLACES = np.stack(
    [_turned(np.arange(THUMBNAIL**2).reshape(THUMBNAIL, THUMBNAIL), *turn).ravel() for turn in ORIENTATIONS]
)
"""For each orientation, where each pixel of a turned thumbnail comes from."""


def whole(a: LocalFeatures, b: LocalFeatures) -> Iterator[Affine]:
    """Return maps of all of a to all of b, for the orientations in which their thumbnails correlate."""
    scores = a.thumbnail.ravel()[PLACES] @ b.thumbnail.ravel()
    for i in np.argsort(-scores, kind="stable")[:TURNS]:
        if scores[i] >= MIN_CORRELATION:
            yield _map_of_turn(a, b, *ORIENTATIONS[i])


def matched(a: LocalFeatures, b: LocalFeatures) -> Iterator[Affine]:
    """Return maps that keypoints agree on, plain and mirrored."""
    if min(len(a.points), len(b.points)) < MIN_MATCHES:
        return
    right = b.descriptors.astype(np.float32)
    for mirrored in (False, True):
        left = (a.descriptors[:, MIRROR] if mirrored else a.descriptors).astype(np.float32)
        rows, columns = _mutual(left @ right.T)
        if len(rows) >= MIN_MATCHES:
            estimated, inliers = cv2.estimateAffine2D(  # draws from a seed of its own, the same in every call
                a.points[rows], b.points[columns], method=cv2.RANSAC, ransacReprojThreshold=REACH
            )
            affine = None if estimated is None else np.asarray(estimated, np.float64)
            if affine is not None and inliers.sum() >= MIN_MATCHES and _plausible(affine, mirrored):
                yield affine


def refined(a: LocalFeatures, b: LocalFeatures, affine: Affine) -> Affine | None:
    """Return a map improved on all pixels by ECC (Evangelidis & Psarakis 2008); None where that does not converge."""
    inward = abs(np.linalg.det(affine[:, :2])) > 1  # the finer picture is warped, as when they are compared
    coarse, fine = (a, b) if inward else (b, a)
    start = np.asarray(affine if inward else cv2.invertAffineTransform(affine), np.float32)
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, STEPS, ENOUGH)
    try:
        _, converged = cv2.findTransformECC(coarse.gray, fine.gray, start, cv2.MOTION_AFFINE, stop)
    except cv2.error:  # OpenCV's way to say that the pictures do not correlate under any map near the first
        return None
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
    return bool(large < MAX_STRETCH * small and (np.linalg.det(affine[:, :2]) < 0) == mirrored)


def _map_of_turn(a: LocalFeatures, b: LocalFeatures, quarters: int, mirrored: bool) -> Affine:
    """Turn coordinates instead of gray levels: that says where each place of b comes from in a."""
    corners = np.array([[[-1, -1], [1, -1]], [[-1, 1], [1, 1]]], np.float64)  # [y, x] → x, y of a
    came = np.stack([_turned(corners[..., axis], quarters, mirrored) for axis in (0, 1)], axis=-1)
    turn = np.stack([came[0, 1] - came[0, 0], came[1, 0] - came[0, 0]], axis=1) / 2  # b to a; its inverse: transposed
    half_a, half_b = (np.array(f.gray.shape[::-1], np.float64) / 2 for f in (a, b))
    linear = half_b[:, None] * turn.T / half_a
    return np.column_stack([linear, (half_b - 0.5) - linear @ (half_a - 0.5)])
