"""Draws of rows: seeded, and even over what they are drawn from.

Shapes: B images, Z classes.
"""

import torch
from torch import Tensor


def shuffled(count: int, seed: int) -> Tensor:
    """Return the rows 0 … count - 1 in an order that only the seed decides."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed))


def drawn(count: int, limit: int, seed: int) -> Tensor:
    """Return at most `limit` of the rows 0 … count - 1, ascending."""
    return shuffled(count, seed)[:limit].sort().values if count > limit else torch.arange(count)


def split_evenly(label_B: Tensor, share: float, seed: int) -> tuple[Tensor, Tensor]:
    """Return the rows that stay and the rows that are kept back: about this share of every class, each ascending.

    A class of one image keeps none back, and every class keeps at least one where it is.
    """
    stay, back = [], []
    for number in sorted(set(label_B.tolist())):
        rows = (label_B == number).nonzero()[:, 0]
        rows = rows[shuffled(len(rows), seed).to(rows.device)]
        count = min(len(rows) - 1, max(1, round(share * len(rows))))
        back.append(rows[:count])
        stay.append(rows[count:])
    return torch.cat(stay).sort().values, torch.cat(back).sort().values
