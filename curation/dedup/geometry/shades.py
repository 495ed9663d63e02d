"""Whether an area of a plain picture has another shade while the rest stays as it is: another product, no other light.

A light changes everything: what is black stays black, and what was white may stay so, since nothing is brighter. Other
things that stay say that somebody chose another colour. Where only white stays, and nothing else is there to say
it, a light that would have to be strong is no likely one.
"""

import numpy as np

from curation.arrays import Array, Bools, Floats

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
FLAT = 8.0
"""Standard deviation of gray levels up to which a tile shows one colour."""
MOVED, SAME = 12.0, 3.0
"""Gray levels by which a tile of one colour differs that has another shade, and by which one differs that stays."""
LEAST = 0.01
"""Share of the tiles that an area of another shade fills."""
STUCK, STUCK_SHARE, STUCK_OF_MOVED = 6.0, 0.005, 0.03
"""Gray levels by which the light would have moved a tile that stays, and the share of such tiles, of all and of those
that have moved, that refutes it: noise alone makes some."""
BLACK, GROUND = 20.0, 0.05
"""Gray levels up to which no light moves a tile much, and the share of others that makes a ground."""
STRONG_LIGHT = 1.25
"""How many times as bright a copy may be without anything else to say so."""
TINT = 6.0
"""Levels of Cb and Cr by which the light may miss the colours of what moved."""


def repainted(first: Floats, second: Floats, weight: Floats, asked: Bools, side: int) -> bool:
    """Return whether areas of two RGB images [h, w, 3] differ as no light explains, in the tiles that are asked.

    Pixels of no weight are not in both.
    """
    count = np.maximum(tiled(weight, side), 1)
    images = (first, second)
    means = [tile_means(image, weight, count, side) for image in images]
    grays = [mean @ LUMA for mean in means]
    flat = asked & (_spread(first @ LUMA, grays[0], weight, count, side) <= FLAT)
    flat &= _spread(second @ LUMA, grays[1], weight, count, side) <= FLAT
    change = grays[1] - grays[0]
    moved, same = flat & (np.abs(change) > MOVED), asked & (np.abs(change) <= SAME)
    if moved.sum() < LEAST * asked.sum():
        return False
    dark = 0 if change[moved].sum() > 0 else 1
    low, high = grays[dark][moved], grays[1 - dark][moved]
    gain = float(np.vdot(low, high)) / max(1.0, float(np.vdot(low, low)))
    lit = tile_means(np.clip(gain * images[dark], 0, 255), weight, count, side)
    stuck = same & (lit @ LUMA - grays[dark] > STUCK)
    changed = asked & (np.abs(change) > MOVED)
    if stuck.sum() > max(STUCK_SHARE * asked.sum(), STUCK_OF_MOVED * changed.sum()):
        return True
    grounded = (same & (grays[dark] > BLACK)).sum() >= GROUND * asked.sum()
    off = np.linalg.norm(tints(lit[moved]) - tints(means[1 - dark][moved]), axis=-1)
    return bool(grounded and (gain > STRONG_LIGHT or np.median(off) > TINT))


def _spread(gray: Floats, means: Floats, weight: Floats, count: Floats, side: int) -> Floats:
    variance = tiled(gray * gray * weight, side) / count - means**2
    return np.asarray(np.sqrt(np.maximum(variance, 0)), np.float32)


def tile_means(image: Array, weight: Floats, count: Floats, side: int) -> Floats:
    """Return the mean colour [rows, columns, 3] of every tile, which holds so many pixels of weight, one at least."""
    sums = [tiled(channel * weight, side) for channel in np.moveaxis(image, 2, 0)]
    return np.asarray(np.stack(sums, axis=-1) / count[..., None], np.float32)


def tiled(values: Floats, side: int) -> Floats:
    """Sum [h, w] inside each tile of so many pixels along its sides; a few lines at the edges are left out."""
    rows, columns = values.shape[0] // side, values.shape[1] // side
    cut = values[: rows * side, : columns * side].reshape(rows, side, columns, side)
    return np.asarray(cut.sum((1, 3)))


def tints(colours: Floats) -> Floats:
    """Return Cr and Cb [..., 2] of RGB colours [..., 3]: 0 is no colour."""
    gray = colours @ LUMA
    return np.stack([0.713 * (colours[..., 0] - gray), 0.564 * (colours[..., 2] - gray)], axis=-1)
