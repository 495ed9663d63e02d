"""Copies of one picture under different labels: what someone who cleans a dataset looks for first."""

import hashlib
from collections.abc import Iterable, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.publish.reasons import DUPLICATES
from shared.catalog import CONFLICTS
from shared.storage import Store

LABELLED = ["uri", "source", "label"]
EVIDENCE = ["reason", "value", "kept_uri"]


def labelled_copies(dropped: Iterable[pa.Table]) -> pa.Table:
    """Return the dropped copies that have a label, with the columns EVIDENCE beside it."""
    copies = []
    for table in dropped:
        is_copy = pc.is_in(table["reason"].cast(pa.string()), pa.array(DUPLICATES))
        copies.append(_plain(table.filter(pc.and_(is_copy, pc.is_valid(table["label"]))), [*LABELLED, *EVIDENCE]))
    return pa.concat_tables(copies, promote_options="permissive").combine_chunks()


def conflicting_labels(copies: pa.Table, everything: Iterable[pa.Table]) -> pa.Table:
    """Return CONFLICTS: dropped copies whose label is not that of the image that stands for them.

    Takes LABELLED of all images, dropped ones too: balance may have left out what stands for copies. A copy or an image
    without a label contradicts nothing.
    """
    wanted = copies["kept_uri"].combine_chunks()
    nothing = pa.schema([(name, pa.string()) for name in LABELLED]).empty_table()
    held = (table.filter(pc.is_in(table["uri"], wanted)) for table in everything if len(wanted))
    named = pa.concat_tables([nothing, *(_plain(table, LABELLED) for table in held)])
    stands = named.take(pc.index_in(copies["kept_uri"], value_set=named["uri"].combine_chunks()))
    pairs = pa.table(
        {
            **{name: copies[name] for name in ("uri", "source", "label", "reason", "value", "kept_uri")},
            **{f"kept_{name}": stands[name] for name in ("source", "label")},
        }
    )
    return (
        pairs.filter(pc.not_equal(pairs["label"], pairs["kept_label"]))
        .select(CONFLICTS.schema.names)
        .cast(CONFLICTS.schema)
        .sort_by([("kept_uri", "ascending"), ("uri", "ascending")])
    )


def write_conflicts(store: Store, conflicts: pa.Table) -> dict[str, str]:
    """Write CONFLICTS into a version; return the checksum of its file."""
    sink = pa.BufferOutputStream()
    pq.write_table(conflicts, sink, compression="zstd")
    data, name = sink.getvalue().to_pybytes(), f"{CONFLICTS.name}/part-000000.parquet"
    store.write(name, data)
    return {name: hashlib.sha256(data).hexdigest()}


def _plain(table: pa.Table, names: Sequence[str]) -> pa.Table:
    """Return columns whose words are plain strings: parts have dictionaries of their own."""
    words = (pa.types.is_dictionary(table[name].type) for name in names)
    return pa.table({n: table[n].cast(pa.string()) if word else table[n] for n, word in zip(names, words, strict=True)})
