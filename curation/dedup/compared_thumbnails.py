"""Thumbnails of pairs of images, compared by workers: map → exchange on spans of pairs → map.

Pairs join images of any two parts. Each part is read once: its thumbnails go to the spans of pairs that need them.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from curation.arrays import Bools, Bytes, Ints
from curation.dedup.ivf.assign import fixed_binary
from curation.dedup.ivf.search import fixed_bytes
from curation.dedup.thumbnails import LENGTH
from shared.stage_runner import Rounds
from shared.stage_runner.name_lists import list_names, listed
from shared.storage import Store
from shared.storage.checked import read_table, write_table
from shared.storage.sorted_file import open_sorted, write_sorted
from shared.tables import Rows, read_part

SPAN = 50_000
"""Pairs of a span: some 100 MB of thumbnails."""
GROUP = 200_000
"""Rows of the parts that are read by one task, at most on average."""

THUMBNAILS = pa.schema([("row", pa.int64()), ("span", pa.int64()), ("thumbnail", pa.binary(LENGTH))])

ThumbnailComparison = Callable[[Bytes, Bytes], Bools]
"""Tells of rows [n, 1152] of thumbnails which may show what those of others do."""


@dataclass(frozen=True)
class ThumbnailTask:
    """A piece of work: a group of parts to read, or a span of pairs to compare."""

    url: str
    folder: str
    compare: ThumbnailComparison
    number: int = 0
    """Of the group or of the span."""
    stage: str = ""
    listed: str = ""
    """The list of the parts of a group with their checksums, or of the files of all groups."""
    first: int = 0
    """The row of the whole table with which the group begins."""

    @property
    def store(self) -> Store:
        """The storage of all files."""
        return Store(self.url)


def compared_thumbnails(
    rounds: Rounds, name: str, measurements: Rows, pairs: tuple[Ints, Ints], compare: ThumbnailComparison
) -> Bools:
    """Return what a comparison says of pairs [n] of rows of the measurements, by their thumbnails."""
    ones, others = pairs
    if not len(ones):
        return np.zeros(0, dtype=bool)
    store, output = rounds.store, measurements.readable(["thumbnail"])
    task = ThumbnailTask(store.url, f"{rounds.folder}/{name}", compare, stage=output.stage)
    span = np.arange(len(ones)) // SPAN
    write_sorted(store, _pairs(task), pa.table({"span": span, "one": ones, "other": others}), "span")
    spans = int(span[-1]) + 1
    row, wanting = np.divmod(np.unique(np.concatenate(pairs) * spans + np.tile(span, 2)), spans)
    write_sorted(store, _wanted(task), pa.table({"row": row, "span": wanting}), "row")
    firsts = np.cumsum([0, *(part.rows for part in output.parts)])
    group = firsts[:-1] // GROUP
    gathering = []
    for number in np.unique(group).tolist():
        inside = np.flatnonzero(group == number)
        parts = [f"{output.parts[i].name} {output.parts[i].checksum}" for i in inside]
        names = list_names(store, task.folder, parts)
        gathering.append(replace(task, number=number, listed=names, first=int(firsts[inside[0]])))
    files = list_names(store, task.folder, sorted(rounds.map(gather, gathering)))
    comparing = [replace(task, number=number, listed=files) for number in range(spans)]
    told = sorted(rounds.map(look, comparing))
    return np.concatenate([read_table(store, file)["alike"].to_numpy(zero_copy_only=False) for file in told])


def gather(task: ThumbnailTask) -> str:
    """Write the thumbnails of a group of parts that are wanted, sorted by the span of pairs that wants them."""
    first, pieces = task.first, [THUMBNAILS.empty_table()]
    with open_sorted(task.store, _wanted(task)) as file:
        for name, checksum in (line.split(" ") for line in listed(task.url, task.listed)):
            thumbnails = read_part(task.store, task.stage, name, checksum, columns=["thumbnail"])["thumbnail"]
            wanted = file.span(first, first + len(thumbnails))
            seen = fixed_bytes(thumbnails.take(pa.array(wanted["row"].to_numpy() - first))).reshape(-1, LENGTH)
            pieces.append(wanted.append_column("thumbnail", fixed_binary(seen, LENGTH)))
            first += len(thumbnails)
    output = f"{task.folder}/thumbnails-{task.number:06d}.parquet"
    write_sorted(task.store, output, pa.concat_tables(pieces), "span", compression="none")
    return output


def look(task: ThumbnailTask) -> str:
    """Compare the thumbnails of a span of pairs; write what is told of each, in their order."""
    pieces = []
    for name in listed(task.url, task.listed):
        with open_sorted(task.store, name) as file:
            pieces.append(file.span(task.number, task.number + 1))
    seen = pa.concat_tables(pieces)  # groups follow each other, and so do their rows
    rows, thumbnails = seen["row"].to_numpy(), fixed_bytes(seen["thumbnail"]).reshape(-1, LENGTH)
    with open_sorted(task.store, _pairs(task)) as file:
        pairs = file.span(task.number, task.number + 1)
    sides = [thumbnails[np.searchsorted(rows, pairs[side].to_numpy())] for side in ("one", "other")]
    output = f"{task.folder}/alike-{task.number:09d}.parquet"
    write_table(task.store, output, pa.table({"alike": task.compare(*sides)}))
    return output


def _pairs(task: ThumbnailTask) -> str:
    return f"{task.folder}/pairs.parquet"


def _wanted(task: ThumbnailTask) -> str:
    return f"{task.folder}/wanted.parquet"
