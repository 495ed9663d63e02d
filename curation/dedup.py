"""Which images are copies: equal bytes, equal pixels, then alike; all by the star rule. Arrays in, matches out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from curation.star import Ints, Match, Resemblance, walk

EXACT = "exact_duplicate"


@dataclass(frozen=True)
class Candidates:
    """The images that may be compared, as columns."""

    image_id: np.ndarray[Any, np.dtype[np.bytes_]]
    pixels_id: np.ndarray[Any, np.dtype[np.bytes_]]
    pixels: Ints
    """Width × height."""
    bytes: Ints
    uri: np.ndarray[Any, np.dtype[np.str_]]


def keep_order(candidates: Candidates) -> Ints:
    """Return the items, best first: more pixels, more bytes, smaller id; then the smaller uri, to be total."""
    c = candidates
    return np.lexsort((c.uri, c.image_id, -c.bytes, -c.pixels)).astype(np.int64)


def classes(candidates: Candidates, order: Ints) -> Ints:
    """Return, for each item, the first item in keep order with equal upright pixels; equal bytes imply them."""
    first: dict[bytes, int] = {}
    leader = np.empty(len(order), dtype=np.int64)
    for item in order:
        leader[item] = first.setdefault(candidates.pixels_id[item], int(item))
    return leader


def find_duplicates(candidates: Candidates, resemblances: Sequence[Resemblance]) -> dict[int, Match]:
    """Return the items to drop and why.

    Exact classes are collapsed first, so a picture that was uploaded 300,000 times costs one comparison. A
    member of a class whose leader is dropped resembles the same kept image, to the bit, and is dropped for it.
    """
    order = keep_order(candidates)
    leader = classes(candidates, order)
    leads = leader[order] == order
    dropped = walk(order[leads], resemblances)
    for item in order[~leads]:
        first = int(leader[item])
        dropped[int(item)] = dropped.get(first) or Match(EXACT, 0.0, first)
    return dropped
