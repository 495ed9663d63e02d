"""Which of two copies is the better one: all images in one order, the best first.

Sorting needs some 50 bytes an image, of which the order itself is left.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.arrays import Doubles, Ints, Words
from curation.dedup.comparable_parts import ComparablePart, comparable_parts
from curation.dedup.ivf.search import to_ids
from curation.dedup.sorted_ids import halves
from curation.params.copies import DedupParams
from shared.catalog import IMAGES, MEASUREMENTS
from shared.tables import Rows

SIGNALS = ("sharpness", "entropy", "aspect", "detail")
"""Signals that the policy may ask for."""


@dataclass(frozen=True)
class Merits:
    """What tells the better of two images, as columns."""

    columns: Doubles
    """[columns, n], the weightiest first; the smaller value is better. Whole numbers below 2⁵³ stay what they are."""
    heads: Words
    """The first halves [n] of the digests of the files."""
    names: Callable[[Ints], pa.Table]
    """Reads `image_id` and `uri` of some items, which only ties need."""


def merits_of(corpus: tuple[Rows, Rows, Rows], params: DedupParams) -> Merits:
    """Return the merits of the images that may be compared."""
    images, measurements, _ = corpus
    wanted = ["pixels_id", "image_id", "width", "height", "bytes"]
    wanted += [name for name in SIGNALS if {name, f"-{name}"} & set(params.keep)]
    most, count = images.output.rows, 0
    columns, heads, rows = np.empty((len(params.keep), most)), np.empty(most, np.uint64), np.empty(most, np.int64)
    sources: dict[str, int] = {}
    for part in comparable_parts(corpus, ["source"], wanted):
        some = slice(count, count := count + len(part.rows))
        rows[some] = part.rows
        heads[some], _ = halves(to_ids(part.measured["image_id"]))
        for column, name in zip(columns, params.keep, strict=True):
            column[some] = _merit(name, part, sources)

    def names(items: Ints) -> pa.Table:
        numbers = rows[items]
        digests = measurements.taken(MEASUREMENTS, ["image_id"], numbers)
        return digests.append_column("uri", images.taken(IMAGES, ["uri"], numbers)["uri"])

    return Merits(columns[:, :count], heads[:count], names)


def keep_order(merits: Merits) -> Ints:
    """Return the items, best first: by their merits, then the smaller id, then the smaller uri, to be total.

    Of ids the first halves are compared, and the whole of those images for which that is not enough.
    """
    keys = [merits.heads, *merits.columns[::-1]]
    order = np.lexsort(keys)
    equal = np.ones(max(0, len(order) - 1), dtype=bool)
    for key in keys:
        column = key[order]
        equal &= (column[1:] == column[:-1]) | ((column[1:] != column[1:]) & (column[:-1] != column[:-1]))  # NaN ties
    tied = np.flatnonzero(np.append(equal, False) | np.append(False, equal)) if len(order) else order
    if len(tied):
        group = np.cumsum(~np.append(False, equal)[tied])
        ties = merits.names(order[tied]).append_column("group", pa.array(group))
        by_name = pc.sort_indices(ties, [(name, "ascending") for name in ("group", "image_id", "uri")]).to_numpy()
        order[tied] = order[tied][by_name]
    return order


def _merit(name: str, part: ComparablePart, sources: dict[str, int]) -> Doubles:
    """Return a column of which the smaller value is better; `sources` are numbered as they come."""
    column = name.removeprefix("-")
    if column == "pixels":
        values = _doubles(part.measured["width"]) * _doubles(part.measured["height"])
    elif column == "source":  # the index lists the sources in the order of the recipe
        words = part.listed["source"].cast(pa.string()).combine_chunks().dictionary_encode()
        numbers = [sources.setdefault(word, len(sources)) for word in words.dictionary.to_pylist()]
        values = np.array(numbers, np.float64)[words.indices.to_numpy()]
    else:
        values = _doubles(part.measured[column])
    return -values if name.startswith("-") else values


def _doubles(column: pa.ChunkedArray) -> Doubles:
    return np.asarray(column.to_numpy(), dtype=np.float64)
