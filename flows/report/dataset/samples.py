"""Which rows a page shows: a few, chosen by chance but always the same, before anything costly is done with them."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shared.dataset_version import Published
from shared.schema import Contract

SIGNAL_ROWS = 200_000
"""A histogram of so many images looks like that of a billion."""


def table(dataset: Published, contract: Contract, columns: Sequence[str]) -> pa.Table:
    """Read columns of a published table; a dataset without any part of it has no rows."""
    files = dataset.files(contract.name)
    if not files:
        return contract.schema.empty_table().select(columns)
    with dataset.store.open(files[0]) as file:
        existing = [column for column in columns if column in pq.read_schema(file).names]
    table = dataset.table(contract.name, existing)
    for column in columns:  # that an older dinoflow did not publish
        if column not in existing:
            kind = contract.schema.field(column).type
            table = table.append_column(column, pa.nulls(table.num_rows, kind))
    return table.select(columns)


def rows(source: pa.Table, most: int) -> pa.Table:
    """Return at most so many rows, in an order of chance that is always the same."""
    chosen = np.random.default_rng(source.num_rows).choice(source.num_rows, min(most, source.num_rows), replace=False)
    return source.take(pa.array(chosen, pa.int64()))


def images(source: pa.Table, most: int) -> pa.Table:
    """Return at most so many images: of a table that grew, nearly the same. By their ids, which are digests."""
    keys = [("image_id", "ascending"), ("uri", "ascending")]
    return source.take(pc.select_k_unstable(source, k=min(most, source.num_rows), sort_keys=keys))


def of_reason(dropped: pa.Table, reason: str) -> pa.Table:
    """Return the rows dropped for one reason."""
    return dropped.filter(pc.equal(dropped["reason"].cast(pa.string()), reason))


def nearest_the_limit(source: pa.Table, most: int) -> pa.Table:
    """Return the rows whose value is closest to the threshold: where a decision may be wrong, it is wrong here."""
    gap = pc.fill_null(pc.abs(pc.subtract(source["value"], source["threshold"])), 0.0)
    keys = [("gap", "ascending"), ("uri", "ascending")]
    ranked = pa.table({"gap": gap, "uri": source["uri"]})
    return source.take(pc.select_k_unstable(ranked, k=min(most, len(gap)), sort_keys=keys))


def frequencies(column: pa.ChunkedArray) -> dict[str, int]:
    """Return how often each value occurs, most frequent first; nulls are left out."""
    counted = column.cast(pa.string()).drop_null().value_counts()
    pairs = ((entry["values"], entry["counts"]) for entry in counted.to_pylist())
    return dict(sorted(pairs, key=lambda pair: (-pair[1], pair[0])))
