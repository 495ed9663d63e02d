"""Images with equal pixels are one class, and its best one stands for it where the star rule is applied."""

from collections.abc import Sequence

import numpy as np

from curation.arrays import Array, Bools, Ints
from curation.dedup.sorted_ids import SortedIds, halves, not_alone
from curation.dedup.star_rule import Match, Resemblance, walk

EXACT = "exact_duplicate"


def exact_classes(pixels_id: Array, order: Ints) -> Ints:
    """Return, for each item, the first item in keep order with equal upright pixels; equal bytes imply them.

    Most digests differ from all others in their first halves, and are looked at no further.
    """
    some = order[not_alone(halves(pixels_id)[0])[order]]
    high, low = halves(pixels_id[some])
    place = np.lexsort((low, high))  # stable: of equal pixels the best first
    first = SortedIds(high[place], low[place]).firsts()
    leader = np.arange(len(order))
    leader[some[place]] = some[place[first]][np.cumsum(first) - 1]
    return leader


def find_duplicates(order: Ints, leader: Ints, resemblances: Sequence[Resemblance], barred: Bools) -> dict[int, Match]:
    """Return the items to drop and why; one that is barred is never the reason.

    Exact classes are collapsed first, so a picture that was uploaded 300,000 times costs one comparison. A
    member of a class whose leader is dropped resembles the same kept image, to the bit, and is dropped for it;
    of a class that is barred, nothing is kept.
    """
    leads = leader[order] == order
    dropped = walk(order[leads], resemblances, barred)
    for item in order[~leads]:
        first = int(leader[item])
        if first in dropped:
            dropped[int(item)] = dropped[first]
        elif not barred[first]:
            dropped[int(item)] = Match(EXACT, 0.0, first, int(item))
    return dropped
