"""Copies of one picture under different labels: what someone who cleans a dataset looks for first."""

import hashlib

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.publish.reasons import DUPLICATES
from shared.catalog import CONFLICTS
from shared.storage import Store

LABELLED = ["uri", "source", "label"]


def conflicting_labels(kept: pa.Table, dropped: pa.Table) -> pa.Table:
    """Return CONFLICTS: dropped copies whose label is not that of the image that stands for them.

    Takes `uri`, `source` and `label` of all images, and `reason`, `value` and `kept_uri` of the dropped ones. A copy or
    an image without a label contradicts nothing.
    """
    reasons = dropped["reason"].cast(pa.string())
    copies = dropped.filter(pc.and_(pc.is_in(reasons, pa.array(DUPLICATES)), pc.is_valid(dropped["label"])))
    everything = pa.concat_tables([_plain(kept), _plain(dropped)])  # balance may have left out what stands for copies
    everything = everything.filter(pc.is_in(everything["uri"], copies["kept_uri"].combine_chunks()))
    stands = everything.take(pc.index_in(copies["kept_uri"], value_set=everything["uri"].combine_chunks()))
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


def _plain(table: pa.Table) -> pa.Table:
    return pa.table({name: table[name].cast(pa.string()) for name in LABELLED})
