"""The order of samples: permutations without memory, windows of blocks, weights."""

from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared.dataset_version import Published, held_out
from shared.errors import WorkspaceError
from tests.training.publishing import invented, publish
from training.data.index import SampleIndex
from training.data.published_images import held_out_rows
from training.data.shuffle import Permutation, Shuffle


@pytest.mark.parametrize("size", [1, 2, 3, 64, 65, 1000])
def test_a_keyed_permutation_names_every_place_once(size: int) -> None:
    assert sorted(Permutation(size, (7, 1)).at(np.arange(size))) == list(range(size))


def test_another_key_is_another_order_and_a_billion_places_cost_no_memory() -> None:
    positions = np.arange(1000)
    assert (Permutation(1000, (0, 0)).at(positions) != Permutation(1000, (0, 1)).at(positions)).mean() > 0.9
    far = Permutation(1_200_000_000, (0, 0)).at(np.array([0, 1, 1_199_999_999]))
    assert len(set(far)) == 3
    assert far.max() < 1_200_000_000


COUNTS = np.array([40, 0, 7, 100, 1, 60, 33, 59])


def members(shuffle: Shuffle, epoch: int) -> list[tuple[int, int]]:
    numbers = np.arange(epoch * shuffle.total, (epoch + 1) * shuffle.total)
    return list(zip(*(part.tolist() for part in shuffle.at(numbers)), strict=True))


@pytest.mark.parametrize("window", [1, 50, 120, 1 << 20])
def test_an_epoch_names_each_place_of_each_block_once(window: int) -> None:
    shuffle = Shuffle(COUNTS, seed=3, window=window)
    everything = sorted((block, position) for block, count in enumerate(COUNTS) for position in range(count))
    first, second = members(shuffle, 0), members(shuffle, 1)
    assert sorted(first) == sorted(second) == everything
    assert first != second
    assert first != members(Shuffle(COUNTS, seed=4, window=window), 0)


def test_a_window_reads_a_few_blocks_and_what_fits_into_one_is_shuffled_as_a_whole() -> None:
    counts = np.full(64, 100)
    narrow, wide = Shuffle(counts, 0, window=400), Shuffle(counts, 0, window=10_000)
    assert {len(set(narrow.at(np.arange(start, start + 400))[0])) for start in range(0, 6400, 400)} == {4}
    blocks, positions = wide.at(np.arange(6400))
    images = blocks * 100 + positions
    halves = images[:3200]
    assert abs(halves.mean() - 3199.5) < 150  # six standard deviations
    assert abs(np.corrcoef(images[:-1], images[1:])[0, 1]) < 0.06
    assert len(set(blocks[:64])) > 30


def test_a_sample_is_the_same_whoever_asks_and_in_whatever_company() -> None:
    shuffle = Shuffle(COUNTS, seed=0, window=50)
    numbers = np.random.default_rng(0).integers(0, 3 * shuffle.total, 200)
    together = np.stack(shuffle.at(numbers), axis=1)
    alone = [np.concatenate(Shuffle(COUNTS, 0, 50).at(numbers[i : i + 1])) for i in range(200)]
    assert (together == np.stack(alone)).all()


def test_the_order_of_a_billion_images_costs_memory_for_its_blocks_alone() -> None:
    shuffle = Shuffle(np.full(12_000, 100_000), seed=0)
    blocks, positions = shuffle.at(np.array([0, 1, 599_999_999, 1_199_999_999, 1_200_000_000]))
    assert len(set(zip(blocks.tolist(), positions.tolist(), strict=True))) == 5
    assert shuffle.total == 1_200_000_000


def rewritten(dataset: Published, rows: int, **columns: list[float | None] | None) -> Published:
    """Give the manifest row groups of so many rows, and other values."""
    path = Path(dataset.store.path("manifest", "part-00000.parquet"))
    table = pq.read_table(path)
    for name, values in columns.items():
        new = pa.nulls(len(table)) if values is None else pa.array(values)
        table = table.set_column(table.column_names.index(name), name, new.cast(table.schema.field(name).type))
    pq.write_table(table, path, row_group_size=rows)
    return dataset


def test_blocks_are_read_as_the_order_comes_to_them_and_left_behind(tmp_path: Path) -> None:
    dataset = rewritten(publish(tmp_path, [(None, data) for _, data in invented(64, 2, side=8)]), 4)
    index = SampleIndex(dataset, 0, window=8)
    assert (len(index), len(index.blocks), len(index.read)) == (64, 16, 0)
    seen = []
    for number in range(64):
        seen += index.refs([number])
        assert sum(len(rows.row) for rows in index.read.values()) <= 16
    table = dataset.table("manifest", ["offset", "length"])
    assert sorted(ref.row for ref in seen) == list(range(64))
    assert [(s.offset, s.length) for s in sorted(seen, key=lambda s: s.row)] == list(
        zip(table["offset"].to_pylist(), table["length"].to_pylist(), strict=True)
    )


def test_held_out_images_are_left_out_of_every_block(tmp_path: Path) -> None:
    dataset = rewritten(publish(tmp_path, invented(90, 3, side=8)), 7)
    ids = dataset.table("manifest", ["image_id"])["image_id"]
    flags = [held_out(name) for name in ids.to_pylist()]
    assert held_out_rows(ids).tolist() == flags
    index = SampleIndex(dataset, 0)
    rows = [ref.row for ref in index.refs(list(range(len(index))))]
    assert sorted(rows) == [row for row, flag in enumerate(flags) if not flag]


def test_an_image_is_seen_as_often_as_its_weight_says(tmp_path: Path) -> None:
    weights: list[float | None] = [None, 3.0, 0.5, 0.0, 1.0, 0.25, 2.5, None] * 8
    dataset = publish(tmp_path, [(None, data) for _, data in invented(64, 2, side=8)])
    index = SampleIndex(rewritten(dataset, 10, weight=weights), 0)
    due = np.array([1.0 if weight is None else weight for weight in weights])
    assert len(index) == round(due.sum())
    epochs = [
        Counter(ref.row for ref in index.refs(list(range(e * len(index), (e + 1) * len(index))))) for e in range(40)
    ]
    times = np.array([[epoch[row] for row in range(64)] for epoch in epochs])
    assert (np.abs(times - due) < 1.2).all()  # in each epoch, rounded down or up
    assert np.abs(times.mean(axis=0) - due).max() < 0.3
    assert (times[:, due == 0] == 0).all()
    assert (times[0] != times[1]).any()


def test_a_weight_that_is_none_is_refused(tmp_path: Path) -> None:
    dataset = publish(tmp_path, [(None, data) for _, data in invented(4, 2, side=8)])
    with pytest.raises(
        WorkspaceError, match=r"needs weights of 0 or more, got -1.0 or no number in manifest/part-00000"
    ):
        SampleIndex(rewritten(dataset, 2, weight=[1.0, -1.0, None, 2.0]), 0)


def test_a_dataset_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match="needs a dataset with images, got empty v0001 with none"):
        SampleIndex(publish(tmp_path, [], "empty"), 0)
