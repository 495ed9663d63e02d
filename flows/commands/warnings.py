"""What a person should look at before trusting a dataset version, one line each."""

from typing import Any

from curation.publish.alarms import alarm_text

SHOWN = 5
"""Alarms that are told; the report has them all."""


def dataset_warnings(info: dict[str, Any]) -> list[str]:
    """Return lines for what dataset.json holds; of a version of an older dinoflow as far as it goes."""
    alarms = info.get("alarms", [])
    lines = [alarm_text(alarm) for alarm in alarms[:SHOWN]]
    if len(alarms) > SHOWN:
        lines.append(f"and {len(alarms) - SHOWN:,} more such: see the report")
    unreadable = info.get("search", {}).get("decontaminate", {}).get("unreadable", {})
    lines += [
        f"{n:,} images of the evaluation set {name} cannot be read: they protect nothing"
        for name, n in unreadable.items()
    ]
    conflicts = info.get("label_conflicts", 0)
    if conflicts:
        lines.append(f"{conflicts:,} copies have another label than the image that stands for them: see conflicts/")
    return lines
