"""How long something lasts: a number of steps, or text such as "100 epochs" or "4.9e10 samples".

An epoch is as many samples as the dataset has training images: a unit of length, no event in the run.
"""

import math
import re
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import PlainValidator

NUMBER = r"\d+(?:_\d+)*(?:\.\d*)?(?:e\+?\d+)?"
WRITTEN = re.compile(rf"\s*({NUMBER})\s*(steps?|samples?|epochs?|)\s*", re.ASCII | re.IGNORECASE)


def in_steps(length: int | str, batch_size: int, images: int) -> int:
    """Return a length in steps, on a dataset of so many training images; what is not nothing is at least a step."""
    if isinstance(length, int):
        return length
    amount, unit = length.split()
    samples = float(amount) * (images if unit == "epochs" else 1)
    return max(1, round(samples / batch_size))


def _read(given: Any, least: int) -> int | str:
    """Return steps as a number, and other units as one spelling: equal lengths name equal runs."""
    match = WRITTEN.fullmatch(str(given)) if isinstance(given, int | float | str) else None
    if match is None or isinstance(given, bool):
        raise ValueError('needs a number of steps, or text such as "100 epochs" or "4.9e10 samples"')
    amount, unit = float(match[1]), match[2].lower().rstrip("s") or "step"
    if not math.isfinite(amount) or amount < least * (unit == "step") or (least and not amount):
        raise ValueError("needs a length of a step or more")
    if unit == "step" or not amount:
        if amount % 1:
            raise ValueError("needs a whole number of steps")
        return int(amount)
    return f"{int(amount) if amount % 1 == 0 else amount} {unit}s"


if TYPE_CHECKING:  # text is left only until `resolved`, and nothing but that reads it
    Length = int
    LengthOrNone = int
else:
    Length, LengthOrNone = (
        Annotated[int | str, PlainValidator(partial(_read, least=least), json_schema_input_type=int | str)]
        for least in (1, 0)
    )
