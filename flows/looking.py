"""Commands that only look: explain an image, list and verify datasets, draw the workspace's page."""

import hashlib
import os
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flows.console import Console
from flows.report import render_workspace
from shared.contracts import SIGNALS
from shared.errors import UserError, WorkFailedError, WorkspaceError
from shared.published import FOLDER, Published, open_version, versions
from shared.storage import Store

CHUNK = 1 << 24


def explain(workspace: str, what: str, name: str | None) -> None:
    """Print what the newest version of a dataset knows about one image."""
    console, store = Console(), _existing(workspace)
    dataset = open_version(store, name or _only(store))
    console.say(f"in {dataset.name} {dataset.version}, published {dataset.info['created']}")
    found = False
    for table, tell in (("manifest", _tell_kept), ("dropped", _tell_dropped)):
        for row in _matching(dataset.table(table), what):
            found = True
            console.say()
            tell(console, dataset, row)
    if not found:
        raise UserError(f"No image {what!r} was indexed. Give the path as it was indexed, or an image id.")


def _matching(table: pa.Table, what: str) -> list[dict[str, Any]]:
    path = what if "://" in what else os.path.abspath(what)
    hits = pc.or_(pc.equal(table["uri"], what), pc.equal(table["uri"], path))
    if len(what) >= 8 and all(c in "0123456789abcdef" for c in what):
        hits = pc.or_(hits, pc.fill_null(pc.starts_with(table["image_id"], what), False))
    rows: list[dict[str, Any]] = table.filter(hits).to_pylist()
    return rows


def _tell_kept(console: Console, dataset: Published, row: dict[str, Any]) -> None:
    console.say(f"kept      {row['uri']}")
    console.say(f"id        {row['image_id']}")
    console.say(f"image     {row['width']} × {row['height']} {row['format']}, {row['bytes']:,} bytes")
    console.say(f"label     {row['label'] or '(none)'} · source {row['source']}")
    console.say(f"stored    {row['shard']}, {row['length']:,} bytes at {row['offset']:,}")
    console.say("signals   " + " · ".join(f"{name} {row[name]:.3g}" for name in SIGNALS))
    copies = dataset.table("dropped", ["uri", "reason", "value", "kept_uri"])
    for copy in copies.filter(pc.equal(copies["kept_uri"], row["uri"])).to_pylist():
        console.say(f"replaces  {copy['uri']} ({copy['reason'].replace('_', ' ')}, {copy['value']:.4g})")


def _tell_dropped(console: Console, dataset: Published, row: dict[str, Any]) -> None:
    console.say(f"dropped   {row['uri']}")
    console.say(f"id        {row['image_id'] or '(unreadable)'}")
    console.say(f"reason    {row['reason'].replace('_', ' ')}, found by {row['stage']}")
    if row["error"]:
        console.say(f"error     {row['error']}")
    if row["value"] is not None:
        console.say(f"evidence  {row['value']:.4g}, threshold {row['threshold']:.4g}")
    if row["kept_uri"]:
        console.say(f"copy of   {row['kept_uri']}")


def list_datasets(workspace: str) -> None:
    """Print every published version with its counts."""
    console, store = Console(), _existing(workspace)
    names = store.names(FOLDER)
    if not names:
        raise WorkspaceError(f"Nothing is published in {workspace}. Run `dinoflow curate` first.")
    for name in names:
        for version in versions(store, name):
            info = open_version(store, name, version).info
            counts = info["counts"]
            console.say(f"{name}/{version}  {info['created']}  {counts['kept']:,} kept of {counts['indexed']:,}")


def verify_dataset(workspace: str, which: str | None) -> None:
    """Read every shard of a version again. Raises WorkFailedError naming the shards that changed."""
    console, store = Console(), _existing(workspace)
    name, _, version = (which or "").rpartition("/")
    dataset = open_version(store, name or _only(store), version or None)
    checksums = dataset.info["checksums"]
    changed = [shard for shard, told in checksums.items() if _sha256(dataset, shard) != told]
    if changed:
        raise WorkFailedError(f"{len(changed)} of {len(checksums)} shards changed: {', '.join(changed)}.")
    console.say(f"{dataset.name}/{dataset.version}: all {len(checksums)} shards are as they were published")


def _sha256(dataset: Published, shard: str) -> str:
    state = hashlib.sha256()
    try:
        for chunk in _chunks(dataset, shard):
            state.update(chunk)
    except FileNotFoundError:
        return "missing"
    return state.hexdigest()


def _chunks(dataset: Published, shard: str) -> Iterator[bytes]:
    with dataset.store.open(shard) as file:
        while chunk := file.read(CHUNK):
            yield chunk


def draw_report(workspace: str) -> None:
    """Draw the workspace's page and say where it is."""
    store = _existing(workspace)
    store.write("report.html", render_workspace(store))
    Console().say(store.path("report.html"))


def _existing(workspace: str) -> Store:
    store = Store(workspace if "://" in workspace else os.path.abspath(workspace))
    if not store.fs.exists(store.path()):
        raise WorkspaceError(f"There is no workspace {workspace}. Run `dinoflow demo`, or give the right folder.")
    return store


def _only(store: Store) -> str:
    names = store.names(FOLDER)
    if len(names) != 1:
        raise UserError(f"Say which dataset with --name, one of: {', '.join(names) or '(none published)'}.")
    return names[0]
