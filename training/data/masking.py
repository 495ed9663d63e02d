"""Which patches the student does not see: blocks as in BEiT (Bao et al. 2022), exact in number.

Shapes: N = side · side patches of a global crop.
"""

import math

import numpy as np

from training.data.shuffle import Permutation
from training.params import ObjectiveParams

SMALLEST_BLOCK = 4
WIDEST = 1 / 0.3
TRIES = 10


def mask_ratio(crop: int, crops: int, key: tuple[int, ...], params: ObjectiveParams) -> float:
    """Return the share of patches to hide in one global crop of a step; 0 for the crops without a mask.

    The batch's masked crops get ratios evenly spread over `mask_ratio`; a keyed permutation deals them out. So
    the number of hidden patches in a global batch is the same in every step, whoever computes which crop.
    """
    masked = round(crops * params.mask_share)
    dealt = int(Permutation(crops, key).at(np.array([crop]))[0])
    if dealt >= masked:
        return 0.0
    return float(_ratios(np.array([dealt]), masked, params)[0])


def hidden_patches(crops: int, patches: int, params: ObjectiveParams) -> int:
    """Return how many patches are hidden in the global crops of a step, each of so many patches."""
    masked = round(crops * params.mask_share)
    return int((patches * _ratios(np.arange(masked), masked, params)).astype(int).sum())


def _ratios(dealt: np.ndarray, masked: int, params: ObjectiveParams) -> np.ndarray:
    low, high = params.mask_ratio
    spread: np.ndarray = low + (high - low) * (dealt + 0.5) / masked
    return spread


def block_mask(side: int, hidden: int, rng: np.random.Generator) -> np.ndarray:
    """Return a bool mask_N with exactly `hidden` true: rectangles as in BEiT, then their rims for what is lacking.

    BEiT's draw ends when ten tries in a row find no place, often a patch or two short; a patch beside a hidden one adds
    no island, so islands and single patches stay as frequent as in DINOv2.
    """
    mask = np.zeros((side, side), dtype=bool)
    while mask.sum() < hidden and _add_block(mask, hidden - int(mask.sum()), rng):
        pass
    while mask.sum() < hidden:
        _add_beside(mask, rng)
    return mask.reshape(-1)


def _add_beside(mask: np.ndarray, rng: np.random.Generator) -> None:
    """Hide one more patch beside a hidden one; any, where none is hidden."""
    padded = np.pad(mask, 1)
    touching = padded[:-2, 1:-1] | padded[2:, 1:-1] | padded[1:-1, :-2] | padded[1:-1, 2:]
    free = np.flatnonzero(~mask & touching) if mask.any() else np.flatnonzero(~mask)
    mask.flat[rng.choice(free)] = True


def _add_block(mask: np.ndarray, room: int, rng: np.random.Generator) -> bool:
    """Hide one more rectangle that fits into the room; say whether one was found."""
    side = len(mask)
    for _ in range(TRIES):
        area = SMALLEST_BLOCK + (room - SMALLEST_BLOCK) * rng.random()  # down to the room where that is smaller
        aspect = math.exp(rng.uniform(-math.log(WIDEST), math.log(WIDEST)))
        height, width = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if not (0 < height < side and 0 < width < side):
            continue
        top, left = rng.integers(0, side - height + 1), rng.integers(0, side - width + 1)
        block = mask[top : top + height, left : left + width]
        if 0 < block.size - block.sum() <= room:
            block[:] = True
            return True
    return False
