"""What the answers come to, in facts and in words: a table over the limit, and the line for the recipe."""

from collections.abc import Iterator, Mapping
from typing import Any

from flows.inspect.calibrate.estimate import estimates
from flows.inspect.calibrate.pairs import Strata

SURE = 0.75
"""A limit is proposed only where its precision is surely as high as this: thirty answers promise no more."""
TELLS = 0.3
"""Where the share of copies rises by less from the lowest to the highest stratum, no limit divides them."""
KEY = "curation.dedup.near.threshold"

Facts = dict[str, Any]


def verdict(strata: Strata, answers: Mapping[int, bool], limit: float, goal: float) -> Facts:
    """Return the estimates over the limit, and the lowest limit that reaches the precision that is asked for."""
    limits = sorted({*strata.edges, limit})
    rows = estimates(strata, answers, limits) if answers else []
    lower_half = [answers[place] for place in answers if strata.scores[place] < limit]
    upper_half = [answers[place] for place in answers if strata.scores[place] >= limit]
    proposed = next((row.limit for row in rows if row.precision >= goal and row.precision_interval[0] >= SURE), None)
    return {
        "limit": limit,
        "goal": goal,
        "answers": len(answers),
        "copies_above": [sum(upper_half), len(upper_half)],
        "copies_below": [sum(lower_half), len(lower_half)],
        "estimates": [vars(row) for row in rows],
        "proposed": None if proposed is None else round(proposed, 4),
        "pairs": len(strata.scores),
        "lowest": strata.edges[0] if strata.edges else None,
        "left_out": strata.left_out,
        "tells": _tells(upper_half, lower_half),
    }


def _tells(upper: list[bool], lower: list[bool]) -> bool:
    """Return whether copies are clearly more frequent above the limit; true where that was not asked."""
    if not upper or not lower:
        return True
    return bool(sum(upper) / len(upper) - sum(lower) / len(lower) >= TELLS) or all(upper) or not any(lower)


def lines(facts: Facts) -> Iterator[str]:
    """Yield the verdict in words."""
    (above, asked_above), (below, asked_below) = facts["copies_above"], facts["copies_below"]
    yield (
        f"{facts['answers']} answers: {above} of {asked_above} pairs from the limit {facts['limit']:g} on are copies, "
        f"{below} of {asked_below} below it"
    )
    if not facts["estimates"]:
        return
    yield ""
    yield "  limit    pairs  precision            recall"
    for row in facts["estimates"]:
        mark = "  ← now" if row["limit"] == facts["limit"] else ""
        precision = _between(row["precision"], row["precision_interval"])
        recall = _between(row["recall"], row["recall_interval"])
        yield f"  {row['limit']:<7.3g} {row['pairs']:>6,}  {precision}  {recall}{mark}"
    yield ""
    yield (
        f"With 95 % intervals. Recall is of the copies among {facts['pairs']:,} pairs of score {facts['lowest']:.3g} "
        f"and more; {facts['left_out']:,} compared pairs below were not asked about."
    )
    if not facts["tells"]:
        yield "The score hardly tells copies from others here: no limit will, and the intervals are too narrow."
    yield ""
    yield _proposal(facts)


def _proposal(facts: Facts) -> str:
    if facts["proposed"] is None:
        return (
            f"No limit is sure to reach a precision of {facts['goal']:g}. Answer more pairs with --pairs, or ask for "
            "less with --precision."
        )
    if facts["proposed"] == round(facts["limit"], 4):
        return f"The limit {facts['limit']:g} is right for a precision of {facts['goal']:g}: nothing to change."
    return f"For a precision of {facts['goal']:g}:  --set {KEY}={facts['proposed']:g}"


def _between(value: float, interval: tuple[float, float]) -> str:
    return f"{value:.2f} ({interval[0]:.2f} to {interval[1]:.2f})"
