from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.arrays.draws import words
from curation.dedup.ivf.assign import ASKS, TARGET, Probing, VectorPart, bucket_rows, fixed_binary, visits_of
from curation.dedup.ivf.centroids import Centroids, fit
from curation.dedup.ivf.grid import least_on_grid, on_grid
from curation.dedup.ivf.near_pairs import near_pairs
from curation.dedup.ivf.pins import pinned, read_pinned
from curation.dedup.ivf.search import FOUND, read_found, search_bucket
from curation.dedup.ivf.selection import VectorColumn, write_selection
from curation.dedup.ivf.task import NearSearch
from curation.dedup.thumbnail_pairs import may_show
from curation.dedup.thumbnails import LENGTH
from shared.errors import DamagedFileError
from shared.storage import Store
from shared.storage.sorted_file import open_sorted
from shared.tables import commit_part

PAIR = ("item", "other", "cosine")
TURN = np.arange(15, -1, -1)


def corpus(seed, count, dim=16, spread=0.5):
    """Vectors in clumps of some six, and random digests."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(max(1, count // 6), dim))
    vectors = centres[rng.integers(0, len(centres), count)] + spread * rng.normal(size=(count, dim))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = rng.integers(0, 256, (count, 16), dtype=np.uint8).view("V16").reshape(-1)
    return ids, vectors.astype(np.float16)


def all_pairs(ids, vectors, cosine, count, turns=()):
    """The definition: compare all, in float64; a set of (item, other, cosine), the nearest of each item."""
    exact = on_grid(vectors).astype(np.float64)
    scores = exact @ exact.T
    for turn in turns:
        turned = exact[:, turn] @ exact.T
        scores = np.maximum(scores, np.maximum(turned, turned.T))
    np.fill_diagonal(scores, -1)
    expected = set()
    for i, row in enumerate(scores):
        near = [(-row[j], ids[j].tobytes()) for j in np.flatnonzero(row >= least_on_grid(cosine))]
        expected |= {(ids[i].tobytes(), other, -score) for score, other in sorted(near)[:count]}
    return expected


def write_parts(folder, ids, vectors, cuts, roles=None, thumbnails=None):
    """Parts of a table of vectors, and for each the file that names all its rows."""
    store, names = Store(str(folder)), []
    roles = np.full(len(ids), ASKS | TARGET, np.int8) if roles is None else roles
    for number, rows in enumerate(np.split(np.arange(len(ids)), cuts)):
        lists = pa.array(list(vectors[rows]), pa.list_(pa.float16()))
        table = pa.table({"vector": lists})
        if thumbnails is not None:
            table = table.append_column("thumbnail", fixed_binary(thumbnails[rows], LENGTH))
        part = commit_part(store, "measure", table)
        names.append(f"selection-{number}.parquet")
        source = VectorColumn("measure", part.name, part.checksum, "vector")
        write_selection(store, names[-1], source, np.arange(len(rows)), ids[rows], roles[rows])
    return names


def rows_of(ids, vectors, centroids, probing, turns=()):
    part = VectorPart.of(ids, on_grid(vectors))
    return bucket_rows(part, visits_of(part.vectors, centroids, probing, turns))[0]


def searched(folder, into, names, rows, plan, pins="pins", **more):
    return near_pairs(Store(str(folder)), into, names, rows, plan, pins, **more)


def read_pairs(folder, names):
    store, rows = Store(str(folder)), []
    for name in names:
        with open_sorted(store, name) as file:
            table = file.span(bytes(16), None)
            rows += zip(*(table[name].to_pylist() for name in PAIR), strict=True)
    return rows


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 80), st.integers(1, 9), st.booleans())
def test_buckets_that_are_all_visited_give_what_comparing_all_gives(seed, count, buckets, turning):
    ids, vectors = corpus(seed, count)
    turns = [TURN] if turning else []
    centroids = fit(on_grid(vectors), words(ids), count, max(1, count // buckets))
    rows = rows_of(ids, vectors, centroids, Probing(2.0, 1000), turns)
    found = {}
    for bucket in range(len(centroids)):
        table = search_bucket(rows.filter(pa.compute.equal(rows["bucket"], bucket)), 0.7, 1000, turns)
        for item, other, cosine in zip(*(table[name].to_pylist() for name in PAIR), strict=True):
            found[item, other] = max(cosine, found.get((item, other), -1))
    assert {(*pair, cosine) for pair, cosine in found.items()} == all_pairs(ids, vectors, 0.7, 1000, turns)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 60), st.integers(1, 60))
def test_inner_products_on_the_grid_are_exact_in_any_order(seed, count, dim):
    vectors = on_grid(np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float16))
    exact = (vectors.astype(np.float64) @ vectors.T.astype(np.float64)).astype(np.float32)
    order = np.random.default_rng(seed).permutation(dim)
    assert np.array_equal(vectors @ vectors.T, exact)
    assert np.array_equal(vectors[:, order] @ vectors[:, order].T, exact)
    assert np.array_equal(vectors.astype(np.float16).astype(np.float32), vectors)


def test_any_partitioning_and_any_number_of_threads_give_the_same_bytes(tmp_path):
    ids, vectors = corpus(3, 900)
    results = []
    for number, cuts in enumerate(([300], [10, 500, 520], [])):
        folder = tmp_path / str(number)
        folder.mkdir()
        order = np.random.default_rng(number).permutation(900)
        names = write_parts(folder, ids[order], vectors[order], cuts)
        plan = NearSearch(0.8, 4, bucket_rows=60, parts_per_file=1 + number, rows_per_task=120 + 60 * number)
        with ThreadPoolExecutor(3) as threads:
            found = searched(folder, "search", names, 900, plan, run=threads.map if number else map)
        results.append([(folder / name).read_bytes() for name in found.files])
    assert results[0] == results[1] == results[2]


def test_thumbnails_of_a_pair_are_compared_once_whatever_buckets_it_meets_in(tmp_path, monkeypatch):
    ids, vectors = corpus(7, 300)
    patches = np.random.default_rng(7).integers(0, 256, (300, 2, 2), dtype=np.uint8)
    thumbnails = np.stack([np.resize(cv2.resize(each, (32, 32)).ravel(), LENGTH) for each in patches])
    names = write_parts(tmp_path, ids, vectors, [100, 200], thumbnails=thumbnails)
    compared = []
    monkeypatch.setattr(
        "curation.dedup.ivf.search.may_show", lambda rows, pairs: compared.extend(pairs) or may_show(rows, pairs)
    )
    plan = NearSearch(0.7, 10, recall=1.0, bucket_rows=20, thumbnails=True, likely=0.9)
    found = searched(tmp_path, "search", names, 300, plan)
    assert found.visits > 1.5
    row = {image.tobytes(): number for number, image in enumerate(ids)}
    table = read_found(Store(str(tmp_path)), found.files)
    answers, doubtful = set(), set()
    for item, other, cosine, shown in zip(*(table[name].to_pylist() for name in FOUND.names[:4]), strict=True):
        assert shown == (cosine >= 0.9 or may_show(thumbnails, np.array([[row[item], row[other]]]))[0])
        answers.add(shown)
        doubtful |= {frozenset((item, other))} if cosine < 0.9 else set()
    assert answers == {True, False}
    assert len(compared) == len(doubtful)


def test_probing_widens_until_the_recall_asked_for_holds(tmp_path):
    ids, vectors = corpus(5, 3000, spread=0.6)
    names = write_parts(tmp_path, ids, vectors, [1000, 2000])
    truth = {pair[:2] for pair in all_pairs(ids, vectors, 0.75, 10)}
    shares, visits = {}, {}
    for recall in (0.8, 0.99):
        found = searched(tmp_path, f"search-{recall}", names, 3000, NearSearch(0.75, 10, recall, bucket_rows=50))
        pairs = {pair[:2] for pair in read_pairs(tmp_path, found.files)}
        shares[recall], visits[recall] = len(truth & pairs) / len(truth), found.visits
        assert found.reached
        assert abs(found.recall - shares[recall]) < 0.02
    assert shares[0.99] > 0.985
    assert visits[0.8] < visits[0.99]


def test_neighbours_that_nearer_turned_ones_keep_out_of_a_full_list_are_not_missed(tmp_path):
    ids, vectors = corpus(3, 120)
    vectors[60:] = vectors[:60, TURN]
    plan = NearSearch(0.3, 4, bucket_rows=1000, turns=(TURN,))
    found = searched(tmp_path, "w", write_parts(tmp_path, ids, vectors, []), len(ids), plan)
    assert (found.recall, found.reached) == (1.0, True)


def test_a_recall_that_cannot_be_reached_is_said(tmp_path):
    ids, vectors = corpus(5, 2000, spread=0.8)
    names = write_parts(tmp_path, ids, vectors, [])
    found = searched(tmp_path, "search", names, 2000, NearSearch(0.6, 10, 0.99, bucket_rows=20, most_probes=1))
    assert not found.reached
    assert found.recall < 0.9


def test_pinned_centroids_stay_when_images_are_added(tmp_path):
    ids, vectors = corpus(6, 1200)
    names = write_parts(tmp_path, ids, vectors, [800])
    plan = NearSearch(0.8, 4, bucket_rows=100)
    before = searched(tmp_path, "before", names[:1], 800, plan)
    after = searched(tmp_path, "after", names, 1200, plan)
    assert after.centroids == before.centroids
    old = {i.tobytes() for i in ids[:800]}
    kept = {p for p in read_pairs(tmp_path, after.files) if p[0] in old and p[1] in old}
    assert len(kept - set(read_pairs(tmp_path, before.files))) <= 0.02 * len(kept)  # what other probing finds


def test_a_bucket_that_grew_too_large_is_split_and_all_others_stay():
    ids, vectors = corpus(7, 400)
    points = on_grid(vectors)
    centroids = fit(points, words(ids), 400, 100)
    split = centroids.split(1, points[:200], words(ids)[:200], 4)
    assert len(split) > len(centroids)
    assert np.array_equal(np.delete(split.vectors[: len(centroids)], 1, 0), np.delete(centroids.vectors, 1, 0))
    assert Centroids.load(split.dump()).name == split.name != centroids.name


def test_a_corpus_that_outgrew_its_buckets_splits_the_full_ones_under_a_new_version(tmp_path):
    ids, vectors = corpus(6, 3000)
    names = write_parts(tmp_path, ids, vectors, [300])
    plan = NearSearch(0.8, 4, bucket_rows=100)
    small = searched(tmp_path, "small", names[:1], 300, plan)
    large = searched(tmp_path, "large", names, 3000, plan)
    assert ["v0001" in small.centroids, "v0002" in large.centroids] == [True, True]
    assert large.reached
    assert large.largest < 1000
    again = searched(tmp_path, "again", names, 3000, plan)
    assert again.centroids == large.centroids
    assert read_pairs(tmp_path, again.files) == read_pairs(tmp_path, large.files)


@pytest.mark.parametrize("buckets", [1, 12])
def test_who_asks_finds_targets_and_nobody_else(tmp_path, buckets):
    ids, vectors = corpus(8, 600)
    roles = np.random.default_rng(0).choice(np.array([ASKS, TARGET, ASKS | TARGET], np.int8), 600)
    names = write_parts(tmp_path, ids, vectors, [250], roles)
    plan = NearSearch(0.8, 4, recall=1.0, bucket_rows=600 // buckets)
    found = set(read_pairs(tmp_path, searched(tmp_path, "search", names, 600, plan).files))
    asking = {i.tobytes() for i in ids[(roles & ASKS) > 0]}
    targets = (roles & TARGET) > 0
    every = {pair for pair in all_pairs(ids, vectors, 0.8, 600) if pair[0] in asking}
    allowed = {pair for pair in every if pair[1] in {i.tobytes() for i in ids[targets]}}
    assert found <= allowed
    first = {item: min((-c, o) for i, o, c in allowed if i == item) for item in {pair[0] for pair in allowed}}
    hits = [any((item, other, -cosine) == pair for pair in found) for item, (cosine, other) in first.items()]
    assert np.mean(hits) == 1.0 if buckets == 1 else np.mean(hits) > 0.97


def test_centroids_that_are_not_those_of_their_name_are_damage(tmp_path):
    ids, vectors = corpus(6, 300)
    store, points = Store(str(tmp_path)), on_grid(vectors)
    name = pinned(store, "pins", points, words(ids), 300, 100)
    assert pinned(store, "pins", points, words(ids), 300, 100) == name
    store.write(name, Centroids(points[:2]).dump())
    with pytest.raises(DamagedFileError, match="fitted anew"):
        read_pinned(store, name)


def test_a_clump_of_equal_vectors_cannot_be_split_and_ends_in_one_bucket():
    points = on_grid(np.ones((300, 16), np.float16))
    ids = words(corpus(1, 300)[0])
    assert len(fit(points, ids, 300, 10)) == 1


def test_equal_cosines_fall_to_the_smaller_id():
    vectors = np.ones((5, 16), np.float16)
    ids = np.sort(corpus(2, 5)[0])
    rows = rows_of(ids, vectors, Centroids(on_grid(vectors[:1])), Probing(0.0))
    found = search_bucket(rows, 0.9, 1)
    first, second = ids[0].tobytes(), ids[1].tobytes()
    assert set(zip(found["item"].to_pylist(), found["other"].to_pylist(), strict=True)) == {
        (first, second),
        *((other.tobytes(), first) for other in ids[1:]),
    }


@pytest.mark.parametrize("span", [(0, 3), (3, 9), (9, None), (4, 4), (50, None)])
def test_a_span_of_a_sorted_file_is_what_a_filter_gives(tmp_path, span):
    from shared.storage.sorted_file import write_sorted

    keys = np.random.default_rng(0).integers(0, 12, 500)
    write_sorted(Store(str(tmp_path)), "file", pa.table({"key": keys, "row": np.arange(500)}), "key", batch_rows=7)
    low, high = span
    order = np.argsort(keys, kind="stable")
    expected = [r for r in order.tolist() if low <= keys[r] and (high is None or keys[r] < high)]
    with open_sorted(Store(str(tmp_path)), "file") as file:
        assert file.span(low, high)["row"].to_pylist() == expected
