"""What changed between two versions, in words; or as a table of tab-separated columns, a line for each image."""

from collections.abc import Iterator
from typing import Any

from flows.inspect.escape import shown
from flows.inspect.join_versions import ABSENT, KEPT

TABLE = ("uri", "source", "before", "after", "kept_instead", "label_before", "label_after", "changed")


def lines(facts: dict[str, Any]) -> Iterator[str]:
    """Yield what changed: counts, sources, labels, the recipe, and the first images of each change."""
    kept = facts["kept"]
    yield f"{facts['before']} → {facts['after']}"
    yield f"kept      {kept['before']:,} → {kept['after']:,}: {kept['entered']:,} entered, {kept['left']:,} left"
    if facts["rewritten"]:
        yield f"changed   {facts['rewritten']:,} files have other bytes under the same name"
    if facts["labels"]["changed"]:
        yield f"labels    {facts['labels']['changed']:,} images that both versions keep have another label"
    shards = facts["shards"]
    if shards["both"]:
        hidden = f", {shards['hidden_members']:,} members hidden" if shards["hidden_members"] else ""
        yield f"shards    {shards['both']:,} in both, {shards['new']:,} new, {shards['gone']:,} gone{hidden}"
    for change in facts["transitions"]:
        yield f"{change['images']:>9,}  {_change(change)}"
    if facts["sources"]:
        yield "\nsource                     new      gone   entered      left"
    for source, counts in facts["sources"].items():
        yield f"{source:<20} " + " ".join(f"{counts[what]:>9,}" for what in ("new", "gone", "entered", "left"))
    if facts["recipe"]:
        yield "\nrecipe"
    for key, (before, after) in facts["recipe"].items():
        yield f"  {key}: {before} → {after}"
    if not (facts["transitions"] or facts["recipe"] or facts["rewritten"] or facts["labels"]["changed"]):
        yield "nothing changed"
    for change in facts["transitions"]:
        yield f"\n{_change(change)}{_first_of(change['images'], change['examples'])}"
        for uri, instead in zip(change["examples"], change["kept_instead"], strict=True):
            yield f"  {shown(uri)}" + (f"  → {shown(instead)}" if instead else "")
    labels = facts["labels"]
    if labels["changed"]:
        yield f"\nlabels{_first_of(labels['changed'], labels['examples'])}"
    for row in labels["examples"]:
        yield f"  {shown(row['uri'])}: {shown(row['before'] or '(none)')} → {shown(row['after'] or '(none)')}"


def table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Yield a heading and a line for each image that changed, its columns between tabs."""
    yield "\t".join(TABLE)
    for row in rows:
        changed = ",".join(name for name in ("state", "bytes", "label") if row[f"{name}_changed"])
        yield "\t".join(shown(str(row[name] or "")) for name in TABLE[:-1]) + f"\t{changed}"


def _first_of(count: int, examples: list[Any]) -> str:
    return f", the first of {count:,} (--all lists each)" if count > len(examples) else ""


def _change(change: dict[str, Any]) -> str:
    return f"{_state(change['before'], 'new')} → {_state(change['after'], 'gone')}"


def _state(state: str, absent: str) -> str:
    return absent if state == ABSENT else state if state == KEPT else f"dropped ({state.replace('_', ' ')})"
