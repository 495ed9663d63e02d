"""Everything known about one image, as facts: from a published version, and from the stage cache while it lasts."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curation.publish.lineage import Lineage
from flows.inspect.find_image import Row, file_at, find, image_id, matching, rows_of
from flows.inspect.neighbours import measurement, neighbours, resemblances
from flows.inspect.rules import judged, trial
from flows.inspect.workspace import existing, only
from shared.catalog import SIGNALS
from shared.dataset_version import Published, open_version, versions
from shared.errors import UserError
from shared.storage import Store

SIZES = ("width", "height", "format", "bytes")


def story(workspace: str, what: str, name: str | None) -> dict[str, Any]:
    """Return the facts of one image. Raises UserError when nothing is known of it and it is no file."""
    store = existing(workspace)
    dataset = open_version(store, name or only(store))
    data = file_at(what)
    told, rows = _newest_with(store, dataset, what, data)
    lineage = Lineage.of(store, told)
    facts: dict[str, Any] = {"dataset": told.name, "version": told.version, "newest": dataset.version, "asked": what}
    facts["published"] = told.info["created"]
    if rows:
        facts["file_changed"] = data is not None and _changed(rows, data)
        return facts | _indexed(store, told, lineage, rows)
    if data is None:
        raise UserError(
            f"No image {what!r} in {dataset.name} {dataset.version}. Give its path or URL as it was indexed, the end "
            "of it, the beginning of its id (6 letters or more), or a file that is here."
        )
    return facts | _foreign(told, lineage, what, data)


def _newest_with(store: Store, newest: Published, what: str, data: bytes | None) -> tuple[Published, list[Row]]:
    """Return the newest version that knows the image, with its rows; the newest of all when none does."""
    for version in reversed(versions(store, newest.name)):
        dataset = newest if version == newest.version else open_version(store, newest.name, version)
        rows = find(dataset, what, data)
        if rows:
            return dataset, rows
    return newest, []


def _changed(rows: list[Row], data: bytes) -> bool:
    ids = {row["image_id"] for row in rows} - {None}
    return bool(ids) and image_id(data) not in ids


def _indexed(store: Store, dataset: Published, lineage: Lineage, rows: list[Row]) -> dict[str, Any]:
    told = next((row["image_id"] for row in rows if row["image_id"]), None)
    table = measurement(lineage, told) if told else None
    measured: Row | None = table.to_pylist()[0] if table is not None else None
    published = next((row for row in rows if row["state"] == "kept"), None)
    known = measured or published
    facts: dict[str, Any] = {
        "image_id": told,
        "indexed": True,
        "seen": [_seen(dataset, row) for row in rows],
        "like": _states(dataset, {row["kept_uri"] for row in rows if row.get("kept_uri")}),
        "measured": _measured(known),
        "rules": judged(dataset.info.get("recipe", {}), known, table),
        "cache": measured is not None,
        "replaces": _replaced(dataset, published["uri"]) if published else [],
        "versions": _versions(store, dataset.name, rows),
    }
    near = neighbours(lineage, measured) if measured else None
    facts["neighbours"] = _named(dataset, near)
    resemblances(dataset, lineage, rows[0]["uri"], facts["neighbours"])
    return facts


def _foreign(dataset: Published, lineage: Lineage, path: str, data: bytes) -> dict[str, Any]:
    """Tell of a file that was never indexed: what it measures, what it resembles, what curation would say."""
    recipe = dataset.info.get("recipe", {})
    table, verdict = trial(recipe, path)
    measured: Row | None = table.to_pylist()[0] if table is not None else None
    near = _named(dataset, neighbours(lineage, measured) if measured and not measured["error"] else None)
    resemblances(dataset, lineage, path, near, data)
    return {
        "image_id": image_id(data),
        "indexed": False,
        "measured": _measured(measured),
        "error": measured["error"] if measured else None,
        "rules": judged(recipe, measured, table),
        "cache": lineage.measured() is not None,
        "neighbours": near,
        "verdict": verdict(near) if verdict else None,
    }


def _seen(dataset: Published, row: Row) -> Row:
    kept = row["state"] == "kept"
    columns = ("label", "shard", "offset", "length", "rotation", "cluster", "weight")
    evidence = ("stage", "reason", "value", "threshold", "kept_uri", "orientation", "error")
    return {name: row.get(name) for name in ("uri", "source", "state", *(columns if kept else evidence))}


def _measured(row: Row | None) -> Row | None:
    if row is None or row.get("width") is None:
        return None
    phash = row["phash"].hex() if isinstance(row["phash"], bytes) else row["phash"]
    return {name: row[name] for name in (*SIZES, *SIGNALS)} | {"phash": phash}


def _states(dataset: Published, uris: set[str]) -> dict[str, str]:
    """Return for each uri of this version whether it is kept, or why not: of copies, balance may leave out all."""
    found = rows_of(dataset, lambda table: pc.is_in(table["uri"], pa.array(sorted(uris), pa.string()))) if uris else []
    return {row["uri"]: row["reason"] if row["state"] == "dropped" else "kept" for row in found}


def _replaced(dataset: Published, uri: str) -> list[Row]:
    copies = matching(dataset, "dropped", ["kept_uri"], lambda table: pc.equal(table["kept_uri"], uri))
    return [{name: row[name] for name in ("uri", "reason", "value", "threshold")} for row in copies]


def _named(dataset: Published, near: list[Row] | None) -> list[Row] | None:
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


def _versions(store: Store, name: str, rows: list[Row]) -> dict[str, str]:
    """Return for every version whether the image is kept there, or the reason why not, or that it is absent."""
    ids = pa.array(sorted({row["image_id"] for row in rows} - {None}), pa.string())
    uris = pa.array(sorted({row["uri"] for row in rows}), pa.string())
    told = {}
    for version in versions(store, name):
        hits = rows_of(
            open_version(store, name, version),
            lambda table: pc.or_kleene(pc.is_in(table["image_id"], ids), pc.is_in(table["uri"], uris)),
        )
        kept = any(row["state"] == "kept" for row in hits)
        told[version] = "kept" if kept else hits[0]["reason"] if hits else "absent"
    return told
