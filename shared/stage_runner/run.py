"""Runs a stage: returns what is sealed, else makes the parts that are missing and seals the whole."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from shared.errors import DamagedFileError
from shared.launch.executors import Executor
from shared.launch.progress import Meter, OnProgress, ProgressEvent, silent
from shared.params import ExchangeParams, Needing, Params
from shared.stage import Stage
from shared.stage_runner.make import Made, Merging, made_whole, make_part, merge_memory, reduce_parts
from shared.stage_runner.orders import IDLE, StageRun, place
from shared.stage_runner.pieces import Piece, Rounds, bucket_pieces, map_pieces
from shared.stage_runner.shuffle import Map, shuffle
from shared.storage import SCRATCH, Store
from shared.tables import FOLDER, Output, Part, describe_part, sealed


def run(
    stage: Stage,
    params: Params,
    inputs: Sequence[Output],
    *,
    store: Store,
    executor: Executor,
    report: OnProgress = silent,
) -> Output:
    """Return the stage's output for these inputs, making only the parts that are not there yet.

    `report` gets an event at the start, after every part, and at the end. Raises TypeError when the inputs are
    not the tables that the stage reads.
    """
    _check_inputs(stage, inputs)
    nothing = idle(stage, params, inputs)
    if nothing:
        return nothing
    work = StageRun(stage, params, store.url, tuple(inputs))
    existing = None if stage.looks_outside else sealed(store, stage.name, work.key)
    if existing:
        rows = inputs[0].rows if inputs else existing.rows
        report(ProgressEvent(stage.name, rows, rows, stage.unit, ended=True))
        return existing
    started = time.monotonic()
    parts, said = MAKERS[stage.shape](work, executor, report)
    contract = stage.writes
    assert contract is not None
    about = {
        "stage": stage.name,
        "version": stage.version,
        "params": params.model_dump(mode="json"),
        "inputs": [[output.stage, output.key] for output in inputs],
        "seconds": round(time.monotonic() - started, 3),
    }
    # A listing of the world is named by what it found: an older one stays, to be compared with.
    key = work.name([[part.name for part in parts]]) if stage.looks_outside else work.key
    return Output(stage.name, key, contract.aligned, tuple(parts), said).seal(store, about)


def idle(stage: Stage, params: Params, inputs: Sequence[Output | None]) -> Output | None:
    """Return an empty output where nothing is asked of the stage or nothing was given to it, else None."""
    nothing = params.idle or (stage.shape == "map" and inputs[0] is not None and not inputs[0].parts)
    return Output(stage.name, IDLE, stage.writes.aligned, ()) if nothing and stage.writes else None


def _check_inputs(stage: Stage, inputs: Sequence[Output]) -> None:
    given = [output.aligned for output in inputs]
    if given != [contract.aligned for contract in stage.reads]:
        names = [contract.name for contract in stage.reads]
        raise TypeError(f"{stage.name} reads {names}, but was given {[output.stage for output in inputs]}.")
    parts = {(output.aligned, len(output.parts)) for output in inputs if output.aligned}
    if len(parts) > len({aligned for aligned, _ in parts}):
        counts = {output.stage: len(output.parts) for output in inputs}
        raise TypeError(f"{stage.name} needs aligned inputs with the same parts, got {counts}: run their stages again.")


def _make_map(work: StageRun, executor: Executor, report: OnProgress) -> Made:
    if not work.stage.remembers:
        return Made(_make_missing(work, map_pieces(work, place(work)), executor, report), {})
    _merge_memory(work, executor)  # of a run that was killed
    work = replace(work, runs={memo.folder: memo.runs() for memo in work.memory.memos()})
    made = Made(_make_missing(work, map_pieces(work, place(work)), executor, report), {})
    _merge_memory(work, executor)
    return made


def _merge_memory(work: StageRun, executor: Executor) -> None:
    while merges := [Merging(memo, group) for memo in work.memory.memos() for group in memo.groups()]:
        list(executor.map(merge_memory, merges, f"{work.stage.name}: memory"))


def _make_exchange(work: StageRun, executor: Executor, report: OnProgress) -> Made:
    assert isinstance(work.params, ExchangeParams)
    order = place(work)
    buckets = shuffle(work, order, work.params.bucket_rows, _spread(work, executor))
    return Made(_make_missing(work, bucket_pieces(work, order, buckets), executor, report), {})


def _make_reduce(work: StageRun, executor: Executor, report: OnProgress) -> Made:
    rows = work.inputs[0].rows if work.inputs else 0
    meter = Meter(work.stage.name, rows, report, unit=work.stage.unit)
    (made,) = executor.map(reduce_parts, [place(work)], work.stage.name, work.stage.needs(work.params))
    meter.end(rows or sum(part.rows for part in made.parts))
    return made


def _make_rounds(work: StageRun, executor: Executor, report: OnProgress) -> Made:
    meter = Meter(work.stage.name, work.inputs[0].rows, report, unit=work.stage.unit)
    home = f"{FOLDER}/{work.stage.name}"
    rounds = Rounds(work.store, f"{home}/{SCRATCH}{work.key}", _spread(work, executor), f"{home}/memory")
    try:
        made = made_whole(work, rounds=rounds)
    finally:
        work.store.delete(rounds.folder)
    meter.end(work.inputs[0].rows)
    return made


MAKERS = {"map": _make_map, "exchange": _make_exchange, "reduce": _make_reduce, "rounds": _make_rounds}


def _spread(work: StageRun, executor: Executor) -> Map:
    """Return the executor's map over pieces of work inside a stage.

    Each has what the stage needs of a machine, and what its own function does beside.
    """
    name, of_stage = work.stage.name, work.stage.needs(work.params)

    def spread(fn: Callable[[Any], Any], items: Sequence[Any]) -> Iterator[Any]:
        needs = of_stage.joined(fn.needs) if isinstance(fn, Needing) else of_stage
        return executor.map(fn, items, f"{name}: {fn.__name__}", needs)

    return spread


def _make_missing(work: StageRun, pieces: list[Piece], executor: Executor, report: OnProgress) -> list[Part]:
    if not pieces:
        return []
    pieces_of = Counter(piece.name for piece in pieces)
    rows = {piece.name: piece.rows * pieces_of[piece.name] for piece in pieces}
    existing = set(work.store.names(f"{FOLDER}/{work.stage.name}"))
    made = _described(work, [name for name in rows if f"{name}.parquet" in existing])
    done, total = sum(rows[name] for name in made), sum(rows.values())
    meter = Meter(work.stage.name, total, report, done=done, unit=work.stage.unit)
    missing = list({piece.name: piece for piece in pieces if piece.name not in made}.values())
    needs = work.stage.needs(work.params)
    missing.sort(key=lambda piece: -piece.rows)  # a large one at the end would keep all workers but one waiting
    for part in executor.map(make_part, missing, work.stage.name, needs):
        made[part.name] = part
        meter.add(rows[part.name])
    meter.end()
    return [made[piece.name] for piece in pieces]


def _described(work: StageRun, names: Sequence[str]) -> dict[str, Part]:
    """Return what parts on storage hold. Raises DamagedFileError that names all whose footers are damaged."""
    described, damaged = dict[str, Part](), list[DamagedFileError]()
    for name in names:
        try:
            described[name] = describe_part(work.store, work.stage.name, name)
        except DamagedFileError as error:
            damaged.append(error)
    if damaged:
        raise DamagedFileError(damaged[0].file, damaged[0].why, *(error.file for error in damaged[1:]))
    return described
