"""How many images a version keeps and drops, and with which tools it was made."""

import importlib.metadata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa

from shared.errors import WorkFailedError

TOOLS = ("dinoflow", "faiss-cpu", "faiss-gpu", "imagededup", "numpy", "pillow", "pyarrow")
KEPT_BY, DROPPED_BY = ("source", "label"), ("source", "label", "reason")
"""The columns by which kept and dropped images are counted."""
Counts = Counter[tuple[str | None, ...]]


def tally(tables: Iterable[pa.Table], keys: Sequence[str]) -> Counts:
    """Return how many rows have each combination of some columns; one table is held at a time."""
    total: Counts = Counter()
    for table in tables:
        plain = pa.table({key: table[key].cast(pa.string()) for key in keys})  # parts have dictionaries of their own
        groups = plain.group_by(list(keys)).aggregate([([], "count_all")])
        rows = zip(*(groups[key].to_pylist() for key in keys), strict=True)
        total.update(dict(zip(rows, groups["count_all"].to_pylist(), strict=True)))
    return total


def projected(counts: Counts, *places: int) -> Counts:
    """Return the counts by some of their columns."""
    total: Counts = Counter()
    for row, count in counts.items():
        total[tuple(row[place] for place in places)] += count
    return total


def counted(kept: Counts, dropped: Counts, indexed: int) -> dict[str, Any]:
    """Return how many images are kept and dropped, of each source and for each reason.

    Raises WorkFailedError when they are not all that are indexed.
    """
    if indexed != kept.total() + dropped.total():
        raise WorkFailedError(
            f"Every indexed image must be kept or dropped, but {indexed} ≠ {kept.total()} + {dropped.total()}. "
            "The stage cache is damaged: delete the folder `stages` of the workspace and run again."
        )
    kept_of, dropped_of = projected(kept, 0), projected(dropped, 0)
    reasons = sorted(projected(dropped, 2).items(), key=lambda pair: (-pair[1], str(pair[0])))
    return {
        "indexed": indexed,
        "kept": kept.total(),
        "dropped": dropped.total(),
        "reasons": {reason: count for (reason,), count in reasons},
        "sources": {
            source: {
                "indexed": kept_of[(source,)] + dropped_of[(source,)],
                "kept": kept_of[(source,)],
                "dropped": dropped_of[(source,)],
            }
            for (source,) in sorted(kept_of | dropped_of, key=str)
        },
    }


def tools() -> dict[str, str]:
    """Return the versions of what decides about images."""
    installed = {}
    for tool in TOOLS:
        try:
            installed[tool] = importlib.metadata.version(tool)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed
