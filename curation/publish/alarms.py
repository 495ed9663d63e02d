"""Where one reason took so much of a source or a class that a person should look: `dark` took all 30 of scan12bit."""

from collections.abc import Iterable
from typing import Any

import pyarrow as pa

SHARE = 0.5
"""A reason that takes more than this of a source or a class is worth a warning."""
FEWEST = 5
"""Of fewer images a share says nothing."""
ASKED_FOR = ("not_sampled",)
"""Reasons that a person wants to take much: balance is told how many."""

Counts = dict[tuple[str | None, ...], int]


def alarms(kept: pa.Table, dropped: pa.Table) -> list[dict[str, Any]]:
    """Return {reason, source, label, taken, of} of each, most images first; a null label means the whole source.

    Takes `source` and `label` of the kept images, and `reason` beside them of the dropped ones. The classes of a source
    that a reason has taken are not told again.
    """
    found = _of(["source"], kept, dropped)
    whole = {(one["source"], one["reason"]) for one in found}
    found += [one for one in _of(["source", "label"], kept, dropped) if (one["source"], one["reason"]) not in whole]
    return sorted(found, key=lambda one: (-one["taken"], one["source"] or "", one["label"] or "", one["reason"]))


def alarm_text(alarm: dict[str, Any]) -> str:
    """Return an alarm as a sentence without its end."""
    taken = f"all {alarm['of']:,}" if alarm["taken"] == alarm["of"] else f"{alarm['taken']:,} of {alarm['of']:,}"
    place = f"{alarm['label']} in {alarm['source']}" if alarm["label"] else alarm["source"] or "a source without a name"
    return f"{alarm['reason'].replace('_', ' ')} took {taken} images of {place}"


def low_recall(info: dict[str, Any]) -> list[str]:
    """Return a sentence without its end for each search, as dataset.json tells of it, that missed its recall."""
    searched = info.get("search", {}).get("candidates", {}).get("searched", {})
    return [
        f"the search for near duplicates by {column} found {facts['recall']:.1%} of the true neighbours of a sample, "
        f"not the {facts['asked']:.1%} that were asked for"
        for column, facts in searched.items()
        if not facts["reached"]
    ]


def _of(keys: list[str], kept: pa.Table, dropped: pa.Table) -> list[dict[str, Any]]:
    taken, left = _counted(dropped, [*keys, "reason"]), _counted(kept, keys)
    of: Counts = dict(left)
    for (*group, _), count in taken.items():
        of[tuple(group)] = of.get(tuple(group), 0) + count
    return [
        {"reason": reason, "source": group[0], "label": group[1] if len(group) > 1 else None}
        | {"taken": count, "of": of[tuple(group)]}
        for (*group, reason), count in taken.items()
        if reason not in ASKED_FOR and of[tuple(group)] >= FEWEST and count > SHARE * of[tuple(group)]
        if len(group) == 1 or group[1] is not None
    ]


def _counted(table: pa.Table, keys: list[str]) -> Counts:
    plain = pa.table({key: table[key].cast(pa.string()) for key in keys})  # parts have dictionaries of their own
    groups = plain.group_by(keys).aggregate([([], "count_all")])
    rows: Iterable[tuple[str | None, ...]] = zip(*(groups[key].to_pylist() for key in keys), strict=True)
    return dict(zip(rows, groups["count_all"].to_pylist(), strict=True))
