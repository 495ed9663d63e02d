"""What a run says when it goes on: from which step, and what is not as it was when it stopped."""

import os
from collections.abc import Mapping
from typing import Any

from training.runs.run_folder import RunFolder

RESTART = "TORCHELASTIC_RESTART_COUNT"
MAY_CHANGE = {"device": "device", "torch": "torch", "accumulate": "compute.accumulate"}
"""Facts that do not make another run, and the words for them."""


def goes_on(
    folder: RunFolder, last_good: int | None, facts: Mapping[str, Any], environment: Mapping[str, str] = os.environ
) -> list[str]:
    """Return lines to read; none where a run begins. `facts` are of now, config.json still has those of before."""
    restart = int(environment.get(RESTART, "0"))
    again = f", in restart {restart} of its processes" if restart else ""
    if last_good is None:
        return [f"begins again from step 0{again}: there was no checkpoint yet"] if restart else []
    before = (folder.config() or {}).get("resolved", {})
    lines = [f"goes on from the checkpoint of step {last_good:,} of {facts['steps']:,}{again}"]
    for name, title in MAY_CHANGE.items():
        if name in before and before[name] != facts[name]:
            lines.append(f"{title} was {before[name]}, now {facts[name]}")
    if before.get("processes", facts["processes"]) != facts["processes"]:
        lines.append(_other_world(before, facts))
    if len(lines) > 1:
        lines.append("losses go on as they would have, up to rounding: not bit by bit")
    return lines


def _other_world(before: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    shares = [("images of each batch", "batch_per_process"), ("images at once", "images_at_once")]
    shares += [("groups of KoLeo", "koleo_groups_per_process")]
    parts = [f"{title} {before[name]:,} → {facts[name]:,}" for title, name in shares if name in before]
    return (
        f"processes were {before['processes']}, now {facts['processes']}: for each {', '.join(parts)}; the batch "
        f"of {facts['batch_size']:,} images, its order and its groups are the same"
    )
