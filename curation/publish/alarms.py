"""Where a person should look: `dark` took all 30 of scan12bit, a search missed its recall, copies hang together."""

from typing import Any

from curation.publish.counts import Counts, projected

SHARE = 0.5
"""A reason that takes more than this of a source or a class is worth a warning."""
FEWEST = 5
"""Of fewer images a share says nothing."""
JOINED, JOINED_SHARE = 1000, 0.01
"""More pictures than so many, and than this share of the images compared, are worth a warning where they hang together
as copies: in a small corpus a hundredth are a few copies, in a large one a thousand are of a popular picture."""
ASKED_FOR = ("not_sampled",)
"""Reasons that a person wants to take much: balance is told how many."""


def alarms(kept: Counts, dropped: Counts) -> list[dict[str, Any]]:
    """Return {reason, source, label, taken, of} of each, most images first; a null label means the whole source.

    Takes counts by source and label, and of what is dropped by reason too. The classes of a source that a reason has
    taken are not told again.
    """
    found = _of(projected(kept, 0), projected(dropped, 0, 2))
    whole = {(one["source"], one["reason"]) for one in found}
    found += [one for one in _of(kept, dropped) if (one["source"], one["reason"]) not in whole]
    return sorted(found, key=lambda one: (-one["taken"], one["source"] or "", one["label"] or "", one["reason"]))


def alarm_text(alarm: dict[str, Any]) -> str:
    """Return an alarm as a sentence without its end."""
    taken = f"all {alarm['of']:,}" if alarm["taken"] == alarm["of"] else f"{alarm['taken']:,} of {alarm['of']:,}"
    place = f"{alarm['label']} in {alarm['source']}" if alarm["label"] else alarm["source"] or "a source without a name"
    return f"{alarm['reason'].replace('_', ' ')} took {taken} images of {place}"


def low_recall(info: dict[str, Any]) -> list[str]:
    """Return a sentence without its end for each search, as dataset.json tells of it, that missed its recall."""
    search = info.get("search", {})
    return [
        f"the search for near duplicates by {column} found {facts['recall']:.1%} of the true neighbours of a sample, "
        f"not the {facts['asked']:.1%} that were asked for"
        for stage in ("candidates", "dedup")  # dedup searches where the cosine alone decides
        for column, facts in search.get(stage, {}).get("searched", {}).items()
        if not facts["reached"]
    ]


def hanging_together(info: dict[str, Any]) -> list[str]:
    """Return a sentence without its end where copies of copies join so many pictures that few can be of one."""
    facts = info.get("search", {}).get("dedup", {})
    pictures, compared = facts.get("most_pictures", 0), facts.get("compared", 0)
    if pictures <= max(JOINED, JOINED_SHARE * compared):
        return []
    return [
        f"{pictures:,} pictures among {compared:,} images hang together as copies of copies: where a template, a frame "
        "or a page makes unlike pictures agree, too much is dropped"
    ]


def _of(kept: Counts, dropped: Counts) -> list[dict[str, Any]]:
    of = kept.copy()
    for (*group, _), count in dropped.items():
        of[tuple(group)] += count
    return [
        {"reason": reason, "source": group[0], "label": group[1] if len(group) > 1 else None}
        | {"taken": count, "of": of[tuple(group)]}
        for (*group, reason), count in dropped.items()
        if reason not in ASKED_FOR and of[tuple(group)] >= FEWEST and count > SHARE * of[tuple(group)]
        if len(group) == 1 or group[1] is not None
    ]
