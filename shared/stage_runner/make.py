"""Makes one piece of a stage: what a worker process is given to do."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from shared.schema import Contract
from shared.stage import Stage
from shared.stage_runner.memo import Memo
from shared.stage_runner.orders import Order, StageRun
from shared.stage_runner.pieces import Piece, SideFiles
from shared.stage_runner.reading import declared_rows, read_declared
from shared.tables import FOLDER, Output, Part, commit_part, facts_of, read_part, with_facts

SLICE = 8
"""Parts of the index of which one part of a table speaks: so much is read, and made again, for one of them."""


class Made(NamedTuple):
    """What a stage makes."""

    parts: list[Part]
    facts: dict[str, Any]
    """What the stage says of the whole."""


def make_part(piece: Piece) -> Part:
    """Make and commit one part: the unit of work, of retry and of resume."""
    assert piece.order is not None
    work = piece.order.open()
    stage, contract = work.stage, work.stage.writes
    assert contract is not None
    if piece.bucket:
        files = SideFiles(work.store, f"{FOLDER}/{stage.name}/{piece.name}")
        rows = read_part(work.store, f"{stage.name}/buckets", piece.bucket)
        table = stage(rows, params=work.params, files=files, number=piece.number)
    else:
        tables = [
            _read(work, piece.number, output, reads) for output, reads in zip(work.inputs, stage.reads, strict=True)
        ]
        more = {"memory": work.memory} if stage.remembers else {}
        table = stage(*tables, params=work.params, **more)
        _check_aligned(stage, tables[0], table)
    return commit_part(work.store, stage.name, contract.check(table, stage.name), piece.name)


@dataclass(frozen=True)
class Merging:
    """Runs of what a stage remembers, to be merged into one."""

    memo: Memo
    group: tuple[str, ...]


def merge_memory(piece: Merging) -> None:
    """Merge some runs of what a stage remembers."""
    piece.memo.merge(piece.group)


def reduce_parts(order: Order) -> Made:
    """Run a reduce."""
    return made_whole(order.open())


def made_whole(work: StageRun, **more: Any) -> Made:
    """Run a reduce, or a stage in rounds; parts are named by their content: an unchanged one keeps its name.

    Beside tables it may give dicts: facts about the whole, which name nothing.
    """
    contract = work.stage.writes
    assert contract is not None
    inputs = (declared_rows(work.store, *each) for each in zip(work.inputs, work.stage.reads, strict=True))
    made = work.stage(*inputs, params=work.params, **more)
    items: Iterable[pa.Table | dict[str, Any]] = [made] if isinstance(made, pa.Table) else made
    name, parts, facts = work.stage.name, list[Part](), dict[str, Any]()
    for item in items:
        if isinstance(item, dict):
            facts |= item
        else:
            parts += [commit_part(work.store, name, part) for part in _sliced(contract.check(item, name))]
    return Made(parts, facts)


def _sliced(table: pa.Table) -> Iterator[pa.Table]:
    """Cut a table that speaks of parts of the index into parts that speak of a few; facts stay with the first."""
    if "part" not in table.column_names or not table.num_rows:
        yield table
        return
    facts, table = facts_of(table), table.sort_by("part")
    places = table["part"].to_numpy() // SLICE
    edges = [0, *(np.flatnonzero(np.diff(places)) + 1).tolist(), len(places)]
    for begin, end in itertools.pairwise(edges):
        part = table.slice(begin, end - begin).replace_schema_metadata(None)
        yield with_facts(part, facts) if facts and not begin else part


def _read(work: StageRun, number: int, output: Output, contract: Contract) -> pa.Table:
    """Return the part of the piece's own number, or what a table that is not aligned says of it."""
    if output.aligned == work.inputs[0].aligned:
        return read_declared(work.store, output.stage, output.parts[number], contract)
    rows: list[Any] = [("part", "=", number)]
    speaking = [part for part in output.parts if part.speaks_of(number)]
    slices = [read_declared(work.store, output.stage, part, contract, rows) for part in speaking]
    return pa.concat_tables([contract.schema.empty_table(), *slices])


def _check_aligned(stage: Stage, read: pa.Table, made: pa.Table) -> None:
    if stage.writes is not None and stage.writes.aligned and made.num_rows != read.num_rows:
        raise TypeError(f"{stage.name} must write one row for each row read: {read.num_rows}, not {made.num_rows}.")
