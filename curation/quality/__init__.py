"""Quality rules: a written union. A rule looks at one number of an image, never at other images.

thresholds.py, model_rules.py: the rules · signals.py: the numbers · scorer.py: models on pixels · apply.py judges.

A new rule is a class with a docstring and a line in the union: rule.py says what it must tell of itself.
"""

from collections.abc import Iterable
from typing import Annotated, Any, get_args

from pydantic import Field

from curation.quality.model_rules import LowAesthetic, ModelRule, Nsfw
from curation.quality.rule import QualityRule
from curation.quality.scorer import Scorer
from curation.quality.thresholds import Blurry, Bright, Dark, LowInformation, OddAspect, TooLarge, TooSmall

Rule = Annotated[
    TooSmall | TooLarge | OddAspect | Dark | Bright | LowInformation | Blurry | LowAesthetic | Nsfw,
    Field(discriminator="kind"),
]
"""One reason to drop an image for its own sake."""

_members: tuple[Any, ...] = get_args(get_args(Rule)[0])

RULES: dict[str, type[QualityRule]] = {rule.name(): rule for rule in _members}
"""Every rule, by its kind."""

DEFAULT_RULES: tuple[Rule, ...] = tuple(rule() for rule in _members if rule.by_default)
"""Every rule that needs no model, at its default."""


def scorers_of(rules: Iterable[Rule]) -> tuple[Scorer, ...]:
    """Return what measuring must do for the rules: one scorer for each column of the scores, whatever their order."""
    needed = {rule.scorer for rule in rules if isinstance(rule, ModelRule) and rule.scorer is not None}
    return tuple(sorted(needed, key=lambda scorer: str(scorer.identity())))
