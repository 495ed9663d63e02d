"""SplitMix64: chance from a key that belongs to the data, so that no order and no machine changes it."""

from typing import Any

import numpy as np

SPLITMIX_STEP = np.uint64(0x9E3779B97F4A7C15)
"""What SplitMix64 adds to its state at each step: 2⁶⁴ over the golden ratio."""


def splitmix64(words: np.ndarray[Any, np.dtype[np.uint64]]) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Return words scrambled one to one, as SplitMix64 does with its state (Steele et al. 2014)."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
