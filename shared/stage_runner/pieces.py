"""What a stage is made of: pieces of work, each named by all that its result depends on."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.params import Params, fingerprint
from shared.stage import Stage
from shared.stage_runner.exchange import Bucket
from shared.storage import Store
from shared.tables import Output

REMEMBERED = "memory"
"""The folder of what stages remember."""


@dataclass(frozen=True)
class SideFiles:
    """Side files of a part: committed before its table, so that the table vouches for them."""

    store: Store
    folder: str

    def name(self, name: str) -> str:
        """Where a side file lies in the workspace."""
        return f"{self.folder}/{name}"


@dataclass(frozen=True)
class Memory:
    """Where a stage remembers rows, whatever its parts are cut like."""

    store: Store
    folder: str
    identity: str
    """What beside a row's own key its result depends on: stage, version, parameters."""


@dataclass(frozen=True)
class StageRun:
    """What every piece of a stage needs to know."""

    stage: Stage
    params: Params
    workspace: str
    inputs: tuple[Output, ...] = ()

    @property
    def store(self) -> Store:
        """The workspace."""
        return Store(self.workspace)

    @property
    def key(self) -> str:
        """The name of the whole output."""
        return self.name([[part.name for part in output.parts] for output in self.inputs])

    def name(self, *facts: object) -> str:
        """Return the name of what this stage makes of the given facts."""
        return fingerprint(self.stage.name, self.stage.version, self.stage.identity(self.params), *facts)


@dataclass(frozen=True)
class Piece:
    """One part to make: its number, its name, the rows it takes and, after an exchange, its bucket."""

    run: StageRun
    number: int
    name: str
    rows: int
    bucket: Bucket | None = None

    @property
    def memory(self) -> Memory:
        """Where its stage remembers rows."""
        work = self.run
        identity = fingerprint(work.stage.name, work.stage.version, work.stage.identity(work.params))
        return Memory(work.store, f"{REMEMBERED}/{work.stage.name}", identity)


def map_pieces(work: StageRun) -> list[Piece]:
    """Return a piece for each part of the first input, named by the parts that it reads."""
    beside = work.inputs[0].aligned
    aligned = [output for output in work.inputs if output.aligned == beside]
    shared = [part.name for output in work.inputs if output.aligned != beside for part in output.parts]
    return [
        Piece(
            work, i, work.name([output.parts[i].name for output in aligned], shared, i if shared else None), part.rows
        )
        for i, part in enumerate(aligned[0].parts)
    ]


def bucket_pieces(work: StageRun, buckets: Sequence[Bucket]) -> list[Piece]:
    """Return a piece for each bucket that has rows, named by its content."""
    filled = [bucket for bucket in buckets if bucket.rows]
    return [Piece(work, i, work.name(b.content, i), b.rows, b) for i, b in enumerate(filled)]
