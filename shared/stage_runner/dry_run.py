"""What a run of a stage would make, said beforehand: parts are named by what makes them, so most is known."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.params import Params
from shared.stage import Stage
from shared.stage_runner.orders import StageRun
from shared.stage_runner.pieces import map_pieces
from shared.stage_runner.run import idle
from shared.storage import Store
from shared.tables import FOLDER, Output, Part, sealed


@dataclass(frozen=True)
class Forecast:
    """What running a stage would do, as far as it can be known."""

    stage: Stage
    params: Params
    inputs: tuple[Output | None, ...]
    output: Output | None
    """What it gives; parts that are still to be made have their names and rows only. None = not known yet."""
    done: bool
    missing: int | None = 0
    """Parts to make; None = not known before the stages that it reads have run."""

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
    if len(made) < len(given):
        return Forecast(stage, params, given, None, done=False, missing=None)
    work = StageRun(stage, params, store.url, made)
    existing = sealed(store, stage.name, work.key)
    if existing:
        return Forecast(stage, params, given, existing, done=True)
    if stage.shape != "map" or stage.writes is None:
        return Forecast(stage, params, given, None, done=False, missing=None if stage.shape == "exchange" else 1)
    pieces, committed = map_pieces(work), set(store.names(f"{FOLDER}/{stage.name}"))
    parts = tuple(Part(piece.name, piece.rows, {}, {}) for piece in pieces)
    missing = sum(f"{part.name}.parquet" not in committed for part in parts)
    return Forecast(
        stage, params, given, Output(stage.name, work.key, stage.writes.aligned, parts), done=False, missing=missing
    )
