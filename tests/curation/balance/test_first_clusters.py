"""The first level: its size follows from the number of images, its cost has a bound, and order plays no part."""

import numpy as np

from curation.arrays.vectors import Arrays
from curation.balance.first_clusters import first_clusters, first_level


def digests(count, seed=0):
    return np.random.default_rng([seed, 1]).integers(0, 2**64, (count, 2), dtype=np.uint64)


class Counted(Arrays):
    """Vectors that count how often each row is read."""

    def __init__(self, values):
        super().__init__(values, chunk_rows=64)
        object.__setattr__(self, "read", np.zeros(len(values), int))

    def chunks(self):
        for rows, block in super().chunks():
            self.read[rows] += 1
            yield rows, block

    def take(self, rows):
        self.read[rows] += 1
        return super().take(rows)


def test_the_first_level_grows_with_the_root_and_stays_in_bounds():
    assert [first_level(n) for n in (0, 1, 3, 300, 10_000, 10**6, 10**10)] == [1, 1, 1, 100, 1000, 10_000, 10_000]


def test_many_images_are_fitted_on_a_sample_that_their_order_does_not_choose(monkeypatch):
    monkeypatch.setattr("curation.balance.first_clusters.FITTED_IMAGES", 100)
    monkeypatch.setattr("curation.balance.first_clusters.CLUSTERS_PER_ROOT", 1)
    values, ids = np.random.default_rng(0).normal(size=(900, 8)).astype(np.float32), digests(900)
    order = np.random.default_rng(1).permutation(900)
    vectors, shuffled = Counted(values), Counted(values[order])
    one, two = first_clusters(vectors, ids, 0), first_clusters(shuffled, ids[order], 0)
    assert len(one.centroids[0]) == 30  # of all images, not of the sample
    assert np.array_equal(one.centroids[0], two.centroids[0])
    assert (vectors.read.sum(), vectors.read.max()) == (100, 1)
    assert np.array_equal(vectors.read[order], shuffled.read)
    assert not np.array_equal(one.centroids[0], first_clusters(vectors, ids, 1).centroids[0])
