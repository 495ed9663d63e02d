"""Gaussian blur of a small picture as a matrix: what blurs and shrinks it along one side."""

from functools import cache

import numpy as np

from curation.arrays import Floats


@cache
def blurring(side: int, sigma: float, cells: int) -> Floats:
    """Return the matrix [cells, side] that blurs a line of pixels and averages it in equal cells.

    Behind either end the outermost pixel goes on, as with Pillow.
    """
    reach = int(4 * sigma) + 1
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    beyond = np.pad(np.eye(side), ((reach, reach), (0, 0)), mode="edge")
    blurred = np.stack([kernel @ beyond[i : i + len(kernel)] for i in range(side)]) / kernel.sum()
    return np.asarray(blurred.reshape(cells, side // cells, side).mean(1), np.float32)
