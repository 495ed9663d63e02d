"""Gaussian blur of small pictures by matrices, exact: the same bits for any library and any number of threads.

Weights are multiples of 2⁻²⁰, so that what they make of levels of 8 bits, first along one side, then along the other,
are multiples of 2⁻⁴⁰ below 2⁸: doubles hold them, in whatever order they are summed.
"""

from functools import cache

import numpy as np

from curation.arrays import Array, Doubles

GRID = 2.0**20


def blurred_cells(levels: Array, sigma: float, cells: int) -> Doubles:
    """Return the means [n, cells, cells] of equal cells of gray pictures [n, side, side] under a blur of `sigma`.

    `levels` are whole numbers up to 255.
    """
    rows = _blurring(levels.shape[1], sigma, cells)
    return np.asarray(rows @ levels.astype(np.float64) @ rows.T)


@cache
def _blurring(side: int, sigma: float, cells: int) -> Doubles:
    """Return the matrix [cells, side] that blurs a line of pixels and averages it in equal cells.

    Behind either end the outermost pixel goes on, as with Pillow.
    """
    reach = int(4 * sigma) + 1
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    beyond = np.pad(np.eye(side), ((reach, reach), (0, 0)), mode="edge")
    blurred = np.stack([(kernel[:, None] * beyond[i : i + len(kernel)]).sum(0) for i in range(side)]) / kernel.sum()
    return np.asarray(np.rint(blurred.reshape(cells, side // cells, side).mean(1) * GRID) / GRID)
