"""What each stage took away: from every image found to those that are kept."""

from typing import Any

from flows.report.kit import reason_text

STEPS = (
    ("Readable", "every file is opened and decoded whole", ("broken",)),
    ("Good", "each image is held against the quality rules", ("quality",)),
    ("Unique", "of copies, one is kept", ("duplicate",)),
    ("Uncontaminated", "nothing that resembles an evaluation set", ("contaminated",)),
    ("Sampled", "frequent kinds are thinned out", ("sampled",)),
)
"""What is left after a step, what the step does, and which groups of reasons it takes away."""


def funnel(kept: int, reasons: dict[str, int], sizes: dict[str | None, int]) -> list[dict[str, Any]]:
    """Return one row for each step: images and bytes that are left, and what it took; idle last steps are left out."""
    images, data = kept + sum(reasons.values()), sum(sizes.values())
    first = {"title": "Found", "does": "the sources are listed", "group": "kept", "taken": 0}
    rows = [first | {"images": images, "bytes": data if sizes else None}]
    for title, does, groups in STEPS:
        of_step = [reason for reason in reasons if reason_text.group(reason) in groups]
        taken = sum(reasons[reason] for reason in of_step)
        images, data = images - taken, data - sum(sizes.get(reason, 0) for reason in of_step)
        if taken or groups[0] in ("broken", "quality", "duplicate"):
            row = {"title": title, "does": does, "group": groups[0], "taken": taken}
            rows.append(row | {"images": images, "bytes": data if sizes else None})
    return rows
