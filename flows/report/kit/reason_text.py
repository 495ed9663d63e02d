"""Reasons and evidence in plain words, for readers who have not read the code."""

from typing import Any, NamedTuple

from curation.dedup.geometry.verdicts import UPRIGHT
from curation.publish.reasons import REASONS
from curation.quality import RULES
from curation.quality.rule import digits

VERIFIED = "The same picture, cropped, flipped, framed or edited: laid over the kept one, their pixels agree."
"""What a near duplicate is where geometry has the last word."""
PAIRED = tuple(name for name, reason in REASONS.items() if reason.group in ("duplicate", "contaminated"))
"""Reasons that name the image which the dropped one resembles."""
GEOMETRIC = "geometric"


class Checks(NamedTuple):
    """How a recipe has copies found."""

    verify: str | None = None
    """How near duplicates are checked: `geometric`, `none`, or null where the recipe does not say."""
    hash: str = "phash"
    """Whose bits perceptual duplicates share."""

    @classmethod
    def of(cls, recipe: Any) -> "Checks":
        """Read them off a recipe as it was published."""
        verify = _at(recipe, "curation", "dedup", "near", "verify")
        return cls(verify, _at(recipe, "curation", "measure", "hash") or "phash")


NO_CHECKS = Checks()


def _at(recipe: Any, *keys: str) -> str | None:
    for key in keys:
        recipe = recipe.get(key) if isinstance(recipe, dict) else None
    return recipe if isinstance(recipe, str) else None


def title(reason: str) -> str:
    """Return a reason as a heading."""
    return reason.replace("_", " ").capitalize()


def meaning(reason: str, checks: Checks = NO_CHECKS) -> str:
    """Return what a reason means."""
    if reason == "near_duplicate" and checks.verify == GEOMETRIC:
        return VERIFIED
    return REASONS[reason].meaning if reason in REASONS else "A rule of the recipe dropped it."


def group(reason: str) -> str:
    """Return the group that a reason belongs to; one that is not known any more was a quality rule's."""
    return REASONS[reason].group if reason in REASONS else "quality"


def evidence(reason: str, value: float | None, threshold: float | None, checks: Checks = NO_CHECKS) -> str:
    """Return the measured value against its threshold, as a phrase."""
    if reason == "exact_duplicate":
        return "equal pixels"
    if value is None:
        return ""
    if reason == "perceptual_duplicate" or (reason == "near_duplicate" and checks.verify == GEOMETRIC):
        return f"match {value:.2f}{_limit(threshold, 'a copy from', 2)}"
    if reason == "near_duplicate":
        return f"similarity {value:.3f}{_limit(threshold, 'a copy from', 3)}"
    if reason == "contaminated" and value == threshold == 1:
        return "equal pixels"
    if reason == "contaminated":
        return f"similarity {value:.3f}{_limit(threshold, 'too close from', 3)}"
    side = ("below" if RULES[reason].below else "above") if reason in RULES else "limit"
    return signal_value(reason, value, threshold) + ("" if threshold is None else f", {side} {threshold:g}")


def turned(orientation: str | None) -> str:
    """Return the turn or mirror that a match needed, as the end of a phrase; nothing where it needed none."""
    return f", {orientation}" if orientation not in (None, UPRIGHT) else ""


def edge(reason: str, threshold: float | None, checks: Checks = NO_CHECKS) -> str:
    """Return the limit of a duplicate reason, as a phrase."""
    return evidence(reason, 0.0, threshold, checks).partition(", ")[2]


def tag(reason: str, kept: bool) -> tuple[str, str]:
    """Return the colour and the name of the image that a dropped one resembles; balance may have left it out, too."""
    if reason == "contaminated":
        return "contaminated", "evaluation image"
    return ("kept", "kept") if kept else ("sampled", "left out for balance")


def signal_value(reason: str, value: float, threshold: float | None = None) -> str:
    """Return the value that a rule looks at, as a phrase."""
    return RULES[reason].said(value, threshold) if reason in RULES else f"value {digits(value, threshold)}"


def _limit(threshold: float | None, words: str, digits: int) -> str:
    return "" if threshold is None else f", {words} {threshold:.{digits}f}"
