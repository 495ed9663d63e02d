"""Quality rules: a written union. A rule looks at a stored signal, never at a pixel or at other images."""

from typing import Annotated

from pydantic import Field

from curation.rules.thresholds import Blurry, Bright, Dark, LowInformation, OddAspect, TooLarge, TooSmall

Rule = Annotated[
    TooSmall | TooLarge | OddAspect | Dark | Bright | LowInformation | Blurry,
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
"""Every rule at its default, in the order in which the first that holds names the reason."""
