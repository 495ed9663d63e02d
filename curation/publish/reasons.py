"""Why an image may be dropped: every reason with its meaning, in the order in which the first that holds is given."""

from collections.abc import Iterable
from dataclasses import dataclass

from curation.quality import RULES
from shared.catalog import Group


@dataclass(frozen=True)
class Reason:
    """One answer to the question why an image was dropped."""

    name: str
    meaning: str
    group: Group


UNREADABLE = Reason("unreadable", "The file cannot be read or decoded.", "broken")
AFTER_THE_RULES = (
    Reason("exact_duplicate", "The same picture to the last pixel, in whatever file.", "duplicate"),
    Reason(
        "perceptual_duplicate",
        "The same picture, resized, recompressed or edited: a hash proposed it, the pixels agree.",
        "duplicate",
    ),
    Reason("near_duplicate", "The same picture or a look-alike, by its embedding.", "duplicate"),
    Reason(
        "contaminated",
        "It resembles an image of an evaluation set; training on it would spoil the scores.",
        "contaminated",
    ),
    Reason("not_sampled", "Good, but left out to balance the dataset.", "sampled"),
)

REASONS: dict[str, Reason] = {
    reason.name: reason
    for reason in (
        UNREADABLE,
        *(Reason(rule.name(), rule.meaning(), rule.group) for rule in RULES.values()),
        *AFTER_THE_RULES,
    )
}
"""Every reason by its name; where several hold, the earlier one is given."""

DUPLICATES = tuple(reason.name for reason in AFTER_THE_RULES if reason.group == "duplicate")
"""Reasons that name a kept image in place of the dropped one, the surest first."""


def by_rule(name: str) -> bool:
    """Tell whether a quality rule gives this reason; one that this version does not know is of another's rule."""
    return name in RULES or name not in REASONS


def ordered(names: Iterable[str]) -> list[str]:
    """Return reasons in their order, those of rules that this version does not know behind its own rules."""
    places = {name: place for place, name in enumerate(REASONS)}
    return sorted(names, key=lambda name: (places.get(name, places[DUPLICATES[0]] - 0.5), name))
