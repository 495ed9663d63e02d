"""What a stage is made of: pieces of work, each named by all that its result depends on."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.stage_runner.orders import Order, StageRun
from shared.stage_runner.shuffle import Map, MergedBucket
from shared.storage import Store
from shared.tables import Output


@dataclass(frozen=True)
class SideFiles:
    """Side files of a part: committed before its table, so that the table vouches for them."""

    store: Store
    folder: str

    def name(self, name: str) -> str:
        """Where a side file lies in the workspace."""
        return f"{self.folder}/{name}"


@dataclass(frozen=True)
class Rounds:
    """What a stage in rounds works with: a folder of its own while it lasts, and a map over any processes."""

    store: Store
    folder: str
    map: Map
    """Results come in any order; what travels should be names."""
    memory: str = "memory"
    """A folder that outlasts it: what the stage finds there again must be what it would make."""


@dataclass(frozen=True)
class Piece:
    """One part to make: its number, its name, the rows it takes and, after an exchange, its bucket."""

    order: Order | None
    """What all pieces of the stage share; None where they are counted, not made."""
    number: int
    name: str
    rows: int
    bucket: str = ""
    """The name of the bucket's content."""


def map_pieces(work: StageRun, order: Order | None = None) -> list[Piece]:
    """Return a piece for each part of the first input, named by what it reads; "" where that is not made yet.

    Pieces that read the same have one name, and one part.
    """
    first, read = work.inputs[0], list(zip(work.inputs, work.contents, strict=True))
    aligned = [contents for output, contents in read if output.aligned == first.aligned]
    others = [_speaking_of(*each, len(first.parts)) for each in read if each[0].aligned != first.aligned]
    pieces = []
    for i, part in enumerate(first.parts):
        own = [contents[i] for contents in aligned]
        shared = [content for speaking in others for content in speaking[i]]
        name = work.name(own, shared, i if shared else None) if all(own) and all(shared) else ""
        pieces.append(Piece(order, i, name, part.rows))
    return pieces


def _speaking_of(output: Output, contents: Sequence[str], count: int) -> list[list[str]]:
    """Return, for each part of the index, what is read of the parts of a table that may speak of it."""
    read: list[list[str]] = [[] for _ in range(count)]
    for part, content in zip(output.parts, contents, strict=True):
        first, last = part.covers or (0, count - 1)
        for one in read[first : last + 1]:
            one.append(content)
    return read


def bucket_pieces(work: StageRun, order: Order, buckets: Sequence[MergedBucket]) -> list[Piece]:
    """Return a piece for each bucket, named by its content."""
    return [Piece(order, i, work.name(b.content, i), b.rows, b.content) for i, b in enumerate(buckets)]
