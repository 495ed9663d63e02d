"""The vectors of the images that are left: a pass reads each part of the measurements once, whatever it computes."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from curation.arrays.exact import Unit, assign, totals
from curation.arrays.vectors import Arrays
from curation.balance.remaining import Remaining
from curation.dedup.comparable_images import ComparableImages
from shared.catalog import MEASUREMENTS
from shared.storage import Store
from shared.tables import Output, Rows, commit_part
from shared.tables import rows as tables

SIZES = (5, 0, 7, 3)


@pytest.fixture
def values():
    return np.random.default_rng(0).standard_normal((sum(SIZES), 4)).astype(np.float16)


@pytest.fixture
def remaining(tmp_path, values):
    """Every second of fifteen images in four parts, one of them empty."""
    store, kind = Store(str(tmp_path)), MEASUREMENTS.schema.field("vector").type
    blocks = np.split(values, np.cumsum(SIZES)[:-1])
    parts = [
        commit_part(store, "measure", pa.table({"vector": pa.array(list(b), kind)}), f"{i}")
        for i, b in enumerate(blocks)
    ]
    measurements, none = Rows(store, Output("measure", "made", "images", tuple(parts))), np.zeros(0)
    images = ComparableImages(np.arange(len(values)), none, none, measurements, measurements)
    return Remaining(images, np.arange(0, len(values), 2))


@pytest.fixture
def reads(monkeypatch):
    """How often each part was read."""
    counted, read_part = Counter(), tables.read_part

    def counting(store, stage, name, *rest, **options):
        counted[name] += 1
        return read_part(store, stage, name, *rest, **options)

    monkeypatch.setattr(tables, "read_part", counting)
    return counted


@pytest.mark.parametrize("step", [totals, assign])
def test_a_pass_reads_each_part_once_and_gives_what_the_vectors_in_memory_give(remaining, values, reads, step):
    inside = Unit(Arrays(values[::2].astype(np.float32)))
    centroids = inside.take(np.array([0, 3, 5]))
    of_parts = step(Unit(remaining), centroids)
    assert reads == {f"{number}": 1 for number in range(len(SIZES))}
    for found, expected in zip(of_parts, step(inside, centroids), strict=True):
        assert np.allclose(found, expected, atol=1e-6)
