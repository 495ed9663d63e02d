"""Nearest neighbours among the images of a corpus by one embedding, found bucket by bucket in many processes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from curation.arrays import Array, Bools, Ints
from curation.dedup.comparable_images import ComparableImages
from curation.dedup.ivf.assign import ASKS, TARGET
from curation.dedup.ivf.near_pairs import NearPairs, near_pairs
from curation.dedup.ivf.search import read_found, to_ids
from curation.dedup.ivf.selection import VectorColumn, write_selection
from curation.dedup.ivf.task import NearSearch
from curation.dedup.knn_pairs import NeighbourPairs
from curation.dedup.sorted_ids import SortedIds
from curation.embedders.embedding import Embedding
from curation.params.copies import NearParams
from shared.errors import WorkFailedError
from shared.params import fingerprint
from shared.stage_runner import Rounds

LIKELY, ALONE = 0.7, 0.45
"""Shares of the way from the least cosine of a candidate to that of a copy."""
PINS = "memory/centroids"
"""The folder of pinned centroids."""
UNKNOWN = -1


@dataclass(frozen=True)
class FoundPairs:
    """Pairs that an embedding proposes, and whether their thumbnails, or the cosine alone, say that they may be one."""

    pairs: NeighbourPairs
    shown: Bools


@dataclass(frozen=True)
class Searched:
    """Images that take part in a search, ascending, and what reads the digests of some of them."""

    images: ComparableImages
    items: Ints
    ids: Callable[[Ints], Array]

    def places(self) -> Callable[[Array], Ints]:
        """Return what finds the item of each digest: 24 bytes an image, for as long as it is kept."""
        ids, order = SortedIds.of(self.ids(self.items))
        items = self.items[order]
        return lambda wanted: items[ids.find(wanted)]


@dataclass
class EmbeddingSearch:
    """One embedding of a corpus and of its evaluation sets."""

    images: ComparableImages
    sets: ComparableImages
    column: str
    embedder: Embedding
    near: NearParams
    rounds: Rounds
    cosine: float
    """The least of a candidate."""
    searches: list[NearPairs] = field(default_factory=list)
    cells: Array = field(init=False)
    """The bucket [n] in which the nearest other of each image was found."""

    def __post_init__(self) -> None:
        self.cells = np.full(len(self.images), UNKNOWN, np.int32)

    @property
    def alone(self) -> float:
        """From here on the nearest one is a candidate, for an image that has no other."""
        return self._between(ALONE)

    def neighbours(self, items: Ints) -> Iterator[FoundPairs]:
        """Yield some of these images, which are ascending, at a time, each with its nearest others among them."""
        own = Searched(self.images, items, self.images.ids)
        selections = self._selections(own, ASKS | TARGET)
        for found, cells in self._found(self._memory("neighbours", self.images), selections, own, own, shaping=True):
            nearest = np.lexsort((-found.pairs.nearness, found.pairs.item))
            places, first = np.unique(found.pairs.item[nearest], return_index=True)
            self.cells[places] = cells[nearest][first]
            yield found

    def references(self, asking: Ints) -> Iterator[FoundPairs]:
        """Yield some images, which are ascending, at a time, each with its nearest images of the evaluation sets."""
        every = self.sets.ids_in_sets(np.arange(len(self.sets)))
        first = np.sort(np.unique(every, return_index=True)[1])
        own, theirs = Searched(self.images, asking, self.images.ids), Searched(self.sets, first, every.__getitem__)
        selections = [*self._selections(own, ASKS), *self._selections(theirs, TARGET)]
        for found, _ in self._found(self._memory("references", self.images, self.sets), selections, own, theirs):
            yield found

    @property
    def remembered(self) -> list[str]:
        """The files in which the next search finds what this one did."""
        return [name for search in self.searches for name in search.remembered]

    def facts(self) -> dict[str, Any]:
        """Return what the searches say of themselves: the worst recall, and what the widest of them took."""
        if not self.searches:
            return {"recall": 1.0, "asked": self.near.candidates.recall, "reached": True}
        worst = min(self.searches, key=lambda each: each.recall)
        return {
            "recall": round(worst.recall, 4),
            "asked": self.near.candidates.recall,
            "reached": all(each.reached for each in self.searches),
            "visits": round(max(each.visits for each in self.searches), 2),
            "largest_bucket": max(each.largest for each in self.searches),
            "centroids": self.searches[0].centroids.rpartition("/")[2],
        }

    def _between(self, share: float) -> float:
        return self.cosine + share * (max(self.cosine, self.embedder.copy_cosine) - self.cosine)

    def _memory(self, what: str, *measured: ComparableImages) -> str:
        """Return the folder of what is remembered of a search: under its name equal pixels have equal vectors."""
        made = fingerprint(self.embedder.identity(), *(each.made for each in measured))
        return f"{self.rounds.memory}/{self.column}-{what}-{made}"

    def _plan(self) -> NearSearch:
        turns = tuple(self.embedder.orientations())
        return NearSearch(
            self.cosine,
            self.near.nearest,
            self.near.candidates.recall,
            turns=turns,
            thumbnails=True,
            likely=self._between(LIKELY),
        )

    def _found(
        self,
        memory: str,
        selections: list[str],
        own: Searched,
        theirs: Searched,
        shaping: bool = False,
    ) -> Iterator[tuple[FoundPairs, Ints]]:
        """Yield the pairs of some images at a time, and the bucket of each pair."""
        folder = f"{self.rounds.folder}/{self.column}-{len(self.searches)}"
        pins = f"{PINS}/{self.column}-{fingerprint(self.embedder.identity())}"
        search = near_pairs(
            self.rounds.store,
            folder,
            selections,
            len(theirs.items),
            self._plan(),
            pins,
            self.rounds.map,
            shaping=shaping,
            memory=memory,
        )
        self.searches.append(search)
        item_of = own.places()
        other_of = item_of if theirs is own else theirs.places()
        for file in search.files:
            table = read_found(self.rounds.store, [file])
            item, other = item_of(to_ids(table["item"])), other_of(to_ids(table["other"]))
            order = np.lexsort((other, item))
            pairs = NeighbourPairs(item[order], other[order], table["cosine"].to_numpy()[order])
            shown = table["shown"].to_numpy(zero_copy_only=False)[order]
            yield FoundPairs(pairs, shown), table["bucket"].to_numpy()[order].astype(np.int64)

    def _selections(self, side: Searched, role: int) -> list[str]:
        """Write which rows of each part take part, under which ids, all in one role; return the files' names."""
        rows, names, first = side.images.rows[side.items], list[str](), 0
        output = side.images.measurements.readable([self.column, "thumbnail"])
        edges = np.searchsorted(rows, np.cumsum([0, *(part.rows for part in output.parts)]))
        for number, part in enumerate(output.parts):
            inside = side.items[edges[number] : edges[number + 1]]
            inside = inside[side.images.trusted[inside]]
            if len(inside):
                name = f"{self.rounds.folder}/{output.stage}-{self.column}-{len(self.searches)}-{number:06d}.parquet"
                source = VectorColumn(output.stage, part.name, part.checksum, self.column)
                roles = np.full(len(inside), role, np.int8)
                chosen = side.images.rows[inside] - first
                write_selection(self.rounds.store, name, source, chosen, side.ids(inside), roles)
                names.append(name)
            first += part.rows
        return names


def refuse_low_recall(searched: dict[str, dict[str, Any]], below_recall: str) -> None:
    """Raise WorkFailedError where a search missed the recall that was asked for and `below_recall` is "fail"."""
    for column, facts in searched.items():
        if not facts["reached"] and below_recall == "fail":
            raise WorkFailedError(
                f"The search for near duplicates needs a recall of {facts['asked']:.3f} by {column}, got "
                f"{facts['recall']:.3f} with {facts['visits']:.1f} buckets an image. Lower "
                "curation.dedup.near.candidates.recall, or set below_recall to say to go on."
            )
