"""Everything known about one image, as facts: from a published version, and from the stage cache while it lasts."""

import os
from pathlib import Path
from typing import Any

from curation.publish.lineage import Lineage
from flows.inspect.escape import shown
from flows.inspect.find_image import SHORTEST_ID, FoundImage, ImageRow, find, image_id, local_path
from flows.inspect.folder_facts import folder_facts
from flows.inspect.image_lookups import copies_of, in_versions, labels_of, states_of, with_uris
from flows.inspect.neighbours import measurement, neighbours, resemblances
from flows.inspect.notes import limits_of, notes
from flows.inspect.rules import dry_run, rule_results
from flows.inspect.workspace import existing, only
from shared.catalog import SIGNALS
from shared.dataset_version import Published, open_version, versions
from shared.errors import UserError
from shared.images.image_files import may_be_image
from shared.storage import Store

SIZES = ("width", "height", "format", "bytes")


def image_facts(workspace: str, what: str, name: str | None) -> dict[str, Any]:
    """Return the facts of one image, or the counts of a folder.

    Raises UserError when nothing is known of it and it is no file.
    """
    store = existing(workspace)
    newest = open_version(store, name or only(store))
    path = local_path(what)
    data = path.read_bytes() if path and path.is_file() else None
    version, image = _newest_with(store, newest, what, data)
    facts: dict[str, Any] = {
        "dataset": version.name,
        "version": version.version,
        "newest": newest.version,
        "published": version.info["created"],
        "asked": what,
    }
    if image.rows:
        facts["file_changed"] = data is not None and _changed(image.rows, data)
        return facts | _indexed(store, version, image)
    if path is not None and data is not None:
        return facts | _foreign(store, version, path, data)
    folder = folder_facts(newest, what)
    if folder is None:
        raise UserError(
            f"No image {shown(what)!r} in {newest.name} {newest.version}. Give its path or URL as it was indexed, the "
            f"end of it, the beginning of its id ({SHORTEST_ID} letters or more), a file that is here, or a folder."
        )
    return facts | folder


def _newest_with(store: Store, newest: Published, what: str, data: bytes | None) -> tuple[Published, FoundImage]:
    """Return the newest version that knows the image, with its rows; the newest of all when none does."""
    for version in reversed(versions(store, newest.name)):
        dataset = newest if version == newest.version else open_version(store, newest.name, version)
        image = find(dataset, what, data)
        if image.rows:
            return dataset, image
    return newest, FoundImage([])


def _changed(rows: list[ImageRow], data: bytes) -> bool:
    ids = {row["image_id"] for row in rows} - {None}
    return bool(ids) and image_id(data) not in ids


def _indexed(store: Store, dataset: Published, image: FoundImage) -> dict[str, Any]:
    lineage, rows, recipe = Lineage.of(store, dataset), image.rows, dataset.info.get("recipe", {})
    own_id = next((row["image_id"] for row in rows if row["image_id"]), None)
    table = measurement(lineage, own_id) if own_id else None
    measured: ImageRow | None = table.to_pylist()[0] if table is not None else None
    published = next((row for row in rows if row["state"] == "kept"), None)
    signals = measured or published
    facts: dict[str, Any] = {
        "image_id": own_id,
        "indexed": True,
        "seen": [_seen(row) | {"asked": row["uri"] in image.asked} for row in rows],
        "like": states_of(dataset, {row["kept_uri"] for row in rows if row.get("kept_uri")}),
        "measured": _measured(signals),
        "rules": rule_results(recipe, signals, table),
        "cache": measured is not None,
        "replaces": copies_of(dataset, published["uri"]) if published else [],
        "versions": in_versions(store, dataset.name, rows),
    }
    near = neighbours(lineage, measured) if measured else None
    facts["neighbours"] = with_uris(dataset, near)
    resemblances(dataset, lineage, rows[0]["uri"], facts["neighbours"])
    copies = {*(row["uri"] for row in rows), *facts["like"], *(copy["uri"] for copy in facts["replaces"])}
    labels = labels_of(dataset, lineage, copies) if len(copies) > 1 else {}
    facts["notes"] = notes(facts["seen"], facts["neighbours"], labels, limits_of(recipe, (signals or {}).get("detail")))
    return facts


def _foreign(store: Store, dataset: Published, path: Path, data: bytes) -> dict[str, Any]:
    """Tell of a file that was never indexed: why, what it measures, what it resembles, what curation would say."""
    lineage, recipe = Lineage.of(store, dataset), dataset.info.get("recipe", {})
    if not may_be_image(path.name):
        return {"image_id": image_id(data), "indexed": False, "never_indexed": "name"}
    table, verdict = dry_run(recipe, path)
    measured: ImageRow | None = table.to_pylist()[0] if table is not None else None
    near = with_uris(dataset, neighbours(lineage, measured) if measured and not measured["error"] else None)
    resemblances(dataset, lineage, str(path), near, data)
    return {
        "image_id": image_id(data),
        "indexed": False,
        "never_indexed": "inside" if _inside(path, recipe) else "outside",
        "measured": _measured(measured),
        "error": measured["error"] if measured else None,
        "rules": rule_results(recipe, measured, table),
        "cache": lineage.measured() is not None,
        "neighbours": near,
        "verdict": verdict(near) if verdict else None,
    }


def _inside(path: Path, recipe: dict[str, Any]) -> bool:
    """Tell whether a file lies in one of the recipe's sources."""
    roots = (Path(os.path.abspath(source["url"])) for source in recipe.get("sources", []) if "://" not in source["url"])
    return any(path.absolute().is_relative_to(root) for root in roots)


def _seen(row: ImageRow) -> ImageRow:
    kept = row["state"] == "kept"
    columns = ("label", "shard", "offset", "length", "rotation", "cluster", "weight")
    evidence = ("stage", "reason", "value", "threshold", "kept_uri", "orientation", "error")
    return {name: row.get(name) for name in ("uri", "source", "state", *(columns if kept else evidence))}


def _measured(row: ImageRow | None) -> ImageRow | None:
    if row is None or row.get("width") is None:
        return None
    phash = row["phash"].hex() if isinstance(row["phash"], bytes) else row["phash"]
    return {name: row[name] for name in (*SIZES, *SIGNALS)} | {"phash": phash}
