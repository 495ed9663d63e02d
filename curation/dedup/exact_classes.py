"""Images with equal pixels are one class, and its best one stands for it where the star rule is applied."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.arrays import Array, Bools, Ints, Words
from curation.dedup.star_rule import Match, Resemblance, walk

EXACT = "exact_duplicate"


@dataclass(frozen=True)
class ComparableColumns:
    """The images that may be compared, as columns."""

    image_id: Array
    """Digests [n] of 16 opaque bytes."""
    pixels_id: Array
    merits: tuple[Array, ...]
    """What tells the better of two copies, the weightiest column first; the smaller value is better."""
    uris: Callable[[Ints], pa.ChunkedArray]
    """Reads the uris of some items, which only ties need."""
    trusted: Bools
    """Whether there is enough in the image to compare more than its bytes."""

    def __len__(self) -> int:
        return len(self.trusted)


def keep_order(compared: ComparableColumns) -> Ints:
    """Return the items, best first: by their merits, then the smaller id, then the smaller uri, to be total."""
    keys = [*_halves(compared.image_id), *reversed(compared.merits)]
    order = np.lexsort(keys).astype(np.int64)
    equal = np.ones(max(0, len(order) - 1), dtype=bool)
    for key in keys:
        column = key[order]
        equal &= (column[1:] == column[:-1]) | ((column[1:] != column[1:]) & (column[:-1] != column[:-1]))  # NaN ties
    tied = np.flatnonzero(np.append(equal, False) | np.append(False, equal)) if len(order) else order
    if len(tied):
        group = np.cumsum(~np.append(False, equal)[tied])
        ties = pa.table({"group": group, "uri": compared.uris(order[tied])})
        by_uri = pc.sort_indices(ties, [("group", "ascending"), ("uri", "ascending")]).to_numpy()
        order[tied] = order[tied][by_uri]
    return order


def exact_classes(compared: ComparableColumns, order: Ints) -> Ints:
    """Return, for each item, the first item in keep order with equal upright pixels; equal bytes imply them."""
    low, high = _halves(compared.pixels_id[order])
    place = np.lexsort((low, high))  # stable: of equal pixels the best first
    low, high = low[place], high[place]
    first = np.ones(len(place), dtype=bool)
    first[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
    leader = np.empty(len(order), dtype=np.int64)
    leader[order[place]] = order[place[first]][np.cumsum(first) - 1]
    return leader


def _halves(digests: Array) -> tuple[Words, Words]:
    """Return the lower and the upper half of digests [n], as numbers that sort as their bytes do."""
    halves = digests.view(">u8").reshape(-1, 2).astype(np.uint64)
    return halves[:, 1], halves[:, 0]


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
