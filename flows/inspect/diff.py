"""`dinoflow datasets WORKSPACE diff A B`: what entered, what left, why, and which keys of the recipe changed."""

import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flows.commands.console import Console
from flows.inspect.join_versions import ABSENT, KEPT, Joined, joined
from flows.inspect.workspace import existing, version_of
from flows.recipe.changes import recipe_changes
from shared.dataset_version import Published
from shared.errors import UserError

EXAMPLES = 10


def diff(workspace: str, first: str | None, second: str | None, json: bool) -> dict[str, Any]:
    """Print, and return, what changed from one version to another. Raises UserError when two are not named."""
    store = existing(workspace)
    if not first or not second:
        raise UserError(
            f"diff needs two versions, got {first or 'none'}. Give v0001 v0002 or NAME/v0001 NAME/v0002: "
            "`dinoflow datasets` lists them."
        )
    old, new = version_of(store, first), version_of(store, second)
    facts = compared(old, new)
    if not json:
        _tell(Console(sys.stdout), facts)
    return facts


def compared(old: Published, new: Published) -> dict[str, Any]:
    """Return the facts of what changed from one version to another."""
    rows = joined(old, new)
    transitions = list(_transitions(rows))
    entered = sum(t["images"] for t in transitions if t["after"] == KEPT)
    left = sum(t["images"] for t in transitions if t["before"] == KEPT)
    both = int(((rows.before == 1) & (rows.after == 1)).sum())
    return {
        "before": f"{old.name}/{old.version}",
        "after": f"{new.name}/{new.version}",
        "kept": {"before": both + left, "after": both + entered, "entered": entered, "left": left, "both": both},
        "rewritten": rows.rewritten,
        "transitions": transitions,
        "sources": _sources(rows),
        "recipe": recipe_changes(old.info.get("recipe", {}), new.info.get("recipe", {})),
    }


def _transitions(rows: Joined) -> Iterator[dict[str, Any]]:
    """Yield every change of state, most images first, with the first uris of each."""
    width = len(rows.states)
    codes = rows.before.astype(np.int64) * width + rows.after
    changed, counts = np.unique(codes[rows.before != rows.after], return_counts=True)
    for code, count in sorted(
        zip(changed.tolist(), counts.tolist(), strict=True), key=lambda pair: (-pair[1], pair[0])
    ):
        uris = pa.table({"uri": rows.uri.filter(pa.array(codes == code))})
        first = pc.select_k_unstable(uris, k=min(EXAMPLES, count), sort_keys=[("uri", "ascending")])
        before, after = (rows.states[part] for part in divmod(code, width))
        examples = uris["uri"].take(first).to_pylist()
        yield {"before": before, "after": after, "images": count, "examples": examples}


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


def _tell(console: Console, facts: dict[str, Any]) -> None:
    kept = facts["kept"]
    console.say(f"{facts['before']} → {facts['after']}")
    console.say(f"kept      {kept['before']:,} → {kept['after']:,}: {kept['entered']:,} entered, {kept['left']:,} left")
    if facts["rewritten"]:
        console.say(f"changed   {facts['rewritten']:,} files have other bytes under the same name")
    for change in facts["transitions"]:
        console.say(f"{change['images']:>9,}  {_change(change)}")
    if facts["sources"]:
        console.say("\nsource                     new      gone   entered      left")
    for source, counts in facts["sources"].items():
        console.say(f"{source:<20} " + " ".join(f"{counts[what]:>9,}" for what in ("new", "gone", "entered", "left")))
    if facts["recipe"]:
        console.say("\nrecipe")
    for key, (before, after) in facts["recipe"].items():
        console.say(f"  {key}: {before} → {after}")
    if not (facts["transitions"] or facts["recipe"] or facts["rewritten"]):
        console.say("nothing changed")
    for change in facts["transitions"]:
        more = change["images"] - len(change["examples"])
        console.say(f"\n{_change(change)}" + (f", the first of {change['images']:,}" if more else ""))
        for uri in change["examples"]:
            console.say(f"  {uri}")


def _change(change: dict[str, Any]) -> str:
    return f"{_state(change['before'], 'new')} → {_state(change['after'], 'gone')}"


def _state(state: str, absent: str) -> str:
    return absent if state == ABSENT else state if state == KEPT else f"dropped ({state.replace('_', ' ')})"
