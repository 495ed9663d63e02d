"""Runs a stage: names its parts, makes the missing ones, seals the whole. The only skip, resume and commit."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from shared.exchange import Bucket, Scatter, merge, scatter, spans
from shared.launch.executors import Executor
from shared.params import ExchangeParams, Params, fingerprint
from shared.schema import Contract
from shared.stage import Stage
from shared.storage import Store
from shared.tables import FOLDER, Output, Part, Rows, commit_part, describe_part, read_part, sealed

Facts = dict[str, Any]
Progress = Callable[[str, int, int], None]
"""Told of (stage, rows done, rows in all) after every part."""


@dataclass(frozen=True)
class Files:
    """Side files of a part: committed before its table, so that the table vouches for them."""

    store: Store
    folder: str

    def name(self, name: str) -> str:
        """Where a side file lies in the workspace."""
        return f"{self.folder}/{name}"


@dataclass(frozen=True)
class Run:
    """What every piece of work needs to know."""

    stage: Stage
    params: Params
    workspace: str
    inputs: tuple[Output, ...] = ()

    @property
    def store(self) -> Store:
        """The workspace."""
        return Store(self.workspace)

    def name(self, *facts: object) -> str:
        """Return the name of what this stage makes of the given facts."""
        return fingerprint(self.stage.name, self.stage.version, self.stage.identity(self.params), *facts)


@dataclass(frozen=True)
class Piece:
    """One part to make: its number, its name, the rows it takes and, after an exchange, its bucket."""

    run: Run
    number: int
    name: str
    rows: int
    bucket: Bucket | None = None


def run(
    stage: Stage,
    params: Params,
    inputs: Sequence[Output],
    *,
    store: Store,
    executor: Executor,
    progress: Progress | None = None,
) -> Output:
    """Return the stage's output for these inputs, making only the parts that are not there yet.

    Raises TypeError when the inputs are not the tables that the stage reads.
    """
    _check_inputs(stage, inputs)
    nothing = idle(stage, params, inputs)
    if nothing:
        return nothing
    work = Run(stage, params, store.url, tuple(inputs))
    key = work.name([[part.name for part in output.parts] for output in inputs])
    done = None if stage.looks_outside else sealed(store, stage.name, key)
    tell = progress or (lambda *_: None)
    if done:
        rows = inputs[0].rows if inputs else done.rows
        tell(stage.name, rows, rows)
        return done
    started = time.monotonic()
    made = MAKERS[stage.shape](work, executor, tell)
    contract = stage.writes
    assert contract is not None
    parts = tuple(part for part in made if isinstance(part, Part))
    said = {key: value for facts in made if isinstance(facts, dict) for key, value in facts.items()}
    about = {
        "stage": stage.name,
        "version": stage.version,
        "params": params.model_dump(mode="json"),
        "inputs": [[output.stage, output.key] for output in inputs],
        "seconds": round(time.monotonic() - started, 3),
    }
    return Output(stage.name, key, contract.aligned, parts, said).seal(store, about)


def idle(stage: Stage, params: Params, inputs: Sequence[Output]) -> Output | None:
    """Return an empty output where nothing is asked of the stage or nothing was given to it, else None."""
    nothing = params.idle or (stage.shape == "map" and not inputs[0].parts)
    return Output(stage.name, "idle", stage.writes.aligned, ()) if nothing and stage.writes else None


def find(stage: Stage, params: Params, inputs: Sequence[Output], store: Store) -> Output | None:
    """Return the output that `run` would find finished, or None."""
    nothing = idle(stage, params, inputs)
    if nothing:
        return nothing
    name = Run(stage, params, store.url).name([[part.name for part in output.parts] for output in inputs])
    return sealed(store, stage.name, name)


def _check_inputs(stage: Stage, inputs: Sequence[Output]) -> None:
    given = [output.aligned for output in inputs]
    if given != [contract.aligned for contract in stage.reads]:
        names = [contract.name for contract in stage.reads]
        raise TypeError(f"{stage.name} reads {names}, but was given {[output.stage for output in inputs]}.")
    parts = {(output.aligned, len(output.parts)) for output in inputs if output.aligned}
    if len(parts) > len({aligned for aligned, _ in parts}):
        raise TypeError(f"{stage.name} needs aligned inputs with the same parts: run the stages before it again.")


def _make_map(work: Run, executor: Executor, tell: Progress) -> list[Part]:
    beside = work.inputs[0].aligned
    aligned = [output for output in work.inputs if output.aligned == beside]
    shared = [part.name for output in work.inputs if output.aligned != beside for part in output.parts]
    pieces = [
        Piece(
            work, i, work.name([output.parts[i].name for output in aligned], shared, i if shared else None), part.rows
        )
        for i, part in enumerate(aligned[0].parts)
    ]
    return _make_missing(pieces, executor, tell)


def _make_exchange(work: Run, executor: Executor, tell: Progress) -> list[Part]:
    assert isinstance(work.params, ExchangeParams)
    cuts = spans(work.inputs[0].rows, work.params.bucket_rows)
    scatters = [
        Scatter(work.stage, work.params, work.workspace, work.inputs, i) for i in range(len(work.inputs[0].parts))
    ]
    scattered = sorted(executor.map(scatter, scatters, f"{work.stage.name}: scatter"))
    names = tuple(name for _, name in scattered)
    buckets = [Bucket(work.stage.name, work.workspace, names, i, span) for i, span in enumerate(cuts)]
    merged = sorted(executor.map(merge, buckets, f"{work.stage.name}: merge"), key=lambda bucket: bucket.number)
    filled = [bucket for bucket in merged if bucket.rows]
    pieces = [Piece(work, i, work.name(b.content, i), b.rows, b) for i, b in enumerate(filled)]
    return _make_missing(pieces, executor, tell)


def _make_reduce(work: Run, executor: Executor, tell: Progress) -> list[Part | Facts]:
    rows = work.inputs[0].rows if work.inputs else 0
    tell(work.stage.name, 0, rows or 1)
    (made,) = executor.map(reduce_parts, [work], work.stage.name)
    rows = rows or sum(part.rows for part in made if isinstance(part, Part))
    tell(work.stage.name, rows, rows)
    return made


MAKERS: dict[str, Callable[[Run, Executor, Progress], Sequence[Part | Facts]]] = {
    "map": _make_map,
    "exchange": _make_exchange,
    "reduce": _make_reduce,
}


def _make_missing(pieces: list[Piece], executor: Executor, tell: Progress) -> list[Part]:
    if not pieces:
        return []
    work, rows = pieces[0].run, {piece.name: piece.rows for piece in pieces}
    there = set(work.store.names(f"{FOLDER}/{work.stage.name}"))
    made = {n: describe_part(work.store, work.stage.name, n) for n in rows if f"{n}.parquet" in there}
    done, total = sum(rows[name] for name in made), sum(rows.values())
    tell(work.stage.name, done, total)
    for part in executor.map(make_part, [p for p in pieces if p.name not in made], work.stage.name):
        made[part.name] = part
        done += rows[part.name]
        tell(work.stage.name, done, total)
    return [made[piece.name] for piece in pieces]


def make_part(piece: Piece) -> Part:
    """Make and commit one part: the unit of work, of retry and of resume."""
    work = piece.run
    stage, contract = work.stage, work.stage.writes
    assert contract is not None
    if piece.bucket is not None:
        files = Files(work.store, f"{FOLDER}/{stage.name}/{piece.name}")
        table = stage(piece.bucket.read(), params=work.params, files=files, number=piece.number)
    else:
        tables = [_read(piece, output, reads) for output, reads in zip(work.inputs, stage.reads, strict=True)]
        table = stage(*tables, params=work.params)
        _check_aligned(stage, tables[0], table)
    return commit_part(work.store, stage.name, contract.check(table, stage.name), piece.name)


def reduce_parts(work: Run) -> list[Part | Facts]:
    """Run a reduce; its parts are named by their content, so that an unchanged part keeps its name.

    Beside tables it may give dicts: facts about the whole, which name nothing.
    """
    contract = work.stage.writes
    assert contract is not None
    made = work.stage(*(Rows(work.store, output) for output in work.inputs), params=work.params)
    name = work.stage.name
    return [
        item if isinstance(item, dict) else commit_part(work.store, name, contract.check(item, name))
        for item in ([made] if isinstance(made, pa.Table) else made)
    ]


def _read(piece: Piece, output: Output, contract: Contract) -> pa.Table:
    """Return the part of the piece's own number, or what a table that is not aligned says of it."""
    store = piece.run.store
    if output.aligned == piece.run.inputs[0].aligned:
        return read_part(store, output.stage, output.parts[piece.number].name)
    told = [read_part(store, output.stage, p.name, filters=[("part", "=", piece.number)]) for p in output.parts]
    return pa.concat_tables([contract.schema.empty_table(), *told])


def _check_aligned(stage: Stage, read: pa.Table, made: pa.Table) -> None:
    if stage.writes is not None and stage.writes.aligned and made.num_rows != read.num_rows:
        raise TypeError(f"{stage.name} must write one row for each row read: {read.num_rows}, not {made.num_rows}.")
