"""Which pairs are worth a comparison of pixels: each image with its nearest better ones, and evaluation images.

Hashes and embeddings propose; neither decides. Of what embeddings propose, thumbnails dismiss most. Copies by bytes or
pixels, and what a hash and a thumbnail take for one picture, are collapsed before embeddings are searched: a picture
with 300,000 copies would otherwise have no other neighbours. Such a copy is compared with the image that it copies, and
with that one's neighbours too where it may itself stand for them: where there are few copies, of which the recipe says
which is kept, and where the image that it copies may be dropped.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from curation.arrays import Array, Bools, Ints
from curation.arrays.runs import narrowed
from curation.dedup.candidate_parts import Proposal, ProposedPairs, pair_parts
from curation.dedup.comparable_images import ComparableImages, comparable_images
from curation.dedup.components import components
from curation.dedup.exact_classes import exact_classes
from curation.dedup.hash_candidates import HashCandidates
from curation.dedup.keep_order import keep_order, merits_of
from curation.dedup.knn_pairs import NeighbourPairs, merged, onward_pairs
from curation.dedup.near_search import EmbeddingSearch, FoundPairs, refuse_low_recall
from curation.dedup.thumbnails import of_one_frame
from curation.embedders.descriptor import DescriptorEmbedder
from curation.params.copies import DedupParams
from shared.catalog import CANDIDATES
from shared.stage_runner import Rounds
from shared.tables import REMEMBERED, Rows, with_facts

FEW = 16
"""Images in a group of likely copies up to which each is compared with each, and with whatever is near one of them:
whichever is kept, nothing else is compared then."""


def pair_tables(
    corpus: tuple[Rows, Rows, Rows], references: tuple[Rows, Rows], params: DedupParams, rounds: Rounds
) -> Iterator[pa.Table | dict[str, Any]]:
    """Yield parts of CANDIDATES, and what is remembered; none where neither hashes nor embeddings are verified.

    Raises WorkFailedError where the recall that was asked for is not reached, and the recipe says to fail then.
    """
    if not params.verifies:
        return
    order = narrowed(keep_order(merits_of(corpus, params)))
    images = comparable_images(*corpus, params)
    sets = comparable_images(*references, None, params)
    search = _Search(images, sets, order, params, rounds)
    of_originals = search.originals()
    touching = search.references()
    pairs = search.better(of_originals, touching.item)
    searched = {each.column: each.facts() for each in search.embeddings}
    refuse_low_recall(searched, params.near.candidates.below_recall)
    proposals = [
        Proposal(images, images, pairs, search.cells(pairs.item)),
        Proposal(images, sets, touching, search.cells(touching.item), "source"),
    ]
    # On a part of its own: among the pairs, a recall that changed would rename them.
    recall = {column: facts["recall"] for column, facts in searched.items()}
    nothing = CANDIDATES.schema.empty_table()
    yield with_facts(nothing, {"recall": recall, "searched": searched, "dismissed": search.dismissed})
    remembered = sorted({*search.hashes.remembered, *(n for each in search.embeddings for n in each.remembered)})
    del order, search, of_originals  # what the search held of each image
    yield from pair_parts(proposals)
    yield {REMEMBERED: remembered}


class _Search:
    """The searches of one corpus and its evaluation sets."""

    def __init__(
        self, images: ComparableImages, sets: ComparableImages, order: Array, params: DedupParams, rounds: Rounds
    ) -> None:
        """Take the images, and their order, the best first."""
        near = params.near
        self.images, self.sets, self.order, self.rounds = images, sets, order, rounds
        self.leads = exact_classes(images.pixels_id, order) == np.arange(len(order))
        self.dismissed = 0
        self.hashes = HashCandidates(images, self.order, self.leads, params, rounds)
        self.copies = self.hashes.collapsed()
        self.embeddings: list[EmbeddingSearch] = []
        if near.enabled and near.verify == "geometric":
            own = EmbeddingSearch(images, sets, "vector", near.embedder, near, rounds, near.candidate_cosine)
            self.embeddings.append(own)
        if near.layout:
            embedder = DescriptorEmbedder()
            cosine = embedder.candidate_cosine
            self.embeddings.append(EmbeddingSearch(images, sets, "layout", embedder, near, rounds, cosine))

    def cells(self, items: Ints) -> Ints:
        """Return the bucket [n] of each, by which pairs are cut: a copy's is that of the image that it copies."""
        if not self.embeddings:
            return np.zeros(len(items), np.int64)
        cells = self.embeddings[0].cells
        cells[self.copies.item] = cells[self.copies.other]
        return cells[items].astype(np.int64)

    def originals(self) -> NeighbourPairs:
        """Return the images that hashes did not collapse, each with its nearest better ones."""
        alone = self.leads.copy()
        alone[self.copies.item] = False
        asked, items = self.embeddings if alone.any() else [], np.flatnonzero(alone)
        found = [self._likely(each, some) for each in asked for some in each.neighbours(items)]
        return merged(found).directed(self.order)

    def references(self) -> ProposedPairs:
        """Return the images with the evaluation images nearest to them."""
        if not len(self.sets):
            return ProposedPairs.of(merged([]), merged([]))
        leads = np.flatnonzero(self.leads)
        found = [self._likely(each, some) for each in self.embeddings for some in each.references(leads)]
        return ProposedPairs.of(merged(found), self.hashes.references(self.sets))

    def better(self, of_originals: NeighbourPairs, doubtful: Ints) -> ProposedPairs:
        """Return each image with its nearest better ones; `doubtful` may turn out to be contaminated."""
        by_hash = merged([self.copies, self.hashes.pairs()]).directed(self.order)
        alike = by_hash.take(self.images.alike(self.rounds, "frames", by_hash.item, by_hash.other, of_one_frame))
        few = _in_small_groups(alike, len(self.order))
        droppable = few.copy()
        droppable[np.concatenate([doubtful, of_originals.item, alike.item])] = True
        onward = [onward_pairs(of_originals, alike, droppable), onward_pairs(alike, alike, few)]
        return ProposedPairs.of(merged([of_originals, *onward]).directed(self.order), by_hash)

    def _likely(self, search: EmbeddingSearch, found: FoundPairs) -> NeighbourPairs:
        """Dismiss pairs of which neither thumbnail shows a part of the other, but not the nearest of one left alone.

        Thumbnails see neither small crops nor turns by other than right angles.
        """
        pairs, likely = found.pairs, found.shown.copy()
        alone = ~np.isin(pairs.item, pairs.item[likely]) & (pairs.nearness >= search.alone)
        order = np.lexsort((pairs.other, -pairs.nearness, pairs.item))
        order = order[alone[order]]
        likely[order[np.unique(pairs.item[order], return_index=True)[1]]] = True
        self.dismissed += int((~likely).sum())
        return pairs.take(likely)


def _in_small_groups(alike: NeighbourPairs, count: int) -> Bools:
    """Return which of so many images have few others that are alike, however far on."""
    items, groups = components(np.stack([alike.item, alike.other], axis=1))
    number = np.unique(groups, return_inverse=True)[1]
    few = np.ones(count, dtype=bool)
    few[items] = np.bincount(number)[number] <= FEW
    return few
