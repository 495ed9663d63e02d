import pickle
import tempfile

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.params import Params
from shared.schema import Contract
from shared.shuffle import shuffle as module
from shared.shuffle.listing import write_listing
from shared.shuffle.shuffle import shuffle
from shared.stage import stage
from shared.stage_runner.exchange import Bucket, Scatter, scatter, spans
from shared.stage_runner.exchange import merge as merge_one
from shared.storage import Store
from shared.tables import Output, commit_part

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
    return Output("rows", "k", "images", tuple(rows)), Output("digests", "k", "images", tuple(digests))


def as_before(inputs, bucket_rows, store):
    """One reader for each bucket, that opens every part: the exchange whose bytes count."""
    work = [Scatter(kept, NoParams(), store.url, inputs, number) for number in range(len(inputs[0].parts))]
    names = tuple(name for _, name in sorted(map(scatter, work)))
    cuts = spans(inputs[0].rows, bucket_rows)
    merged = [merge_one(Bucket("kept", store.url, names, number, span)) for number, span in enumerate(cuts)]
    return [(bucket.number, bucket.content, bucket.rows) for bucket in merged if bucket.rows]


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
            found = told(shuffle(kept, NoParams(), inputs, bucket_rows, store, map))
        finally:
            module.WIDE_ROWS, module.GROUP_ROWS = limits
        assert found == as_before(inputs, bucket_rows, store)


def test_a_payload_is_below_a_kilobyte_whatever_the_number_of_parts(tmp_path):
    store, sizes = Store(str(tmp_path)), []

    def run(fn, work):
        sizes.extend(len(pickle.dumps(task)) for task in work)
        return map(fn, work)

    for parts in (2, 60):
        shuffle(kept, NoParams(), outputs(store, 0, [3] * parts), 5, store, run)
    assert max(sizes) < 1000
    assert max(sizes) - min(sizes) < 300


def test_new_parts_are_scattered_with_their_own_groups_only(tmp_path):
    store = Store(str(tmp_path))
    inputs = outputs(store, 0, [3] * 40)
    fewer = tuple(Output(o.stage, o.key, o.aligned, o.parts[:-1]) for o in inputs)
    shuffle(kept, NoParams(), fewer, 10, store, map)
    CALLS.clear()
    shuffle(kept, NoParams(), inputs, 10, store, map)
    assert 1 <= len(CALLS) <= 15  # one group of eight holds five parts on average
    CALLS.clear()
    shuffle(kept, NoParams(), inputs, 10, store, map)
    assert not CALLS


def test_a_slice_of_a_listing_is_the_slice_of_the_names(tmp_path):
    store, names = Store(str(tmp_path)), ["a", "bcd", "é/f", ""]
    listing = write_listing(store, "listings", names)
    assert listing.slice(store, 0, 4) == names
    assert listing.slice(store, 1, 3) == ["bcd", "é/f"]
    assert listing.slice(store, 2, 2) == []
