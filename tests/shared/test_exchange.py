import pickle
import tempfile

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.params import Params
from shared.schema import Contract
from shared.stage import stage
from shared.stage_runner import shuffle as module
from shared.stage_runner.orders import StageRun, place
from shared.stage_runner.shuffle import MergedBucket
from shared.stage_runner.slots import slots, spans
from shared.storage import Store
from shared.tables import Output, commit_part, read_part

ROWS = Contract("rows", {"uri": "string", "word": "word"})
DIGESTS = Contract("digests", {"digest": "id"})
KEPT = Contract("kept", {"uri": "string"}, aligned=None)
CALLS = []


class NoParams(Params):
    pass


def keyed(rows: pa.Table, digests: pa.Table, *, params: NoParams) -> pa.Table:
    CALLS.append(len(rows))
    return rows.append_column("key", digests["digest"])


@stage(reads=(ROWS, DIGESTS), writes=KEPT, shape="exchange", scatter=keyed)
def kept(rows: pa.Table, *, params: NoParams) -> pa.Table:
    """Meet by key."""
    return rows


def outputs(store, seed, sizes):
    """Two aligned tables: uris with words of a dictionary, and digests of which some are equal."""
    rng, rows, digests, first = np.random.default_rng(seed), [], [], 0
    for size in sizes:
        words = pa.array(rng.choice(["a", "b", "c"], size), pa.string()).dictionary_encode()
        uris = pa.array([f"u{number:06d}" for number in range(first, first + size)], pa.string())
        keys = rng.integers(0, 256, (size, 16), dtype=np.uint8)
        keys[rng.random(size) < 0.2] = 255
        rows.append(commit_part(store, "rows", pa.table({"uri": uris, "word": words}).cast(ROWS.schema)))
        ids = pa.array([key.tobytes() for key in keys], pa.binary(16))
        digests.append(commit_part(store, "digests", pa.table({"digest": ids})))
        first += size
    key = f"{seed}-{len(sizes)}"
    outputs = Output("rows", key, "images", tuple(rows)), Output("digests", key, "images", tuple(digests))
    return tuple(each.seal(store, {}) for each in outputs)


def shuffled(inputs, bucket_rows, store, run=map) -> list[MergedBucket]:
    work = StageRun(kept, NoParams(), store.url, inputs)
    return module.shuffle(work, place(work), bucket_rows, run)


def in_memory(inputs, bucket_rows, store):
    """All rows at once, sorted and cut: the bytes that count."""
    parts = zip(*([read_part(store, o.stage, part.name) for part in o.parts] for o in inputs), strict=True)
    rows = pa.concat_tables([keyed(*tables, params=NoParams()) for tables in parts])
    rows = rows.set_column(1, "word", rows["word"].cast(pa.string())).sort_by(
        [("key", "ascending"), ("uri", "ascending")]
    )
    at, buckets = slots(rows["key"]), []
    for number, (low, high) in enumerate(spans(inputs[0].rows, bucket_rows)):
        inside = rows.filter(pa.array((at >= low) & (at < high))).combine_chunks()
        if len(inside):
            buckets.append((number, commit_part(store, "memory/buckets", inside).name, len(inside)))
    return buckets


def told(buckets):
    return [(bucket.number, bucket.content, bucket.rows) for bucket in buckets]


@settings(max_examples=12, deadline=None)
@given(
    st.integers(0, 1000), st.lists(st.integers(1, 40), min_size=1, max_size=9), st.integers(1, 50), st.integers(1, 60)
)
def test_buckets_have_the_bytes_that_one_reader_for_each_would_give_them(seed, sizes, bucket_rows, wide):
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        inputs = outputs(store, seed, sizes)
        limits = module.WIDE_ROWS, module.GROUP_ROWS
        module.WIDE_ROWS, module.GROUP_ROWS = wide, 3 * wide
        try:
            found = told(shuffled(inputs, bucket_rows, store))
        finally:
            module.WIDE_ROWS, module.GROUP_ROWS = limits
        assert found == in_memory(inputs, bucket_rows, store)


def test_a_payload_is_below_a_kilobyte_whatever_the_number_of_parts(tmp_path):
    store, sizes = Store(str(tmp_path)), []

    def run(fn, work):
        sizes.extend(len(pickle.dumps(task)) for task in work)
        return map(fn, work)

    for parts in (2, 60):
        shuffled(outputs(store, 0, [3] * parts), 5, store, run)
    assert max(sizes) < 1000
    assert max(sizes) - min(sizes) < 300


def test_new_parts_are_scattered_with_their_own_groups_only(tmp_path):
    store = Store(str(tmp_path))
    inputs = outputs(store, 0, [3] * 40)
    fewer = tuple(Output(o.stage, "fewer", o.aligned, o.parts[:-1]).seal(store, {}) for o in inputs)
    shuffled(fewer, 10, store)
    CALLS.clear()
    shuffled(inputs, 10, store)
    assert 1 <= len(CALLS) <= 15  # one group of eight holds five parts on average
    CALLS.clear()
    shuffled(inputs, 10, store)
    assert not CALLS
