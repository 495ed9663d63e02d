"""The order of images: a keyed permutation that is computed where it is needed, never stored."""

import numpy as np

ROUNDS = 6
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mixed(x: np.ndarray) -> np.ndarray:
    """Scramble 64-bit words (SplitMix64)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = x ^ (x >> np.uint64(31))
    return mixed


class Permutation:
    """A permutation of range(size) chosen by a key of integers: a Feistel cipher that walks until it lands.

    Memory is constant, whatever the size. `at` costs about a microsecond for a place, in arrays.
    """

    def __init__(self, size: int, key: tuple[int, ...]) -> None:
        self.size = size
        self.half = np.uint64(max(1, ((size - 1).bit_length() + 1) // 2))
        self.low = np.uint64((1 << int(self.half)) - 1)
        self.keys = np.random.SeedSequence(key).generate_state(ROUNDS, np.uint64)

    def _ciphered(self, x: np.ndarray) -> np.ndarray:
        left, right = x >> self.half, x & self.low
        with np.errstate(over="ignore"):
            for key in self.keys:
                left, right = right, left ^ (_mixed(right * GOLDEN + key) & self.low)
        return (left << self.half) | right

    def at(self, places: np.ndarray) -> np.ndarray:
        """Return the members at these places, as int64."""
        x = self._ciphered(places.astype(np.uint64))
        outside = x >= self.size
        while outside.any():
            x[outside] = self._ciphered(x[outside])
            outside = x >= self.size
        return x.astype(np.int64)
