"""Quality rules: a written union. A rule looks at one stored number of an image, never at other images."""

from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

from curation.quality.model_rules import Judgement, LowAesthetic, Nsfw
from curation.quality.scorer import Scorer
from curation.quality.thresholds import Blurry, Bright, Dark, LowInformation, OddAspect, TooLarge, TooSmall

Rule = Annotated[
    TooSmall | TooLarge | OddAspect | Dark | Bright | LowInformation | Blurry | LowAesthetic | Nsfw,
    Field(discriminator="kind"),
]
"""One reason to drop an image for its own sake."""

DEFAULT_RULES: tuple[Rule, ...] = (
    TooSmall(),
    TooLarge(),
    OddAspect(),
    Dark(),
    Bright(),
    LowInformation(),
    Blurry(),
)
"""Every rule that needs no model at its default, in the order in which the first that holds names the reason."""


def scorers_of(rules: Iterable[Rule]) -> tuple[Scorer, ...]:
    """Return what measuring must do for the rules: one scorer for each column of the scores, whatever their order."""
    asked = {rule.scorer for rule in rules if isinstance(rule, Judgement) and rule.scorer is not None}
    return tuple(sorted(asked, key=lambda scorer: str(scorer.identity())))
