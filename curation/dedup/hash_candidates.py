"""What hashes propose: pairs within a distance, and copies so plain that embeddings need not be searched for them."""

import numpy as np

from curation.arrays import Array, Bools, Ints
from curation.arrays.runs import ranges, ranks
from curation.dedup.comparable_images import ComparableImages
from curation.dedup.hash_files import Hashes
from curation.dedup.hash_lists import remembered_pairs
from curation.dedup.hash_pairs import equal_groups
from curation.dedup.knn_pairs import NeighbourPairs, merged
from curation.dedup.star_components import EXACT_KIND, StarEdges, star_rule
from curation.dedup.thumbnails import as_one
from curation.params.copies import DedupParams
from shared.stage_runner import Rounds

HASH_KIND = EXACT_KIND + 1
MOST = 64
"""Nearest hashes of an image that are looked at to collapse copies."""


class HashCandidates:
    """The hashes of a corpus, each with its nearest others; equal ones are collapsed before they are searched."""

    def __init__(
        self, images: ComparableImages, order: Array, leads: Bools, params: DedupParams, rounds: Rounds
    ) -> None:
        """Take all images in keep order, and which of them stand for their exact class."""
        self.images, self.params, self.rounds = images, params, rounds
        self.items = order[(leads & images.trusted & params.perceptual.enabled)[order]]
        self.members, self.firsts = equal_groups(self._hashes_of(self.items))
        alone = np.ones(len(self.items), dtype=bool)
        alone[self.members] = False
        self.remembered: list[str] = []
        own = self._hashes_of(self.items[alone])
        image, other, self.distance = self._near("hashes", own, own, max(MOST, self._most), images.made)
        del own
        place = np.flatnonzero(alone)
        self.image, self.other = place[image], place[other]

    def _hashes_of(self, items: Array) -> Hashes:
        return Hashes(lambda: self.images.ids(items), items, lambda: self.images.hashes(items))

    @property
    def _most(self) -> int:
        return self.params.near.nearest + 1

    def _near(self, name: str, queries: Hashes, stored: Hashes, most: int, made: str) -> tuple[Ints, Ints, Ints]:
        distance = self.params.perceptual.distance
        found, files = remembered_pairs(self.rounds, name, made, (queries, stored), distance, most)
        self.remembered += files
        return found

    def collapsed(self) -> NeighbourPairs:
        """Return the images that a hash and a thumbnail take for a better one, each with that one."""
        worse = self.image > self.other  # numbered in keep order
        items = np.concatenate([self.image[worse], self.members])
        others = np.concatenate([self.other[worse], self.firsts])
        kinds = np.full(len(items), HASH_KIND, np.int8)
        kinds[worse.sum() :] = EXACT_KIND
        scores = np.concatenate([-self.distance[worse], np.zeros(len(self.members))]).astype(np.float32)
        drops = star_rule(StarEdges(items, others, kinds, scores))
        items, kept = self.items[drops.item], self.items[drops.kept]
        alike = self.images.alike(self.rounds, "plain", items, kept, as_one)
        return NeighbourPairs.of([items], [kept], [drops.score]).take(alike[np.argsort(items)])

    def pairs(self) -> NeighbourPairs:
        """Return each image with its nearest others; one of equal hashes with the best of them, and what that has."""
        order = np.lexsort((self.other, self.distance, self.image))
        near = order[ranks(self.image[order]) < self._most]
        image, other, distance = self.image[near], self.other[near], self.distance[near]
        starts, ends = (np.searchsorted(image, self.firsts, side) for side in ("left", "right"))
        rows = ranges(starts, ends)
        heirs = np.repeat(self.members, ends - starts)
        images, others = (
            [self.items[side] for side in sides]
            for sides in ((image, self.members, heirs), (other, self.firsts, other[rows]))
        )
        equal = np.zeros(len(self.members), np.float32)
        return NeighbourPairs.of(
            images, others, [-distance.astype(np.float32), equal, -distance[rows].astype(np.float32)]
        )

    def references(self, sets: ComparableImages) -> NeighbourPairs:
        """Return each image with its nearest images of the evaluation sets."""
        theirs = np.flatnonzero(sets.trusted)
        if not len(theirs):
            return merged([])
        ids, first = np.unique(sets.ids_in_sets(theirs), return_index=True)
        theirs = theirs[first]
        own, stored = self._hashes_of(self.items), Hashes(lambda: ids, -1 - theirs, lambda: sets.hashes(theirs))
        image, other, distance = self._near("references", own, stored, self._most, self.images.made + sets.made)
        return NeighbourPairs.of([self.items[image]], [theirs[other]], [-distance.astype(np.float32)])
