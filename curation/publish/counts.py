"""How many images a version keeps and drops, and with which tools it was made."""

import importlib.metadata
from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from shared.errors import WorkFailedError

TOOLS = ("dinoflow", "faiss-cpu", "faiss-gpu", "imagededup", "numpy", "pillow", "pyarrow")


def counted(kept: pa.Table, dropped: pa.Table, indexed: int) -> dict[str, Any]:
    """Return how many images are kept and dropped, of each source and for each reason.

    Raises WorkFailedError when they are not all that are indexed.
    """
    if indexed != kept.num_rows + dropped.num_rows:
        raise WorkFailedError(
            f"Every indexed image must be kept or dropped, but {indexed} ≠ {kept.num_rows} + {dropped.num_rows}. "
            "The stage cache is damaged: delete the folder `stages` of the workspace and run again."
        )
    sources = {"kept": _tally(kept["source"]), "dropped": _tally(dropped["source"])}
    return {
        "indexed": indexed,
        "kept": kept.num_rows,
        "dropped": dropped.num_rows,
        "reasons": _tally(dropped["reason"]),
        "sources": {
            source: {
                "indexed": sources["kept"][source] + sources["dropped"][source],
                "kept": sources["kept"][source],
                "dropped": sources["dropped"][source],
            }
            for source in sorted({*sources["kept"], *sources["dropped"]})
        },
    }


def _tally(column: Any) -> Counter[str]:
    counts = pc.value_counts(column.cast("string"))
    pairs = ((entry["values"].as_py(), entry["counts"].as_py()) for entry in counts)
    return Counter(dict(sorted(pairs, key=lambda pair: -pair[1])))


def tools() -> dict[str, str]:
    """Return the versions of what decides about images."""
    installed = {}
    for tool in TOOLS:
        try:
            installed[tool] = importlib.metadata.version(tool)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed
