"""What a run of a stage would make, said beforehand: parts are named by what is read to make them."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from shared.errors import DamagedFileError
from shared.params import Params
from shared.stage import Stage
from shared.stage_runner.orders import StageRun
from shared.stage_runner.pieces import map_pieces
from shared.stage_runner.run import idle
from shared.storage import Store
from shared.tables import FOLDER, Output, Part, describe_part, newest_manifest, output_of, sealed


@dataclass(frozen=True)
class Forecast:
    """What running a stage would do, as far as it can be known."""

    stage: Stage
    params: Params
    inputs: tuple[Output | None, ...]
    output: Output | None
    """What it gives; of parts that are still to be made the rows alone are known. None = not known yet."""
    done: bool
    missing: int | None = 0
    """Parts to make, at most where it is not sure; None = not known before the stages that it reads have run."""
    sure: bool = True
    """Whether it will run so. Not where something that it reads is still to be made: that may turn out as it was, and
    then what was made of it is found."""

    @property
    def parts(self) -> int | None:
        """Parts in all, where they are known."""
        return len(self.output.parts) if self.output else None


def forecast(stage: Stage, params: Params, inputs: Sequence[Output | None], store: Store) -> Forecast:
    """Return what `run` would do with these inputs; None stands for one that is not known before it is made."""
    given = tuple(inputs)
    nothing = idle(stage, params, given)
    if nothing:
        return Forecast(stage, params, given, nothing, done=True)
    made = tuple(output for output in given if output is not None)
    whole = len(made) == len(given)
    known = whole and all(part.name for output in made for part in output.parts)
    work = StageRun(stage, params, store.url, made)
    existing = sealed(store, stage.name, work.key) if known else None
    if existing:
        return Forecast(stage, params, given, existing, done=True)
    earlier = newest_manifest(store, stage.name)
    first = store.newest(f"{FOLDER}/{stage.name}", ".json") is None
    if not whole or stage.shape != "map" or stage.writes is None:
        missing = 1 if known and stage.shape != "exchange" else None
        return Forecast(stage, params, given, None, False, missing, sure=known or first)
    pieces = map_pieces(work)
    there = _there(work, {piece.name for piece in pieces}, earlier)
    parts = tuple(there.get(piece.name) or Part("", piece.rows, {}, {}) for piece in pieces)
    unknown = sum(not piece.name for piece in pieces)
    missing = unknown + len({piece.name for piece in pieces if piece.name} - there.keys())
    output = Output(stage.name, "", stage.writes.aligned, parts)
    return Forecast(stage, params, given, output, False, missing, sure=not unknown or first)


def _there(work: StageRun, names: set[str], earlier: dict[str, Any] | None) -> dict[str, Part]:
    """Return the parts of these names that are on storage: as the newest seal has them, or else their footers."""
    stage = work.stage.name
    sealed_before = output_of(earlier, stage, "").parts if earlier else ()
    described = {part.name: part for part in sealed_before}
    existing = {name.removesuffix(".parquet") for name in work.store.names(f"{FOLDER}/{stage}")} & names
    for name in existing - described.keys():
        with suppress(DamagedFileError):  # it is made again
            described[name] = describe_part(work.store, stage, name)
    return {name: part for name, part in described.items() if name in existing}
