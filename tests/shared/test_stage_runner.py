import itertools
from collections.abc import Iterator

import pyarrow as pa
import pytest

from shared.catalog import DUPLICATES, IMAGES, MANIFEST, VERDICTS
from shared.launch.executors import Inline
from shared.params import ExchangeParams, Params
from shared.schema import Contract
from shared.stage import stage
from shared.stage_runner import SideFiles, run
from shared.stage_runner.slots import spans
from shared.storage import Store
from shared.tables import Rows, read_part, with_facts

NUMBERS = Contract("numbers", {"uri": "string", "number": "int64"})
DOUBLES = Contract("doubles", {"double": "int64"})
SUM = Contract("sum", {"part": "int32", "total": "int64"}, aligned=None)
GATHERED = Contract("gathered", {"uri": "string", "number": "int64"}, aligned=None)

CALLS: list[str] = []


class CountParams(Params):
    parts: tuple[tuple[int, ...], ...] = ((1, 2), (3,), (4, 5, 6))


class ScaleParams(Params):
    by: int = 2


class GatherParams(ExchangeParams):
    @property
    def bucket_rows(self) -> int:
        return 2


@stage(writes=NUMBERS, shape="reduce", looks_outside=True)
def count(*, params: CountParams) -> Iterator[pa.Table]:
    """List numbers."""
    for part in params.parts:
        yield pa.table({"uri": [f"n{n}" for n in part], "number": list(part)})


@stage(reads=(NUMBERS,), writes=DOUBLES)
def double(numbers: pa.Table, *, params: ScaleParams) -> pa.Table:
    """Multiply."""
    CALLS.append("double")
    if 999 in numbers["number"].to_pylist():
        raise RuntimeError("killed")
    return pa.table({"double": [n * params.by for n in numbers["number"].to_pylist()]})


@stage(reads=(NUMBERS, DOUBLES), writes=SUM, shape="reduce")
def add(numbers: Rows, doubles: Rows, *, params: ScaleParams) -> pa.Table:
    """Add everything up."""
    CALLS.append("add")
    total = sum(doubles.table(DOUBLES, ["double"])["double"].to_pylist())
    parts = list(range(len(numbers.output.parts)))
    return with_facts(pa.table({"part": parts, "total": [total] * len(parts)}), {"total": total})


class TellParams(Params):
    raised: int = -1


@stage(reads=(NUMBERS,), writes=SUM, shape="reduce")
def tell(numbers: Rows, *, params: TellParams) -> pa.Table:
    """Say something of every part."""
    parts = list(range(len(numbers.output.parts)))
    return pa.table({"part": parts, "total": [part + (part == params.raised) for part in parts]})


@stage(reads=(NUMBERS, SUM), writes=DOUBLES)
def share(numbers: pa.Table, total: pa.Table, *, params: ScaleParams) -> pa.Table:
    """Use a global result beside a part."""
    assert total.num_rows == 1
    return pa.table({"double": [total["total"][0].as_py()] * numbers.num_rows})


def keyed(numbers: pa.Table, *, params: GatherParams) -> pa.Table:
    keys = [bytes([37 * n % 256]) * 16 for n in numbers["number"].to_pylist()]
    return numbers.append_column("key", pa.array(keys, pa.binary(16)))


@stage(reads=(NUMBERS,), writes=GATHERED, shape="exchange", scatter=keyed)
def gather(rows: pa.Table, *, params: GatherParams, files: SideFiles, number: int) -> pa.Table:
    """Meet again by key."""
    CALLS.append("gather")
    files.store.write(files.name("side.txt"), str(number))
    return rows.select(["uri", "number"])


@pytest.fixture
def run_here(tmp_path):
    CALLS.clear()
    store = Store(str(tmp_path / "workspace"))
    return lambda stage, params, *inputs: run(stage, params, inputs, store=store, executor=Inline())


def test_a_second_run_makes_nothing(run_here):
    numbers = run_here(count, CountParams())
    first = run_here(double, ScaleParams(), numbers)
    made = len(CALLS)
    assert run_here(double, ScaleParams(), run_here(count, CountParams())) == first
    assert len(CALLS) == made == 3


def test_a_killed_run_makes_only_the_missing_parts(run_here):
    parts = ((1, 2), (3,), (999,))
    with pytest.raises(RuntimeError, match="killed"):
        run_here(double, ScaleParams(), run_here(count, CountParams(parts=parts)))
    CALLS.clear()
    grown = run_here(count, CountParams(parts=((1, 2), (3,), (4,))))
    assert run_here(double, ScaleParams(), grown).rows == 4
    assert CALLS == ["double"]


def test_added_rows_cost_only_their_part(run_here):
    run_here(double, ScaleParams(), run_here(count, CountParams()))
    CALLS.clear()
    grown = run_here(count, CountParams(parts=((1, 2), (3,), (4, 5, 6), (7,))))
    assert run_here(double, ScaleParams(), grown).rows == 7
    assert CALLS == ["double"]


def test_another_parameter_leaves_the_old_result_alone(run_here, tmp_path):
    numbers = run_here(count, CountParams())
    by_two, by_three = (run_here(double, ScaleParams(by=by), numbers) for by in (2, 3))
    store = Store(str(tmp_path / "workspace"))
    values = [read_part(store, "double", output.parts[0].name)["double"].to_pylist() for output in (by_two, by_three)]
    assert values == [[2, 4], [3, 6]]


def test_a_lost_part_is_made_again(run_here, tmp_path):
    doubled = run_here(double, ScaleParams(), run_here(count, CountParams()))
    (tmp_path / "workspace/stages/double" / f"{doubled.parts[1].name}.parquet").unlink()
    CALLS.clear()
    assert run_here(double, ScaleParams(), run_here(count, CountParams())) == doubled
    assert CALLS == ["double"]


def test_a_reduce_sees_all_parts_and_its_facts_are_kept(run_here):
    numbers = run_here(count, CountParams())
    added = run_here(add, ScaleParams(), numbers, run_here(double, ScaleParams(), numbers))
    assert added.parts[0].facts == {"total": 42}
    assert run_here(add, ScaleParams(), numbers, run_here(double, ScaleParams(), numbers)) == added


def test_a_map_reads_its_own_slice_of_a_global_table(run_here):
    numbers = run_here(count, CountParams())
    added = run_here(add, ScaleParams(), numbers, run_here(double, ScaleParams(), numbers))
    assert run_here(share, ScaleParams(), numbers, added).rows == numbers.rows


def test_a_part_reads_and_is_named_by_what_speaks_of_it_alone(run_here):
    many = tuple((n,) for n in range(20))
    numbers = run_here(count, CountParams(parts=many))
    spoken = run_here(tell, TellParams(), numbers)
    assert [part.covers for part in spoken.parts] == [(0, 7), (8, 15), (16, 19)]
    shared = run_here(share, ScaleParams(), numbers, spoken)
    changed = run_here(share, ScaleParams(), numbers, run_here(tell, TellParams(raised=9), numbers))
    same = [one.name == other.name for one, other in zip(shared.parts, changed.parts, strict=True)]
    assert same == [not 8 <= number <= 15 for number in range(20)]


def gathered_names(run_here, parts):
    return [part.name for part in run_here(gather, GatherParams(), run_here(count, CountParams(parts=parts))).parts]


def test_an_exchange_gives_the_same_buckets_for_any_partitioning(run_here):
    whole = gathered_names(run_here, ((1, 2, 3, 4, 5, 6),))
    assert gathered_names(run_here, ((5,), (6, 1, 3), (4, 2))) == whole
    assert len(whole) > 1


def test_an_exchange_makes_only_the_buckets_that_changed(run_here):
    before = gathered_names(run_here, ((1, 2, 3, 4, 5, 6, 8),))
    CALLS.clear()
    after = gathered_names(run_here, ((1, 2, 3, 4, 5, 6, 8), (7,)))
    assert CALLS == ["gather"]
    assert len(set(before) & set(after)) == len(before) - 1


def test_spans_cover_every_slot_once():
    for rows in (0, 1, 2, 3, 100):
        cut = list(spans(rows, 2))
        assert cut[0][0] == 0
        assert cut[-1][1] == 1 << 32
        assert all(a[1] == b[0] for a, b in itertools.pairwise(cut))


def test_a_wrong_column_is_named(tmp_path):
    with pytest.raises(TypeError, match=r"missing \['threshold'\], unexpected \['treshold'\]"):
        VERDICTS.check(pa.table({"reason": [], "value": [], "treshold": []}), "quality")


def test_wrong_inputs_are_refused(run_here):
    with pytest.raises(TypeError, match="double reads"):
        run_here(double, ScaleParams())


@pytest.mark.parametrize(
    ("declare", "complaint"),
    [
        (lambda: stage(reads=(IMAGES,), writes=DUPLICATES)(lambda: None), "reads 1 inputs, but takes 0"),
        (lambda: stage(writes=MANIFEST)(lambda: None), "needs a keyword `params`"),
    ],
)
def test_a_wrong_declaration_fails_at_import(declare, complaint):
    with pytest.raises(TypeError, match=complaint):
        declare()
