"""`dinoflow datasets WORKSPACE diff A B`: what entered, what left, why, and which keys of the recipe changed."""

import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flows.commands.console import Console
from flows.inspect.diff_text import lines, table
from flows.inspect.join_versions import KEPT, Joined, joined
from flows.inspect.workspace import existing, version_of
from flows.recipe.changes import recipe_changes
from shared.dataset_version import Published
from shared.errors import UserError

EXAMPLES = 10


def diff(workspace: str, first: str | None, second: str | None, json: bool, every: bool = False) -> dict[str, Any]:
    """Print, and return, what changed from one version to another; with `every`, each row of it, as a table.

    Raises UserError when two versions are not named.
    """
    store = existing(workspace)
    if not first or not second:
        raise UserError(
            f"diff needs two versions, got {first or 'none'}. Give v0001 v0002 or NAME/v0001 NAME/v0002: "
            "`dinoflow datasets` lists them."
        )
    old, new = version_of(store, first), version_of(store, second)
    facts = compared(old, new, every)
    if not json:
        console = Console(sys.stdout)
        for line in table(facts["rows"]) if every else lines(facts):
            console.say(line)
    return facts


def compared(old: Published, new: Published, every: bool = False) -> dict[str, Any]:
    """Return the facts of what changed from one version to another; with `every`, all rows that did."""
    rows = joined(old, new)
    transitions = list(_transitions(rows))
    entered = sum(t["images"] for t in transitions if t["after"] == KEPT)
    left = sum(t["images"] for t in transitions if t["before"] == KEPT)
    both = int(((rows.before == 1) & (rows.after == 1)).sum())
    return {
        "before": f"{old.name}/{old.version}",
        "after": f"{new.name}/{new.version}",
        "kept": {"before": both + left, "after": both + entered, "entered": entered, "left": left, "both": both},
        "rewritten": int(rows.rewritten.sum()),
        "labels": _labels(rows),
        "transitions": transitions,
        "sources": _sources(rows),
        "shards": _shards(old, new),
        "recipe": recipe_changes(old.info.get("recipe", {}), new.info.get("recipe", {})),
    } | ({"rows": _changed_rows(rows)} if every else {})


def _shards(old: Published, new: Published) -> dict[str, int]:
    """Return how many shards both versions have, only the later, and only the earlier; and members that it hides."""
    before, after = (set(dataset.info.get("shards", ())) for dataset in (old, new))
    hidden = sum(facts["members"] - facts["images"] for facts in new.info.get("shards", {}).values())
    return {
        "both": len(before & after),
        "new": len(after - before),
        "gone": len(before - after),
        "hidden_members": hidden,
    }


def _transitions(rows: Joined) -> Iterator[dict[str, Any]]:
    """Yield every change of state, most images first, with the first uris of each."""
    width = len(rows.states)
    codes = rows.before.astype(np.int64) * width + rows.after
    changed, counts = np.unique(codes[rows.before != rows.after], return_counts=True)
    for code, count in sorted(
        zip(changed.tolist(), counts.tolist(), strict=True), key=lambda pair: (-pair[1], pair[0])
    ):
        examples = _first({"uri": rows.uri, "kept": rows.kept_uri}, codes == code)
        before, after = (rows.states[part] for part in divmod(code, width))
        yield {
            "before": before,
            "after": after,
            "images": count,
            "examples": [row["uri"] for row in examples],
            "kept_instead": [row["kept"] for row in examples],
        }


def _labels(rows: Joined) -> dict[str, Any]:
    """Return how many images that both versions keep have another label, with the first of them."""
    mask = rows.relabelled
    examples = _first({"uri": rows.uri, "before": rows.labels[0], "after": rows.labels[1]}, mask)
    return {"changed": int(mask.sum()), "examples": examples}


def _first(columns: dict[str, Any], mask: np.ndarray) -> list[dict[str, Any]]:
    """Return the first rows by uri where the mask holds."""
    table = pa.table(columns).filter(pa.array(mask))
    first = pc.select_k_unstable(table, k=min(EXAMPLES, table.num_rows), sort_keys=[("uri", "ascending")])
    examples: list[dict[str, Any]] = table.take(first).to_pylist()
    return examples


def _changed_rows(rows: Joined) -> list[dict[str, Any]]:
    """Return every uri whose state, bytes or label changed, sorted."""
    changes = {"state": rows.before != rows.after, "bytes": rows.rewritten, "label": rows.relabelled}
    states = np.asarray(rows.states)
    table = pa.table(
        {
            "uri": rows.uri,
            "source": rows.source,
            "before": states[rows.before],
            "after": states[rows.after],
            "kept_instead": rows.kept_uri,
            "label_before": rows.labels[0],
            "label_after": rows.labels[1],
            **{f"{name}_changed": mask for name, mask in changes.items()},
        }
    )
    chosen = table.filter(pa.array(np.logical_or.reduce(list(changes.values()))))
    listed: list[dict[str, Any]] = chosen.sort_by("uri").to_pylist()
    return listed


def _sources(rows: Joined) -> dict[str, dict[str, int]]:
    """Return for each source how many images are new, gone, entered the kept ones or left them."""
    before, after = rows.before, rows.after
    masks = {
        "new": (before == 0) & (after != 0),
        "gone": (after == 0) & (before != 0),
        "entered": (after == 1) & (before != 1),
        "left": (before == 1) & (after != 1),
    }
    counts: dict[str, Counter[str]] = {}
    for what, mask in masks.items():
        for entry in pc.value_counts(rows.source.filter(pa.array(mask))).to_pylist():
            counts.setdefault(entry["values"] or "(unnamed)", Counter())[what] = entry["counts"]
    return {source: {what: counts[source][what] for what in masks} for source in sorted(counts)}
