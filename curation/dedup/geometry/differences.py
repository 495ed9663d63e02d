"""What differs between two pictures that lie over each other: nothing but noise, something laid over one, or content.

Agreement asks how much is alike, and pages of one form, boards of one game or shots of one shop are alike in most
of it. What tells them apart is what is left after the best fit of light: of a copy, compression and resampling leave
a residual that is small wherever there is detail; other content leaves places that nothing of the other explains.
"""

from typing import NamedTuple

import cv2
import numpy as np

from curation.arrays import Array, Bools, Bytes, Floats
from curation.dedup.geometry.alignments import Affine, determinant
from curation.dedup.geometry.overlays import Laying, laying
from curation.dedup.geometry.shades import LUMA, repainted, tile_means, tiled, tints

TILE, MIN_TILES = 12, 8
"""Pixels along a tile of the finer frame, and the least tiles along its shorter side."""
ASKED = 0.6
"""Share of a tile in which both pictures are, from which it is asked."""
UNEXPLAINED = 0.5
"""A tile with content differs where the residual is more than this share of the mean energy of both."""
EXPLAINED = 0.25
"""Where detail agrees so well, another mean is a change of light."""
CONTENT, CONTENT_SHARE = 3.0, 0.12
"""Standard deviation of detail, in gray levels and as a share of the picture's contrast, that makes content."""
LEVEL, LEVEL_SHARE = 10.0, 0.35
"""Differing of mean gray levels, and its share of the contrast, from which a tile differs without any detail."""
SIGMAS = (0.0, 0.6, 1.0, 1.6, 2.4)
"""Blurs of the sharper picture, of which that with the least residual is taken."""
LIGHT = 32.0
"""Pixels of the finer frame: what a blur of this width leaves is light."""
CAP = 20.0
"""Gray levels from which a residual counts no more while maps are chosen: a watermark must not bend them."""
NOTHING = Laying(0.0, 0.0)


class Laid(NamedTuple):
    """Two pictures in the frame of the coarser one, cut to where they meet."""

    first: Floats
    """RGB [h, w, 3] of the finer picture, blurred as the coarser one was when it was shrunk."""
    second: Floats
    both: Bools


class Differing(NamedTuple):
    """What differs, in shares."""

    conflict: float
    """Of the tiles: those that nothing explains."""
    residual: float
    """Of the energy of detail, in tiles with content."""
    rest: float
    """The same in tiles without conflict."""
    colour: float
    """97th percentile over tiles of the difference of colours, in levels of Cb and Cr, the richer made as pale."""
    laying: Laying
    """What one picture hides of the other; of plain pictures nobody asks."""
    strength: float
    """Of the energy of detail: what nothing explains in tiles that conflict."""
    levels: float
    """Of the tiles: those that are brighter or darker in one, without detail that explains it."""
    repainted: bool
    """Whether an area has another shade while the rest stays, as under no light; of rich pictures nobody asks."""


def laid(a: Bytes, b: Bytes, affine: Affine) -> Laid | None:
    """Lay the finer of two RGB frames over the coarser one; None where too little meets."""
    if abs(determinant(affine)) > 1:
        a, b, affine = b, a, np.asarray(cv2.invertAffineTransform(affine), np.float64)
    height, width = b.shape[:2]
    scale = abs(determinant(affine)) ** 0.5
    source = a.astype(np.float32)
    if scale < 0.8:
        source = _blurred(source, 0.5 * (scale**-2 - 1) ** 0.5)
    inside = cv2.warpAffine(np.ones(a.shape[:2], np.uint8), affine, (width, height), flags=cv2.INTER_NEAREST)
    both = np.asarray(cv2.erode(inside, np.ones((3, 3), np.uint8), borderValue=0), dtype=bool)
    rows, columns = np.flatnonzero(both.any(1)), np.flatnonzero(both.any(0))
    if min(len(rows), len(columns)) < 2 * MIN_TILES:
        return None
    warped = np.asarray(cv2.warpAffine(source, affine, (width, height), borderMode=cv2.BORDER_REFLECT), np.float32)
    cut = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Laid(warped[cut], b[cut].astype(np.float32), both[cut])


def softened(pair: Laid, sigma: float) -> Laid:
    """Return both pictures blurred, and without the light that falls over wide parts of them."""
    first, second = (
        np.asarray(_blurred(image, sigma) - _blurred(image, LIGHT) + image.mean((0, 1)), np.float32)
        for image in (pair.first, pair.second)
    )
    return Laid(first, second, pair.both)


def misfit(pair: Laid) -> float:
    """Return the mean residual of gray levels, each capped: what the best of several maps makes small."""
    few = Laid(pair.first[::2, ::2], pair.second[::2, ::2], pair.both[::2, ::2])
    first, second, _ = _fitted(few)
    x, y = first @ LUMA, second @ LUMA
    return float(np.minimum(np.abs(x - y)[few.both], CAP).mean())


def difference(pair: Laid, plain: bool) -> Differing:
    """Return what differs between two pictures that are laid over each other, both rich or one of them plain."""
    first, second, inliers = _fitted(pair)
    x, y = _as_sharp(first @ LUMA, second @ LUMA, inliers)
    contrast = float(np.sqrt(max(1.0, x[pair.both].std() * y[pair.both].std())))
    side = min(TILE, max(4, min(x.shape) // MIN_TILES))
    count = tiled(pair.both.astype(np.float32), side)
    asked = count >= ASKED * side * side
    weight, count = pair.both.astype(np.float32), np.maximum(count, 1)
    energy, shared = _energies(_detail(x) * weight, _detail(y) * weight, count, side)
    content = asked & (energy.max(0) >= max(CONTENT, CONTENT_SHARE * contrast) ** 2)
    total, left = energy.sum(0), np.maximum(energy.sum(0) - 2 * shared, 0)
    level = np.abs(tiled((x - y) * weight, side)) / count
    unlit = (level > max(LEVEL, LEVEL_SHARE * contrast)) & ~(content & (left <= EXPLAINED * total))
    conflict = content & (left > UNEXPLAINED * total) | asked & unlit
    return Differing(
        conflict=float(conflict.sum() / max(1, asked.sum())),
        residual=_share(left, total, content),
        rest=_share(left, total, content & ~conflict),
        colour=_colour(pair, count, asked & ~conflict, side),
        laying=NOTHING if plain else laying(first, second, inliers, pair.both, contrast),
        strength=float(left[conflict].sum() / max(1e-3, float(total[content].sum()))),
        levels=float((asked & unlit).sum() / max(1, asked.sum())),
        repainted=plain and repainted(pair.first, pair.second, weight, asked, side),
    )


def _fitted(pair: Laid) -> tuple[Floats, Floats, Bools]:
    """Return RGB with the light of the dimmer picture fitted to the other's, and where they agree after that.

    One gain and one offset, fitted where the two already agree, so that a white patch does not bend them; what gets
    brighter than white is cut off, as it is in a copy that was made brighter.
    """
    x, y, inliers = pair.first @ LUMA, pair.second @ LUMA, pair.both
    gain, offset = 1.0, 0.0
    for _ in range(3):
        u, v = x[inliers], y[inliers]
        spread = float(u.std() * v.std())
        related = spread > 1 and float(np.mean((u - u.mean()) * (v - v.mean()))) > 0.2 * spread
        gain = float(v.std() / u.std()) if related else 1.0
        offset = float(v.mean() - gain * u.mean())
        residual = np.abs(gain * x + offset - y)
        middle = float(np.median(residual[::3, ::3][pair.both[::3, ::3]]))
        agreeing = pair.both & (residual <= max(6.0, 2.5 * middle))
        if agreeing.sum() < 0.2 * pair.both.sum():
            break
        inliers = agreeing
    if gain >= 1:
        return _relit(pair.first, gain, offset), pair.second, inliers
    return pair.first, _relit(pair.second, 1 / gain, -offset / gain), inliers


def _relit(image: Floats, gain: float, offset: float) -> Floats:
    return np.asarray(np.clip(np.float32(gain) * image + np.float32(offset), 0, 255))


def _as_sharp(x: Floats, y: Floats, inliers: Bools) -> tuple[Floats, Floats]:
    """Blur the sharper one until the residual is least."""

    def sharpness(gray: Floats) -> float:
        return float(np.square(cv2.Laplacian(gray, cv2.CV_32F)[inliers]).mean())

    swapped = sharpness(x) < sharpness(y)
    sharp, soft = (y, x) if swapped else (x, y)
    blurs = [_blurred(sharp, sigma) for sigma in SIGMAS]
    residuals = [float(np.square((blur - soft)[inliers]).mean()) for blur in blurs]
    best = int(np.argmin([residual * 1.03**i for i, residual in enumerate(residuals)]))
    return (soft, blurs[best]) if swapped else (blurs[best], soft)


def _energies(x: Floats, y: Floats, count: Floats, side: int) -> tuple[Floats, Floats]:
    """Return the variances [2, rows, columns] and the covariance of two images in every tile."""
    mean_x, mean_y = tiled(x, side) / count, tiled(y, side) / count
    variances = np.stack([tiled(x * x, side) / count - mean_x**2, tiled(y * y, side) / count - mean_y**2])
    return variances, tiled(x * y, side) / count - mean_x * mean_y


def _share(part: Floats, whole: Floats, chosen: Bools) -> float:
    return float(part[chosen].sum() / max(1e-3, float(whole[chosen].sum())))


def _colour(pair: Laid, count: Floats, chosen: Bools, side: int) -> float:
    """A copy may have lost some or all of its colour, but has none of another kind. Tiles average noise away."""
    weight = pair.both.astype(np.float32)
    planes = []
    for image in (pair.first, pair.second):
        planes.append(tints(tile_means(image, weight, count, side))[chosen])
    rich, pale = sorted(planes, key=lambda plane: -float(np.square(plane).sum()))
    if not len(rich):
        return 0.0
    paled = np.clip(float(np.vdot(rich, pale)) / max(1e-3, float(np.vdot(rich, rich))), 0, 1)
    return float(np.percentile(np.sqrt(np.square(paled * rich - pale).sum(1)), 97))


def _detail(gray: Floats) -> Floats:
    return gray - _blurred(gray, 6.0)


def _blurred(image: Array, sigma: float) -> Floats:
    if sigma < 0.2:
        return np.asarray(image, np.float32)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT), np.float32)
