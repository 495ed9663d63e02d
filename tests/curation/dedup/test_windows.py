"""Which part of one small picture another one shows: as by comparing every window in every turn."""

import cv2
import numpy as np
import pytest

from curation.arrays import Floats
from curation.dedup.geometry.window_search import PART_OF, best_shown, best_windows
from curation.dedup.geometry.windows import (
    AT_ONCE,
    CELLS,
    ORIENTATIONS,
    SIDE,
    Windows,
    averaging,
    described,
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


PICTURES = [described(np.frombuffer(b"".join(pair), np.uint8).reshape(2, SIDE, SIDE)) for pair in PAIRS]


def best_correlations(one: Windows, other: Windows) -> list[float]:
    """How well the whole of either shows the other's best window, where it does."""
    return [
        window.correlation
        for pair in ((one, other), (other, one))
        for window in best_shown(pair[0], [pair[1]]).values()
    ]


@pytest.mark.parametrize("number", range(len(PAIRS)))
def test_the_bound_by_coarse_waves_dismisses_no_window_that_shows_the_whole(number):
    grays, (one, other) = PAIRS[number], PICTURES[number]
    every = by_comparing_all(*grays), by_comparing_all(*grays[::-1])
    best = [side.max() for side in every if side.max() >= PART_OF]
    assert best_correlations(one, other) == pytest.approx(best, abs=1e-4)
    found = [window.correlation for window in best_windows(one, other, 5)]
    assert found == pytest.approx(np.sort(every[0].ravel())[::-1][:5].tolist(), abs=1e-4)
    assert found[0] != pytest.approx(PART_OF, abs=1e-4)  # or rounding would decide
    reaching = [window.correlation for window in best_windows(one, other, 5, PART_OF)]
    assert reaching == pytest.approx([each for each in found if each >= PART_OF], abs=1e-6)


def test_the_pairs_are_of_both_kinds():
    shown = [bool(best_correlations(*pair)) for pair in PICTURES]
    assert any(shown)
    assert not all(shown)


def test_a_picture_is_described_to_the_bit_as_alone_whatever_others_are_beside_it():
    grays = np.frombuffer(b"".join(gray for pair in PAIRS for gray in pair), np.uint8).reshape(-1, SIDE, SIDE)
    assert len(grays) > AT_ONCE
    for number, together in enumerate(described(grays)):
        alone = described(grays[number : number + 1])[0]
        assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_what_wholes_show_of_a_picture_is_to_the_bit_what_each_shows_alone():
    every = [windows for pair in PICTURES for windows in pair]
    shown = 0
    for one in every:
        together = best_shown(one, every)
        alone = [best_shown(one, [each]) for each in every]
        assert together == {number: found[0] for number, found in enumerate(alone) if found}
        shown += len(together)
        for number, window in together.items():
            assert window[1:] == best_windows(one, every[number], 1)[0][1:]
    assert len(every) < shown < len(every) ** 2
