"""Masks: exact in number, and shaped like the reference's, which is written here as a slow loop."""

import math
import random

import cv2
import numpy as np
import pytest

from training.data.masking import block_mask

BATCHES, MASKED = 40, 64


def reference_mask(side: int, wanted: int, rng: random.Random) -> np.ndarray:
    """BEiT's generator as DINOv2 runs it: up to ten tries for each rectangle, and an end where all of them fail."""
    mask, hidden = np.zeros((side, side), dtype=bool), 0
    while hidden < wanted:
        room, added = wanted - hidden, 0
        for _ in range(10):
            area = rng.uniform(4, room)
            aspect = math.exp(rng.uniform(math.log(0.3), math.log(1 / 0.3)))
            height, width = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if height >= side or width >= side:
                continue
            top, left = rng.randint(0, side - height), rng.randint(0, side - width)
            fresh = [(y, x) for y in range(top, top + height) for x in range(left, left + width) if not mask[y, x]]
            if 0 < len(fresh) <= room:
                for place in fresh:
                    mask[place] = True
                added = len(fresh)
                break
        if not added:
            break
        hidden += added
    return mask


def islands(mask: np.ndarray) -> tuple[int, int]:
    """Return how many connected islands there are, and how many of them are single patches."""
    count, _, facts, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    return count - 1, int((facts[1:, cv2.CC_STAT_AREA] == 1).sum())


@pytest.mark.parametrize("side", [16, 6])
def test_islands_and_single_patches_are_as_frequent_as_in_the_reference(side: int) -> None:
    drawn, rng, found = random.Random(0), np.random.default_rng(0), []
    for _ in range(BATCHES):
        for number in range(MASKED):
            wanted = int(side**2 * (0.1 + 0.4 * (number + drawn.random()) / MASKED))
            ours = block_mask(side, wanted, rng).reshape(side, side)
            found.append((*islands(reference_mask(side, wanted, drawn)), *islands(ours)))
    components, singles, our_components, our_singles = np.mean(found, axis=0)
    assert our_components == pytest.approx(components, rel=0.1)
    assert our_singles == pytest.approx(singles, rel=0.1)


def test_masks_have_exactly_the_patches_asked_for() -> None:
    for seed in range(50):
        rng = np.random.default_rng(seed)
        hidden = int(rng.integers(0, 129))
        assert block_mask(16, hidden, rng).sum() == hidden
    assert block_mask(6, 36, np.random.default_rng(0)).all()
    assert block_mask(2, 1, np.random.default_rng(0)).sum() == 1
