"""Unit vectors on a grid on which float32 inner products are exact, whatever the order of summation.

Every component is rounded to a multiple of 2⁻¹¹. Products are multiples of 2⁻²², and by Cauchy and Schwarz every
partial sum of them is below 2: 23 bits, of which float32 has 24. So BLAS, FAISS and a GPU (without TF32) give the
same bits, and float16 holds the components themselves. Rounding moves a cosine by some 2⁻¹² (standard deviation).
"""

import numpy as np

from curation.arrays import Array, Floats

GRID = 2.0**11


def on_grid(vectors: Array) -> Floats:
    """Return vectors [n, dim] of unit length on the grid; a vector of zeros stays one.

    The squares of float16 components are summed in float64 without rounding, so lengths have no order either.
    """
    exact = vectors.astype(np.float64)
    lengths = np.sqrt((exact * exact).sum(axis=1, keepdims=True))
    return np.asarray(np.rint(exact / np.where(lengths > 0, lengths, 1) * GRID) / GRID, dtype=np.float32)


def least_on_grid(cosine: float) -> np.float32:
    """Return the smallest multiple of 2⁻²² that is at least the cosine."""
    return np.float32(np.ceil(cosine * GRID * GRID) / (GRID * GRID))
