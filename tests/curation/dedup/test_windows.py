"""Which part of one small picture another one shows: as by comparing every window in every turn."""

import cv2
import numpy as np
import pytest

from curation.arrays import Floats
from curation.dedup.geometry.windows import (
    CELLS,
    ORIENTATIONS,
    PART_OF,
    SIDE,
    averaging,
    best_correlation,
    best_windows,
    spans,
    turned,
)


def picture(patches: int, seed: int) -> bytes:
    """Soft patches, the softer the fewer."""
    levels = np.random.default_rng(seed).integers(0, 256, (patches, patches), dtype=np.uint8)
    return cv2.resize(levels, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC).tobytes()


def cropped(gray: bytes, low: int, high: int) -> bytes:
    levels = np.frombuffer(gray, np.uint8).reshape(SIDE, SIDE)[low:high, low:high]
    return cv2.resize(np.ascontiguousarray(levels), (SIDE, SIDE), interpolation=cv2.INTER_LINEAR).tobytes()


def cells(gray: bytes, top: tuple[float, float], left: tuple[float, float]) -> Floats:
    levels = np.frombuffer(gray, np.uint8).reshape(SIDE, SIDE).astype(np.float64)
    return averaging(SIDE, *top, CELLS) @ levels @ averaging(SIDE, *left, CELLS).T


def by_comparing_all(gray: bytes, other: bytes) -> Floats:
    """The correlations of every window with the other's whole in every turn."""
    whole = cells(other, (0, 1), (0, 1))
    turns = [turned(whole, *orientation).ravel() for orientation in ORIENTATIONS]
    windows = [cells(gray, top, left).ravel() for top in spans() for left in spans()]
    return np.array([[np.corrcoef(window, turn)[0, 1] for turn in turns] for window in windows])


PAIRS = [(picture(n, seed), picture(n, seed + 50)) for n in (2, 3, 6) for seed in range(3)]
PAIRS += [(picture(n, 9), cropped(picture(n, 9), 4, 27)) for n in (3, 6, 30)]


@pytest.mark.parametrize("pair", PAIRS)
def test_the_bound_by_coarse_waves_dismisses_no_window_that_shows_the_whole(pair):
    one, other = pair
    every = by_comparing_all(one, other), by_comparing_all(other, one)
    best = max(side.max() for side in every)
    if best >= PART_OF:
        assert best_correlation(one, other) == pytest.approx(best, abs=1e-4)
    else:
        assert best_correlation(one, other) < PART_OF
    found = [window.correlation for window in best_windows(one, other, 5)]
    assert found == pytest.approx(np.sort(every[0].ravel())[::-1][:5].tolist(), abs=1e-4)


def test_the_pairs_are_of_both_kinds():
    shown = [best_correlation(one, other) >= PART_OF for one, other in PAIRS]
    assert any(shown)
    assert not all(shown)
