"""What a person should look at before trusting a dataset version, one line each."""

from typing import Any

from curation.publish.alarms import alarm_text, hanging_together, low_recall
from curation.publish.append.compact import COMPACT_ABOVE, dead_share_of_all
from flows.report.kit.pages import counted

SHOWN = 5
"""Alarms that are told; the report has them all."""


def dataset_warnings(info: dict[str, Any]) -> list[str]:
    """Return lines for what dataset.json holds; of a version of an older dinoflow as far as it goes."""
    alarms = info.get("alarms", [])
    lines = [alarm_text(alarm) for alarm in alarms[:SHOWN]]
    if len(alarms) > SHOWN:
        lines.append(f"and {len(alarms) - SHOWN:,} more such: see the report")
    unreadable = info.get("search", {}).get("decontaminate", {}).get("unreadable", {})
    for name, bad in unreadable.items():
        lines.append(f"{counted(bad, 'image')} of the evaluation set {name} unreadable, and not protected")
    lines += [*low_recall(info), *hanging_together(info)]
    conflicts = info.get("label_conflicts", 0)
    if conflicts:
        lines.append(
            f"{counted(conflicts, 'copy')} with another label than the image that stands for it: see conflicts/"
        )
    dead = dead_share_of_all(info.get("shards", {}).values())
    if dead > COMPACT_ABOVE:
        lines.append(
            f"{dead:.0%} of the bytes in its shards are of images that it does not keep: `dinoflow datasets … compact`"
        )
    return lines
