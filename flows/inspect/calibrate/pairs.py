"""Which pairs a person is asked about: some of each stratum of the score, narrow near the limit, wide away from it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shared.images.ids import digest

BELOW = (0.6, 0.8, 0.9, 0.96)
"""Lower edges of the strata below the limit, as shares of it; pairs below the first are not asked about."""
ABOVE = (1.0, 1.03, 1.08)
"""The same from the limit on: geometric scores end at 1.18 times the usual limit."""

Pair = tuple[str, str]


@dataclass(frozen=True)
class Strata:
    """Pairs by their scores, in strata that do not overlap."""

    edges: tuple[float, ...]
    """Lower edge of each stratum, ascending; the last one is open above."""
    scores: np.ndarray
    """Of every pair in a stratum, ascending."""
    pairs: tuple[Pair, ...]
    left_out: int
    """Pairs below the first edge."""

    @property
    def stratum(self) -> np.ndarray:
        """The number of each pair's stratum."""
        return np.searchsorted(self.edges, self.scores, side="right") - 1


def stratified(pairs: Sequence[Pair], scores: Sequence[float], limit: float) -> Strata:
    """Return the pairs in strata around the limit; empty strata are none."""
    order = sorted(range(len(pairs)), key=lambda i: (scores[i], pairs[i]))
    values = np.array([scores[i] for i in order], dtype=float)
    edges = [limit * share for share in (*BELOW, *ABOVE)]
    inside = values >= edges[0]
    counts = np.bincount(np.searchsorted(edges, values[inside], side="right") - 1, minlength=len(edges))
    return Strata(
        edges=tuple(edge for edge, count in zip(edges, counts, strict=True) if count),
        scores=values[inside],
        pairs=tuple(pairs[i] for i, within in zip(order, inside, strict=True) if within),
        left_out=int((~inside).sum()),
    )


def chosen(strata: Strata, count: int) -> list[int]:
    """Return the places of so many pairs: equally many of each stratum, drawn by a digest of their names.

    What a small stratum cannot give goes to those nearest to the middle one, where the limit is.
    """
    members = [np.flatnonzero(strata.stratum == number) for number in range(len(strata.edges))]
    shares = _shared_out(count, [len(places) for places in members])
    drawn = [
        sorted(places.tolist(), key=lambda place: _digest(strata.pairs[place]))[:share]
        for places, share in zip(members, shares, strict=True)
    ]
    return sorted(place for places in drawn for place in places)


def _shared_out(count: int, sizes: Sequence[int]) -> list[int]:
    """Return how many to take of each stratum: one after the other in turn, from the middle outwards."""
    taken = [0] * len(sizes)
    middle = (len(sizes) - 1) / 2
    turns = sorted(range(len(sizes)), key=lambda number: abs(number - middle))
    while sum(taken) < min(count, sum(sizes)):
        for number in turns:
            if taken[number] < sizes[number] and sum(taken) < count:
                taken[number] += 1
    return taken


def pair_id(pair: Pair) -> str:
    """Return what an answer is filed under."""
    return _digest(pair)[:12]


def _digest(pair: Pair) -> str:
    return digest("\0".join(pair).encode("utf-8", "surrogateescape")).hex()
