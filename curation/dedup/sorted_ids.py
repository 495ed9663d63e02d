"""From digests back to the items that have them."""

from dataclasses import dataclass

import numpy as np

from curation.arrays import Array, Ints, Words
from curation.arrays.draws import words


@dataclass(frozen=True)
class SortedIds:
    """The digests of items in the order of their first halves, which are faster to compare."""

    items: Ints
    ids: Array
    order: Ints
    halves: Words
    """Ascending."""

    @classmethod
    def of(cls, items: Ints, ids: Array) -> "SortedIds":
        """Take items [n] and their digests [n]."""
        halves = words(ids)[:, 0]
        order = np.argsort(halves, kind="stable")
        return cls(items, ids, order, halves[order])

    def places(self, wanted: Array) -> Ints:
        """Return the item [n] of each id; all of them are known."""
        place = self.order[np.searchsorted(self.halves, words(wanted)[:, 0])] if len(self.order) else self.order
        for row in np.flatnonzero(self.ids[place] != wanted).tolist():  # where two have one half, by the whole
            place[row] = np.flatnonzero(self.ids == wanted[row])[0]
        return self.items[place]
