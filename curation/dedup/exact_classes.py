"""Images with equal pixels are one class, and its best one stands for it where the star rule is applied."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from curation.arrays import Bools, Bytes, Ints
from curation.dedup.star_rule import Match, Resemblance, walk

EXACT = "exact_duplicate"


@dataclass(frozen=True)
class ComparableColumns:
    """The images that may be compared, as columns."""

    image_id: np.ndarray[Any, np.dtype[np.bytes_]]
    pixels_id: np.ndarray[Any, np.dtype[np.bytes_]]
    merits: tuple[np.ndarray[Any, Any], ...]
    """What tells the better of two copies, the weightiest column first; the smaller value is better."""
    uri: np.ndarray[Any, np.dtype[np.str_]]
    hashes: Bytes
    """Eight hashes of 64 bits a row, [n, 64] bytes: the image upright, then turned."""
    trusted: Bools
    """Whether there is enough in the image to compare more than its bytes."""

    def __len__(self) -> int:
        return len(self.uri)


def keep_order(compared: ComparableColumns) -> Ints:
    """Return the items, best first: by their merits, then the smaller id, then the smaller uri, to be total."""
    return np.lexsort((compared.uri, compared.image_id, *reversed(compared.merits))).astype(np.int64)


def exact_classes(compared: ComparableColumns, order: Ints) -> Ints:
    """Return, for each item, the first item in keep order with equal upright pixels; equal bytes imply them."""
    first: dict[bytes, int] = {}
    leader = np.empty(len(order), dtype=np.int64)
    for item in order:
        leader[item] = first.setdefault(compared.pixels_id[item], int(item))
    return leader


def find_duplicates(
    compared: ComparableColumns, resemblances: Sequence[Resemblance], barred: Bools
) -> dict[int, Match]:
    """Return the items to drop and why; one that is barred is never the reason.

    Exact classes are collapsed first, so a picture that was uploaded 300,000 times costs one comparison. A
    member of a class whose leader is dropped resembles the same kept image, to the bit, and is dropped for it;
    of a class that is barred, nothing is kept.
    """
    order = keep_order(compared)
    leader = exact_classes(compared, order)
    leads = leader[order] == order
    dropped = walk(order[leads], resemblances, barred)
    for item in order[~leads]:
        first = int(leader[item])
        if first in dropped:
            dropped[int(item)] = dropped[first]
        elif not barred[first]:
            dropped[int(item)] = Match(EXACT, 0.0, first, int(item))
    return dropped
