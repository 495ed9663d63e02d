"""Makes one piece of a stage: what a worker process is given to do."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import pyarrow as pa

from shared.schema import Contract
from shared.stage import Stage
from shared.stage_runner.orders import Order, StageRun
from shared.stage_runner.pieces import Piece, SideFiles
from shared.tables import FOLDER, Output, Part, Rows, commit_part, read_part


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
    if piece.bucket is not None:
        files = SideFiles(work.store, f"{FOLDER}/{stage.name}/{piece.name}")
        table = stage(piece.bucket.read(), params=work.params, files=files, number=piece.number)
    else:
        tables = [
            _read(work, piece.number, output, reads) for output, reads in zip(work.inputs, stage.reads, strict=True)
        ]
        table = stage(*tables, params=work.params)
        _check_aligned(stage, tables[0], table)
    return commit_part(work.store, stage.name, contract.check(table, stage.name), piece.name)


def reduce_parts(order: Order) -> Made:
    """Run a reduce; its parts are named by their content, so that an unchanged part keeps its name.

    Beside tables it may give dicts: facts about the whole, which name nothing.
    """
    work = order.open()
    contract = work.stage.writes
    assert contract is not None
    made = work.stage(*(Rows(work.store, output) for output in work.inputs), params=work.params)
    items: Iterable[pa.Table | dict[str, Any]] = [made] if isinstance(made, pa.Table) else made
    name, parts, facts = work.stage.name, list[Part](), dict[str, Any]()
    for item in items:
        if isinstance(item, dict):
            facts |= item
        else:
            parts.append(commit_part(work.store, name, contract.check(item, name)))
    return Made(parts, facts)


def _read(work: StageRun, number: int, output: Output, contract: Contract) -> pa.Table:
    """Return the part of the piece's own number, or what a table that is not aligned says of it."""
    if output.aligned == work.inputs[0].aligned:
        return read_part(work.store, output.stage, output.parts[number].name)
    slices = [read_part(work.store, output.stage, p.name, filters=[("part", "=", number)]) for p in output.parts]
    return pa.concat_tables([contract.schema.empty_table(), *slices])


def _check_aligned(stage: Stage, read: pa.Table, made: pa.Table) -> None:
    if stage.writes is not None and stage.writes.aligned and made.num_rows != read.num_rows:
        raise TypeError(f"{stage.name} must write one row for each row read: {read.num_rows}, not {made.num_rows}.")
