"""A stage is named by the columns that it reads: what changes elsewhere makes nothing of it again."""

from dataclasses import replace

import pyarrow as pa
import pytest

from shared.launch.executors import Inline
from shared.params import ExchangeParams, Params, fingerprint
from shared.schema import Contract
from shared.stage import stage
from shared.stage_runner import SideFiles, forecast, run
from shared.stage_runner.orders import StageRun, place
from shared.storage import Store
from shared.tables import Output, Rows, commit_part, describe_part, sealed, with_facts

THINGS = Contract(
    "things", {"number": "int64", "word": "word", "stamp": "string"}, optional={"note": "string", "more": "string"}
)
DOUBLES = Contract("doubles", {"double": "int64"})
TOTAL = Contract("total", {"part": "int32", "total": "int64"}, aligned=None)
MET = Contract("met", {"uri": "string", "number": "int64"}, aligned=None)
NUMBERS, WORDS = THINGS.only("number"), THINGS.only("word", "note", "more")

CALLS: list[str] = []
Row = tuple[int | None, str, str]


class NoParams(Params):
    spied: str = "number"
    """The column that is read."""


class MeetParams(ExchangeParams):
    spied: str = "number"

    @property
    def bucket_rows(self) -> int:
        return 2


@stage(reads=(NUMBERS,), writes=DOUBLES)
def double(things: pa.Table, *, params: NoParams) -> pa.Table:
    """Multiply."""
    CALLS.append("double")
    assert things.column_names == ["number"]
    return pa.table({"double": [2 * (n or 0) for n in things[params.spied].to_pylist()]})


@stage(reads=(WORDS, DOUBLES), writes=TOTAL, shape="reduce")
def add(things: Rows, doubles: Rows, *, params: NoParams) -> pa.Table:
    """Add up."""
    CALLS.append("add")
    assert not any(part.facts for part in things.output.parts)
    assert not things.output.facts
    words = [word for part in things.tables(["word"] if params.spied == "number" else [params.spied]) for word in part]
    total = sum(n for part in doubles.tables(["double"]) for n in part["double"].to_pylist())
    parts = range(len(things.output.parts) if words else 0)
    return with_facts(pa.table({"part": list(parts), "total": [total + n for n in parts]}), {"seen": len(parts)})


@stage(reads=(NUMBERS, TOTAL), writes=DOUBLES)
def share(things: pa.Table, total: pa.Table, *, params: NoParams) -> pa.Table:
    """Use what is said of a part beside it."""
    CALLS.append("share")
    return pa.table({"double": total["total"].to_pylist() * len(things)})


def keyed(things: pa.Table, doubles: pa.Table, *, params: MeetParams) -> pa.Table:
    CALLS.append("keyed")
    keys = [bytes([n % 256]) * 16 for n in things[params.spied].to_pylist()]
    uris = pa.array([f"n{n}" for n in things["number"].to_pylist()], pa.string())
    return pa.table({"key": pa.array(keys, pa.binary(16)), "uri": uris, "number": doubles["double"]})


@stage(reads=(NUMBERS, DOUBLES), writes=MET, shape="exchange", scatter=keyed)
def meet(rows: pa.Table, *, params: MeetParams, files: SideFiles, number: int) -> pa.Table:
    """Meet by key."""
    CALLS.append("meet")
    return rows.select(["uri", "number"])


@stage(reads=(WORDS,), writes=DOUBLES)
def noted(things: pa.Table, *, params: NoParams) -> pa.Table:
    """Read a note."""
    assert things.column_names == ["word", "note"]
    return pa.table({"double": [len(things)]})


@pytest.fixture
def store(tmp_path):
    CALLS.clear()
    return Store(str(tmp_path / "w"))


def things(store, *parts: list[Row], stage="things", **facts) -> Output:
    """Commit and seal rows of a number, a word and a stamp."""
    names = THINGS.schema.names
    tables = [pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in p], THINGS.schema) for p in parts]
    made = tuple(commit_part(store, stage, with_facts(table, facts)) for table in tables)
    return Output(stage, fingerprint([part.name for part in made]), "images", made, facts).seal(store, {})


def run_here(store, stage, *inputs, params=None):
    return run(stage, params or stage.params(), inputs, store=store, executor=Inline())


ROWS: list[list[Row]] = [[(1, "a", "monday"), (2, "b", "monday")], [(3, "a", "monday")]]
TOUCHED: list[list[Row]] = [[(n, word, "tuesday") for n, word, _ in part] for part in ROWS]


def all_of(store, listed):
    doubled = run_here(store, double, listed)
    total = run_here(store, add, listed, doubled)
    return [doubled, total, run_here(store, share, listed, total), run_here(store, meet, listed, doubled)]


def test_what_no_stage_reads_makes_nothing_again(store):
    listed, touched = things(store, *ROWS, seen=1), things(store, *TOUCHED, seen=2)
    assert not {part.name for part in listed.parts} & {part.name for part in touched.parts}
    first = all_of(store, listed)
    assert {*CALLS} == {"double", "add", "share", "keyed", "meet"}
    CALLS.clear()
    assert all_of(store, touched) == first
    assert not CALLS


@pytest.mark.parametrize(
    ("changed", "again", "doubled"),
    [
        ([[(1, "a", ""), (2, "a", "")], [(3, "a", "")]], {"add"}, 0),  # the sum is as it was: beyond it nothing is made
        ([[(1, "a", ""), (2, "b", "")], [(4, "a", "")]], {"double", "add", "share", "keyed", "meet"}, 1),
        ([[(1, "a", ""), (2, "b", ""), (3, "a", "")]], {"double", "add", "share", "keyed"}, 1),
        ([[(1, "a", "")], [(2, "b", ""), (3, "a", "")]], {"double", "add", "share", "keyed"}, 2),
        ([[(3, "a", "")], [(1, "a", ""), (2, "b", "")]], {"add", "share"}, 0),
        ([[(1, "a", ""), (2, "b", "")], [(3, "a", "")], []], {"double", "add", "share", "keyed"}, 1),
    ],
    ids=["a word", "a number", "one part", "another cut", "another order", "an empty part"],
)
def test_only_what_reads_a_change_is_made_again(store, changed, again, doubled):
    all_of(store, things(store, *ROWS))
    CALLS.clear()
    found = all_of(store, things(store, *changed))
    assert ({*CALLS}, CALLS.count("double")) == (again, doubled)
    fresh = Store(f"{store.url}-fresh")
    assert all_of(fresh, things(fresh, *changed)) == found


def test_parts_that_read_the_same_are_one_and_are_made_once(store):
    rows = [(1, "a", "monday")]
    events = []
    listed = things(store, rows, [(7, "b", "monday")], [(1, "b", "tuesday")])
    foretold = forecast(double, NoParams(), [listed], store)
    doubled = run(double, NoParams(), [listed], store=store, executor=Inline(), report=events.append)
    assert [part.name for part in doubled.parts][0::2] == [doubled.parts[0].name] * 2
    assert (CALLS, foretold.missing, doubled.rows) == (["double"] * 2, 2, 3)
    assert all(event.done <= event.total == 3 for event in events)


@pytest.mark.parametrize(
    ("stage", "column"), [(double, "stamp"), (add, "stamp"), (meet, "word")], ids=["a map", "a reduce", "an exchange"]
)
def test_a_column_that_is_not_declared_cannot_be_read(store, stage, column):
    listed = things(store, *ROWS)
    inputs = [listed] if stage is double else [listed, run_here(store, double, listed)]
    with pytest.raises((KeyError, TypeError), match=column):
        run_here(store, stage, *inputs, params=stage.params(spied=column))


def test_files_are_given_only_to_whoever_reads_declared_columns_of_them(store):
    listed = things(store, *ROWS)
    assert Rows(store, listed, WORDS).readable(["word", "note"]) is listed
    assert [table.column_names for table in Rows(store, listed, WORDS).tables()] == [["word"]] * 2
    with pytest.raises(TypeError, match=r"declared, got number of things. Name it in `reads`"):
        Rows(store, listed, WORDS).readable(["word", "number"])


def test_equal_rows_are_one_file_whatever_chunks_and_words_they_came_in(store):
    table = pa.Table.from_pylist(
        [{"number": n, "word": "ab"[n % 2]} for n in range(6)], THINGS.only("number", "word").schema
    )
    words = pa.DictionaryArray.from_arrays(pa.array([2, 0, 2, 0, 2, 0], pa.int32()), ["b", "unused", "a"])
    other = table.set_column(1, table.schema.field(1), words)
    chunked = pa.concat_tables([other.slice(0, 2), table.slice(2, 3), other.slice(5)])
    parts = [commit_part(store, "things", one) for one in (table, other, chunked)]
    assert parts[0] == parts[1] == parts[2]


def test_an_optional_column_that_comes_is_a_change(store):
    table = pa.table({"number": [1], "word": ["a"], "stamp": [""]}).cast(THINGS.schema)
    noted, more = (table.append_column(name, pa.array([None], pa.string())) for name in ("note", "more"))
    parts = [commit_part(store, "things", one) for one in (table, noted, more)]
    outputs = [Output("things", "", "images", (part,)) for part in parts]
    assert len({output.contents(WORDS)[0] for output in outputs}) == 3
    assert len({output.contents(NUMBERS)[0] for output in outputs}) == 1


def test_a_wrong_declaration_fails_at_import():
    with pytest.raises(TypeError, match="Table things needs names of its columns, got treshold"):
        THINGS.only("number", "treshold")
    with pytest.raises(TypeError, match="needs the column `part` of total, by which its rows are found"):
        stage(reads=(THINGS, TOTAL.only("total")), writes=DOUBLES)(share.fn)


def older(output: Output, store: Store) -> Output:
    """Return an output as a dinoflow without digests sealed it."""
    parts = tuple(replace(part, columns="", digests="") for part in output.parts)
    return replace(output, parts=parts).seal(store, {})


def test_parts_of_an_older_dinoflow_are_named_by_their_names(store):
    listed = older(things(store, *ROWS), store)
    first = all_of(store, listed)
    CALLS.clear()
    assert all_of(store, older(things(store, *ROWS), store)) == first
    assert not CALLS
    all_of(store, older(things(store, *TOUCHED), store))
    assert "double" in CALLS


def test_an_optional_column_is_read_of_an_older_part_too(store):
    table = pa.table({"number": [1], "word": ["a"], "stamp": [""], "note": ["n"]})
    table = table.cast(THINGS.wide(["note"]))
    part = replace(commit_part(store, "things", table), columns="", digests="")
    listed = Output("things", "old", "images", (part,)).seal(store, {})
    assert run_here(store, noted, listed).rows == 1


def test_a_seal_names_the_columns_once_and_gives_the_digests_back(store):
    listed = things(store, *ROWS * 20)
    text = (store.read(f"stages/things/{listed.key}.json")).decode()
    assert text.count("number,word,stamp") == 1
    assert sealed(store, "things", listed.key) == listed
    assert describe_part(store, "things", listed.parts[0].name) == listed.parts[0]


def test_an_order_names_the_files_of_its_inputs_though_the_key_does_not(store):
    listed = things(store, *ROWS)
    before = place(StageRun(double, NoParams(), store.url, (listed,)))
    assert len(before.open().inputs[0].parts) == 2
    moved = replace(things(store, *TOUCHED), key=listed.key).seal(store, {})
    after = place(StageRun(double, NoParams(), store.url, (moved,)))
    assert after.open().inputs == (moved,)


def test_it_is_foretold_that_what_is_not_made_yet_may_turn_out_as_it_was(store):
    listed, touched = things(store, *ROWS), things(store, *TOUCHED)
    doubled = run_here(store, double, listed)
    run_here(store, add, listed, doubled)
    assert forecast(double, NoParams(), [touched], store).done
    grown = things(store, *TOUCHED, [(9, "c", "")])
    one = forecast(double, NoParams(), [grown], store)
    assert (one.missing, one.sure, one.parts) == (1, True, 3)
    assert one.output is not None
    assert [part.name for part in one.output.parts] == [*(part.name for part in doubled.parts), ""]
    beyond = forecast(share, NoParams(), [grown, None], store)
    assert (beyond.missing, beyond.sure) == (None, True)  # never made: nothing may be found
    total = forecast(add, NoParams(), [grown, one.output], store)
    assert (total.done, total.missing, total.sure) == (False, None, False)
