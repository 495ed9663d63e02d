"""What travels to a worker: a reference, whatever the number of parts."""

import pickle
from functools import partial

import pytest

from curation.params import MeasureParams, PackParams, QualityParams, SelectParams
from curation.stages import STAGES, measure, pack, quality, select
from shared.launch.executors import Inline
from shared.schema import Contract
from shared.stage import Stage
from shared.stage_runner import run
from shared.stage_runner.name_lists import list_names
from shared.stage_runner.orders import StageRun, orders_of, place
from shared.stage_runner.pieces import bucket_pieces, map_pieces
from shared.stage_runner.shuffle import Gather, Merge, MergedBucket
from shared.storage import Store
from shared.tables import Output, Part
from tests.shared.test_stage_runner import CountParams, ScaleParams, count, double

PARTS = 10_000
PAYLOAD = 1000
"""Bytes that a piece of work may take on its way."""


def output(store: Store, contract: Contract, parts: int = PARTS) -> Output:
    """A finished table of a hundred million images, or what a reduce says of them in a few parts."""
    parts = parts if contract.aligned else 3
    names = (Part(f"{contract.name}-{i:015d}", 10_000, {"dark": i}, {}) for i in range(parts))
    return Output(contract.name, "0123456789abcdef0123", contract.aligned, tuple(names)).seal(store, {})


@pytest.mark.parametrize(
    ("stage", "params"), [(measure, MeasureParams()), (quality, QualityParams()), (select, SelectParams())]
)
def test_a_piece_among_ten_thousand_travels_in_under_a_kilobyte(stage, params, tmp_path):
    store = Store(str(tmp_path))
    work = StageRun(stage, params, store.url, tuple(map(partial(output, store), stage.reads)))
    pieces = map_pieces(work, place(work))
    assert len(pieces) == PARTS
    assert len(pickle.dumps(pieces[-1])) < PAYLOAD
    order = pieces[-1].order
    assert order is not None
    assert order.open() == work


def test_pieces_of_an_exchange_travel_in_under_a_kilobyte(tmp_path):
    store = Store(str(tmp_path))
    work = StageRun(pack, PackParams(), store.url, tuple(map(partial(output, store), pack.reads)))
    order = place(work)
    names = list_names(store, orders_of("pack"), [f"{i:020d}" for i in range(PARTS)])
    bucket = MergedBucket(9_999, "0" * 20, 8192)
    merge = Merge("pack", store.url, names, 1 << 18, 9_000, 9_999)
    for piece in [Gather(order, names, 9_000, 9_999), merge, *bucket_pieces(work, order, [bucket])]:
        assert len(pickle.dumps(piece)) < PAYLOAD


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_a_stage_comes_back_from_its_order_as_it_was_placed(stage: Stage, tmp_path):
    store = Store(str(tmp_path))
    tables = tuple(output(store, contract, parts=2) for contract in stage.reads)
    work = StageRun(stage, stage.params(), store.url, tables)
    opened = place(work).open()
    assert opened == work
    assert opened.key == work.key


def test_a_table_that_nothing_was_asked_for_is_in_no_order_on_storage(tmp_path):
    store = Store(str(tmp_path))
    idle = tuple(Output(contract.name, "idle", contract.aligned, ()) for contract in select.reads)
    work = StageRun(select, SelectParams(), store.url, idle)
    assert place(work).open() == work


def test_each_worker_is_sent_only_references(tmp_path):
    sent = []

    class Watched(Inline):
        def map(self, fn, items, label, *needs):
            sent.extend(pickle.dumps((fn, item)) for item in items)
            return super().map(fn, items, label, *needs)

    store = Store(str(tmp_path))
    numbers = run(count, CountParams(parts=((1,),) * 30), [], store=store, executor=Watched())
    run(double, ScaleParams(), [numbers], store=store, executor=Watched())
    assert len(sent) > 1
    assert max(map(len, sent)) < PAYLOAD


def test_the_largest_parts_are_made_first_and_stand_in_their_places(tmp_path):
    asked = []

    class Watched(Inline):
        def map(self, fn, items, label, *needs):
            asked.append([getattr(item, "rows", None) for item in items])
            return super().map(fn, items, label, *needs)

    store, sizes = Store(str(tmp_path)), [2, 5, 1, 5, 3]
    numbers = run(
        count, CountParams(parts=tuple((i,) * n for i, n in enumerate(sizes))), [], store=store, executor=Inline()
    )
    doubled = run(double, ScaleParams(), [numbers], store=store, executor=Watched())
    assert asked == [[5, 5, 3, 2, 1]]
    assert [part.rows for part in doubled.parts] == sizes
