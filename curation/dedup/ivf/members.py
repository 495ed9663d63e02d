"""Who takes part in a search, sorted by digest: held once, in 17 bytes each, whatever is asked of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from curation.arrays import Array, Ints
from curation.arrays.draws import draws, words
from curation.dedup.ivf.search import to_ids
from curation.dedup.sorted_ids import ABSENT, SortedIds, halves
from shared.storage import Store
from shared.storage.checked import opened_table, read_table

AT_ONCE = 1_000_000
"""Members that are looked at together, and written as one row group."""


@dataclass(frozen=True)
class Members:
    """The digests of those who take part in a search, each once, and their roles [n]; 0 is none."""

    ids: SortedIds
    roles: Array

    def __len__(self) -> int:
        return len(self.roles)

    @classmethod
    def of(cls, ids: SortedIds, roles: Array) -> "Members":
        """Return who has which role: of a digest that stands there more than once, all of its roles."""
        first = ids.firsts()
        if first.all():
            return cls(ids, roles)
        return cls(ids.where(first), np.bitwise_or.reduceat(roles, np.flatnonzero(first)))

    @classmethod
    def of_selections(cls, store: Store, names: Sequence[str]) -> "Members":
        """Return who takes part in some selections."""
        count = 0
        for name in names:
            with opened_table(store, name) as file:
                count += file.metadata.num_rows
        (high, low), roles, end = np.empty((2, count), np.uint64), np.empty(count, np.int8), 0
        for name in names:
            chosen = read_table(store, name, columns=["image_id", "role"])
            some = slice(end, end := end + len(chosen))
            high[some], low[some] = halves(to_ids(chosen["image_id"]))
            roles[some] = chosen["role"].to_numpy()
        ids, order = SortedIds.sorting(high, low)
        return cls.of(ids, roles[order])

    def roles_of(self, ids: Array) -> Array:
        """Return the roles [m] of some digests, 0 for those who take no part."""
        return self.roles_at(self.ids.find(ids))

    def roles_at(self, place: Ints) -> Array:
        """Return the roles [m] of those who stand in some places, 0 for ABSENT."""
        roles, here = np.zeros(len(place), np.int8), place != ABSENT
        roles[here] = self.roles[place[here]]
        return roles

    def pieces(self) -> Iterator[tuple[Array, Array]]:
        """Yield the digests [m] and roles [m] of those who have a role, some at a time; once at least."""
        for begin in range(0, max(1, len(self)), AT_ONCE):
            roles = self.roles[begin : begin + AT_ONCE]
            yield self.ids.ids(begin, begin + AT_ONCE)[roles > 0], roles[roles > 0]

    def greatest_draw(self, role: int, count: int, purpose: str) -> int:
        """Return the greatest draw of a sample of so many of a role: by it a part knows which of its images are in."""
        least, total = np.zeros(0, np.uint64), 0
        for ids, roles in self.pieces():
            chances = draws(words(ids[(roles & role) > 0]), purpose)
            least, total = np.concatenate([least, chances]), total + len(chances)
            if len(least) > count:
                least = np.partition(least, count - 1)[:count]
        return int(least.max() if total > count else np.iinfo(np.uint64).max)
