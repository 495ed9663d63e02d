"""How long something lasts: a number of steps, or text such as "100 epochs" or "4.9e10 samples".

A `Length` is the one or the other; `resolved.py` makes steps of all of them once the dataset is known.
An epoch is as many samples as the dataset has training images: a unit of length, no event in the run.
"""

import math
import re
from functools import partial
from typing import Annotated, Any

from pydantic import PlainValidator

NUMBER = r"\d+(?:_\d+)*(?:\.\d*)?(?:e\+?\d+)?"
WRITTEN = re.compile(rf"\s*({NUMBER})\s*(steps?|samples?|epochs?|)\s*", re.ASCII | re.IGNORECASE)


class WrittenLength(str):
    """A length in samples or epochs, such as "100 epochs": nothing to reckon with before the dataset is known."""

    __slots__ = ()
    __mul__ = __rmul__ = __mod__ = None  # type: ignore[assignment]  # str's would take "9 epochs" * 2 for a length


def in_steps(length: int | WrittenLength, batch_size: int, images: int) -> int:
    """Return a length in steps, on a dataset of so many training images; what is not nothing is at least a step."""
    if isinstance(length, int):
        return length
    amount, unit = length.split()
    samples = float(amount) * (images if unit == "epochs" else 1)
    return max(1, round(samples / batch_size))


def _read(given: Any, least: int) -> int | WrittenLength:
    """Return steps as a number, and other units as one spelling: equal lengths name equal runs."""
    match = WRITTEN.fullmatch(str(given)) if isinstance(given, int | float | str) else None
    if match is None or isinstance(given, bool):
        raise ValueError(f'needs a number of steps, or text such as "100 epochs" or "4.9e10 samples", got {given!r}')
    amount, unit = float(match[1]), match[2].lower().rstrip("s") or "step"
    if not math.isfinite(amount) or amount < least * (unit == "step") or (least and not amount):
        raise ValueError(f"needs a length of a step or more, got {given!r}")
    if unit == "step" or not amount:
        if amount % 1:
            raise ValueError(f"needs a whole number of steps, got {given!r}")
        return int(amount)
    return WrittenLength(f"{int(amount) if amount % 1 == 0 else amount} {unit}s")


def _length(least: int) -> PlainValidator:
    return PlainValidator(partial(_read, least=least), json_schema_input_type=int | str)


Length = Annotated[int | WrittenLength, _length(1)]
LengthOrNone = Annotated[int | WrittenLength, _length(0)]
