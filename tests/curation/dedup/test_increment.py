"""A search that remembers gives what a search from scratch gives, whatever came, went or changed."""

import pickle
from dataclasses import replace
from functools import partial
from itertools import pairwise
from unittest.mock import patch

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.dedup.hash_files import Hashes
from curation.dedup.hash_lists import remembered_pairs
from curation.dedup.hash_pairs import near_hashes
from curation.dedup.ivf import difference, few, lists, members
from curation.dedup.ivf import near_pairs as near_pairs_module
from curation.dedup.ivf.assign import ASKS, TARGET, Probing
from curation.dedup.ivf.bucket_files import spans_of
from curation.dedup.ivf.grid import on_grid
from curation.dedup.ivf.lists import FoundLists, write_lists
from curation.dedup.ivf.members import Members
from curation.dedup.ivf.near_pairs import near_pairs
from curation.dedup.ivf.pins import pin_probing, pinned_probing
from curation.dedup.ivf.search import read_found
from curation.dedup.ivf.task import NearSearch
from curation.dedup.sorted_ids import SortedIds
from curation.dedup.thumbnails import LENGTH
from shared.stage_runner import Rounds
from shared.storage import Store
from shared.storage.sorted_file import open_sorted
from tests.curation.dedup.test_hash_pairs import pieces
from tests.curation.dedup.test_near_pairs import TURN, corpus, write_parts

ROLES = np.array([ASKS, TARGET, ASKS | TARGET], np.int8)


def search(folder, into, ids, vectors, roles, plan, memory, thumbnails=None):
    """Every row that is found, and the search."""
    (folder / into).mkdir()
    cuts = [len(ids) // 3, len(ids) // 2]
    names = [f"{into}/{name}" for name in write_parts(folder / into, ids, vectors, cuts, roles, thumbnails)]
    store = Store(str(folder))
    for part in (folder / into / "stages/measure").glob("*"):
        store.write(f"stages/measure/{part.name}", part.read_bytes())
    found = near_pairs(store, f"{into}/search", names, len(ids), plan, "pins", memory=memory)
    rows = []
    for name in found.files:
        with open_sorted(store, name) as file:
            rows += file.span(bytes(16), None).to_pylist()
    return sorted(rows, key=lambda row: (row["item"], row["other"])), found


def facts(found):
    return found.visits, found.largest, found.recall, found.probing


@settings(max_examples=8, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    buckets=st.sampled_from([1, 5]),
    count=st.sampled_from([1, 3, 10]),
    turning=st.booleans(),
    mixed=st.booleans(),
    left=st.sampled_from([0.0, 0.02, 0.3]),
    share=st.sampled_from([0.0, 1.0]),
)
def test_the_difference_gives_what_a_search_from_scratch_gives(
    tmp_path_factory, seed, buckets, count, turning, mixed, left, share
):
    """Whether the rows of new images travel to all others, or those of all to the buckets."""
    folder, rng = tmp_path_factory.mktemp("series"), np.random.default_rng(seed)
    ids, vectors = corpus(seed, 160)
    roles = rng.choice(ROLES, 160) if mixed else np.full(160, ASKS | TARGET, np.int8)
    turns = (TURN,) if turning else ()
    if turning:
        noise = rng.normal(scale=0.12, size=(80, 16))
        vectors[1::2] = vectors[::2, TURN] + noise.astype(np.float16)
    plan = NearSearch(0.7, count, bucket_rows=160 // buckets, turns=turns, thumbnails=True, likely=0.9)
    thumbnails = np.repeat(rng.integers(0, 256, (160, LENGTH // 128), dtype=np.uint8), 128, axis=1)
    chosen = np.arange(100)
    for step in range(4):
        arguments = (ids[chosen], vectors[chosen], roles[chosen])
        with patch.multiple(few, SHARE=share, BLOCK=3):
            more = search(folder, f"more-{step}", *arguments, plan, "memory", thumbnails[chosen])
        assert len(more[1].files) == 1
        whole = search(folder, f"whole-{step}", *arguments, replace(plan, span_images=5), "", thumbnails[chosen])
        assert len(whole[1].files) > 1
        assert more[0] == whole[0]
        assert facts(more[1]) == facts(whole[1])
        chosen = chosen[rng.random(len(chosen)) >= left]
        chosen = rng.permutation(np.union1d(chosen, rng.integers(0, 160, rng.integers(0, 5))))
        if mixed:
            roles[rng.integers(0, 160, 3)] = rng.choice(ROLES, 3)


def test_of_what_is_known_nothing_is_compared_again(tmp_path, monkeypatch):
    ids, vectors = corpus(3, 600)
    roles = np.full(600, ASKS | TARGET, np.int8)
    plan = NearSearch(0.7, 5, bucket_rows=100)
    rows, first = search(tmp_path, "first", ids[:590], vectors[:590], roles[:590], plan, "memory")
    new, compared = {i.tobytes() for i in ids[590:]}, []
    collect = difference.collect

    def collecting(task):
        compared.extend(read_found(task.store, [n for n in task.names if "kept" not in n]).to_pylist())
        return collect(task)

    monkeypatch.setattr(difference, "collect", collecting)
    search(tmp_path, "second", ids, vectors, roles, plan, "memory")
    assert compared
    assert all({row["item"], row["other"]} & new for row in compared)
    assert len(rows) > 1000
    assert first.remembered


def test_of_many_only_rows_that_are_near_a_new_one_are_put_into_buckets(tmp_path, monkeypatch):
    ids, vectors = corpus(3, 600)
    roles = np.full(600, ASKS | TARGET, np.int8)
    plan = NearSearch(0.7, 5, bucket_rows=100)
    search(tmp_path, "first", ids[:590], vectors[:590], roles[:590], plan, "memory")
    looking, written = difference.search, []

    def searching(task):
        written.extend(pa.concat_tables(spans_of(task.store, task.names, task.low, task.high))["image_id"].to_pylist())
        return looking(task)

    monkeypatch.setattr(difference, "search", searching)
    found = search(tmp_path, "second", ids, vectors, roles, plan, "memory")[1]
    exact = on_grid(vectors)
    near = (exact @ exact[590:].T >= 0.7).any(axis=1)
    assert {i.tobytes() for i in ids[590:]} <= set(written) <= {i.tobytes() for i in ids[near]}
    assert 10 < len(set(written)) < 200
    monkeypatch.setattr(few, "BYTES", 0)
    written.clear()
    assert facts(search(tmp_path, "third", ids, vectors, roles, plan, "")[1]) == facts(found)
    assert len(set(written)) == 600


def test_where_nothing_changed_no_vector_is_put_into_a_bucket(tmp_path, monkeypatch):
    ids, vectors = corpus(3, 300)
    roles = np.full(300, ASKS | TARGET, np.int8)
    plan = NearSearch(0.7, 5, bucket_rows=100)
    rows, first = search(tmp_path, "first", ids, vectors, roles, plan, "memory")
    for task in ("assign", "search", "truth"):
        monkeypatch.setattr(difference, task, None)
    order = np.random.default_rng(0).permutation(300)
    again, second = search(tmp_path, "again", ids[order], vectors[order], roles, plan, "memory")
    assert again == rows
    assert facts(second) == facts(first)


def test_what_a_search_was_wide_enough_for_stays_its_width_whatever_another_sample_says(tmp_path, monkeypatch):
    ids, vectors = corpus(3, 600)
    roles = np.full(600, ASKS | TARGET, np.int8)
    plan = NearSearch(0.7, 5, bucket_rows=100)
    first = search(tmp_path, "first", ids[:590], vectors[:590], roles[:590], plan, "memory")[1]
    monkeypatch.setattr(near_pairs_module, "probing_for", lambda *_: Probing(1.5))
    second = search(tmp_path, "second", ids, vectors, roles, plan, "memory")[1]
    assert second.probing == first.probing != Probing(1.5)
    assert second.reached


def test_a_width_that_is_not_enough_any_more_grows_and_that_one_stays(tmp_path):
    ids, vectors = corpus(5, 2000, spread=0.6)
    roles = np.full(2000, ASKS | TARGET, np.int8)
    plan = NearSearch(0.75, 10, bucket_rows=50)
    wide = search(tmp_path, "first", ids, vectors, roles, plan, "memory")[1].probing
    (pin,) = (tmp_path / "pins").glob("probing-*.json")
    pin_probing(Store(str(tmp_path)), f"pins/{pin.name}", Probing(0.0))
    again = search(tmp_path, "second", ids, vectors, roles, plan, "memory")[1]
    assert again.reached
    assert again.probing.margin > 0
    assert wide.margin > 0
    assert pinned_probing(Store(str(tmp_path)), f"pins/{pin.name}") == again.probing


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10_000), most=st.sampled_from([2, 5, 64]), crowded=st.booleans())
def test_the_difference_of_hashes_gives_what_comparing_all_gives(tmp_path_factory, seed, most, crowded):
    store, rng = Store(str(tmp_path_factory.mktemp("hashes"))), np.random.default_rng(seed)
    ids = rng.integers(0, 256, (60, 16), dtype=np.uint8).view("V16").reshape(-1)
    rows = np.kron(rng.integers(0, 3 if crowded else 16, (60, 8), dtype=np.uint8), np.ones((1, 8), np.uint8))
    rounds, chosen = Rounds(store, "rounds", map), np.arange(40)
    for _ in range(4):
        asking = chosen[rng.random(len(chosen)) < 0.9]
        sides = tuple(
            Hashes(partial(ids.__getitem__, some), some, partial(pieces, rows[some])) for some in (asking, chosen)
        )
        pairs, _ = remembered_pairs(rounds, "hashes", "one", sides, 7, most)
        whole = near_hashes(rounds, "whole", *sides, 7, most)
        assert [column.tolist() for column in pairs] == [column.tolist() for column in whole]
        chosen = rng.permutation(np.union1d(chosen[rng.random(len(chosen)) < 0.95], rng.integers(0, 60, 4)))


def test_remembered_lists_come_back_whole_wherever_their_rows_were_cut(tmp_path, monkeypatch):
    for module in (lists, members):
        monkeypatch.setattr(module, "AT_ONCE", 2)
    digest = pa.binary(16)
    store, schema = Store(str(tmp_path)), pa.schema([("item", digest), ("other", digest), ("n", pa.int8())])
    items = [bytes([i]) * 16 for i in b"aabbbbcddd"]
    rows = pa.table({"item": items, "other": [b"x" * 16] * 10, "n": range(10)}, schema=schema)
    some = Members(SortedIds.of(np.frombuffer(bytes(range(80)), "V16"))[0], np.array([1, 2, 0, 3, 1], np.int8))
    pieces = [rows.slice(begin, end - begin) for begin, end in pairwise([0, 1, 3, 3, 4, 7, 8, 10])]
    write_lists(store, "lists", schema, [], some, {})
    assert list(FoundLists.read(store, "lists", schema).lists()) == []
    write_lists(store, "lists", schema, pieces, some, {"of": "some"})
    found = FoundLists.read(store, "lists", schema)
    ids, roles = (np.concatenate(column) for column in zip(*found.members(), strict=True))
    assert (found.facts, roles.tolist()) == ({"of": "some"}, [1, 2, 3, 1])
    assert [each.tobytes()[0] for each in ids] == [0, 16, 48, 64]
    whole = [piece for piece in found.lists() if len(piece)]
    assert pa.concat_tables(whole) == rows
    assert len(whole) > 2
    assert sum(len(set(piece["item"].to_pylist())) for piece in whole) == len(set(items))


def test_what_travels_is_names(tmp_path):
    """Whatever the number of parts, of components and of permutations."""
    ids, vectors = corpus(3, 900)
    names = write_parts(tmp_path, ids, vectors, range(20, 900, 20), np.full(900, ASKS | TARGET, np.int8))
    sizes = {}

    def run(fn, items):
        for item in items:
            result = fn(item)
            sizes.setdefault(fn.__name__, []).extend(len(pickle.dumps(each)) for each in ((fn, item), result))
            yield result

    plan = NearSearch(0.7, 5, bucket_rows=30, span_images=60, turns=(TURN,) * 7, thumbnails=False)
    near_pairs(
        Store(str(tmp_path)), "stages/candidates/rounds-0123456789abcdef0123/vector-0", names, 900, plan, "pins", run
    )
    assert {"sample", "truth", "assign", "search", "collect"} <= sizes.keys()
    assert max(map(max, sizes.values())) < 1000
