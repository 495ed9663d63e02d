"""What a quality rule is: one number of an image held against a threshold, and everything that is said of it.

Command line, form, report, `explain` and the colours of charts read it off the class: a rule stands in no other table.
"""

import inspect
from typing import ClassVar

from curation.quality.signals import Signal
from shared.catalog import Group
from shared.params import Params


class QualityRule(Params):
    """Drop an image whose signal lies below (or above) the threshold.

    The first sentence of a rule's docstring is what its reason means; its field `kind` names rule and reason.
    """

    signal: ClassVar[Signal | None]
    """What it looks at; None = what a model says, which is not published."""
    below: ClassVar[bool] = True
    """Whether it drops what lies below the threshold, or above."""
    phrase: ClassVar[str]
    """The measured value in words, `{}` standing for the number."""
    group: ClassVar[Group] = "quality"
    """The colour of its images on a page."""
    by_default: ClassVar[bool] = True
    """Whether it belongs to the rules of a recipe that names none."""
    threshold: float

    @classmethod
    def name(cls) -> str:
        """Return the rule's kind, which is also the reason that it gives."""
        return str(cls.model_fields["kind"].default)

    @classmethod
    def meaning(cls) -> str:
        """Return what an image is that the rule drops, in a sentence."""
        return inspect.cleandoc(cls.__doc__ or "").partition("\n\n")[0].replace("\n", " ")

    @classmethod
    def said(cls, value: float, threshold: float | None) -> str:
        """Return the value in words."""
        counts = cls.signal is not None and cls.signal.counts
        return cls.phrase.format(f"{value:.0f}" if counts else digits(value, threshold))


def digits(value: float, threshold: float | None) -> str:
    """Write a value with as many digits as tell it from its threshold, two at least."""
    for places in (2, 3, 4):
        number = f"{value:.{places}f}"
        if threshold is None or float(number) != float(f"{threshold:g}"):
            break
    return number
