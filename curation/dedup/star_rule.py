"""The star rule: an image is dropped only if it directly resembles an image that is kept.

Images are walked in keep order. So no two kept images resemble each other, every dropped image resembles the
one named as its reason, and a chain A ~ B ~ C never deletes C for the sake of B. Blocks only make it fast:
each block is compared with all images kept so far in one search, and with itself in one matrix.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from curation.arrays import Bools, Floats, Ints

BLOCK = 512


class Resemblance(Protocol):
    """One way to resemble: scores where higher is more alike, and -inf stands for unlike."""

    reason: str

    def to_kept(self, items: Ints) -> tuple[Floats, Ints]:
        """Return, for each item, the best score among the kept items, and that item (-1 for none)."""

    def among(self, items: Ints) -> Floats:
        """Return the scores [n, n] of the items with each other."""

    def keep(self, items: Ints) -> None:
        """Add items to those that are kept."""


@dataclass(frozen=True)
class Match:
    """Why an item is dropped: which resemblance, its score, and the kept item that it resembles."""

    reason: str
    score: float
    kept: int
    item: int
    """The one that was compared: of images with equal pixels, the best."""


def walk(
    order: Ints, resemblances: Sequence[Resemblance], barred: Bools | None = None, block: int = BLOCK
) -> dict[int, Match]:
    """Return the dropped items and why.

    `order` lists the items, best first. Where several resemblances hold, the first one in the sequence is the
    reason; within it the best score, then the earlier item. An item that is `barred` (by its number) may
    resemble a kept one, but is not kept itself, so that nothing is dropped for its sake.
    """
    dropped: dict[int, Match] = {}
    for start in range(0, len(order), block):
        items = order[start : start + block]
        earlier = [r.to_kept(items) for r in resemblances]
        inside = [r.among(items) for r in resemblances]
        kept_here = np.zeros(len(items), dtype=bool)
        for i, item in enumerate(items):
            match = _first_match(i, items, kept_here, resemblances, earlier, inside)
            if match is not None:
                dropped[int(item)] = match
            elif barred is None or not barred[item]:
                kept_here[i] = True
        for r in resemblances:
            r.keep(items[kept_here])
    return dropped


def _first_match(
    i: int,
    items: Ints,
    kept_here: Bools,
    resemblances: Sequence[Resemblance],
    earlier: list[tuple[Floats, Ints]],
    inside: list[Floats],
) -> Match | None:
    for r, (scores, kept), matrix in zip(resemblances, earlier, inside, strict=True):
        best, other = float(scores[i]), int(kept[i])
        row = np.where(kept_here, matrix[i], -np.inf)
        j = int(row.argmax())
        if row[j] > best:
            best, other = float(row[j]), int(items[j])
        if best > -np.inf:
            return Match(r.reason, best, other, int(items[i]))
    return None
