"""What the tables of a version say around an image: its copies, their labels, and its state in other versions."""

import pyarrow as pa
import pyarrow.compute as pc

from curation.publish.lineage import Lineage
from flows.inspect.find_image import ImageRow, matching, rows_of
from shared.dataset_version import Published, open_version, versions
from shared.storage import Store


def labels_of(dataset: Published, lineage: Lineage, uris: set[str]) -> dict[str, str | None]:
    """Return the labels that the sources gave to these uris; of kept ones only where the listing was deleted."""
    wanted = pa.array(sorted(uris), pa.string())
    listing = lineage.rows("index")
    tables = listing.tables(["uri", "label"]) if listing else iter([dataset.table("manifest", ["uri", "label"])])
    rows = (row for table in tables for row in table.filter(pc.is_in(table["uri"], wanted)).to_pylist())
    return {row["uri"]: row["label"] for row in rows}


def states_of(dataset: Published, uris: set[str]) -> dict[str, str]:
    """Return for each uri of this version whether it is kept, or why not: of copies, balance may leave out all."""
    rows = rows_of(dataset, lambda table: pc.is_in(table["uri"], pa.array(sorted(uris), pa.string()))) if uris else []
    return {row["uri"]: row["reason"] if row["state"] == "dropped" else "kept" for row in rows}


def copies_of(dataset: Published, uri: str) -> list[ImageRow]:
    """Return the dropped rows that were dropped for this kept image."""
    copies = matching(dataset, "dropped", ["kept_uri"], lambda table: pc.equal(table["kept_uri"], uri))
    return [{name: row[name] for name in ("uri", "reason", "value", "threshold")} for row in copies]


def with_uris(dataset: Published, near: list[ImageRow] | None) -> list[ImageRow] | None:
    """Put uris in place of ids."""
    if near is None:
        return None
    ids = pa.array([row["image_id"].hex() for row in near], pa.string())
    kept = matching(dataset, "manifest", ["image_id"], lambda table: pc.is_in(table["image_id"], ids))
    uris = {row["image_id"]: row["uri"] for row in kept}
    return [
        {"uri": uris.get(row["image_id"].hex(), "?"), "image_id": row["image_id"].hex()}
        | {"pixels_id": row["pixels_id"].hex(), "cosine": row["cosine"], "bits": row["bits"]}
        for row in near
    ]


def in_versions(store: Store, name: str, rows: list[ImageRow]) -> dict[str, str]:
    """Return for every version whether the image is kept there, or the reason why not, or that it is absent."""
    ids = pa.array(sorted({row["image_id"] for row in rows} - {None}), pa.string())
    uris = pa.array(sorted({row["uri"] for row in rows}), pa.string())
    states = {}
    for version in versions(store, name):
        hits = rows_of(
            open_version(store, name, version),
            lambda table: pc.or_kleene(pc.is_in(table["image_id"], ids), pc.is_in(table["uri"], uris)),
        )
        kept = any(row["state"] == "kept" for row in hits)
        states[version] = "kept" if kept else hits[0]["reason"] if hits else "absent"
    return states
