"""What a stage is made of: pieces of work, each named by all that its result depends on."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.stage_runner.exchange import Bucket
from shared.stage_runner.orders import Order, StageRun
from shared.storage import Store


@dataclass(frozen=True)
class SideFiles:
    """Side files of a part: committed before its table, so that the table vouches for them."""

    store: Store
    folder: str

    def name(self, name: str) -> str:
        """Where a side file lies in the workspace."""
        return f"{self.folder}/{name}"


@dataclass(frozen=True)
class Piece:
    """One part to make: its number, its name, the rows it takes and, after an exchange, its bucket."""

    order: Order | None
    """What all pieces of the stage share; None where they are counted, not made."""
    number: int
    name: str
    rows: int
    bucket: Bucket | None = None


def map_pieces(work: StageRun, order: Order | None = None) -> list[Piece]:
    """Return a piece for each part of the first input, named by the parts that it reads."""
    beside = work.inputs[0].aligned
    aligned = [output for output in work.inputs if output.aligned == beside]
    shared = [part.name for output in work.inputs if output.aligned != beside for part in output.parts]
    return [
        Piece(
            order, i, work.name([output.parts[i].name for output in aligned], shared, i if shared else None), part.rows
        )
        for i, part in enumerate(aligned[0].parts)
    ]


def bucket_pieces(work: StageRun, order: Order, buckets: Sequence[Bucket]) -> list[Piece]:
    """Return a piece for each bucket that has rows, named by its content."""
    filled = [bucket for bucket in buckets if bucket.rows]
    return [Piece(order, i, work.name(b.content, i), b.rows, b) for i, b in enumerate(filled)]
