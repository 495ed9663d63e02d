"""What evaluations work on: what a model sees in images, beside what is true of them. And what they return.

Shapes: B images of the bank (training split), Q queries (test split), D width, N patches, H W pixels.
"""

from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

Needs = Literal["images", "labels", "copies", "masks"]
"""What an evaluation cannot do without; it is left out, with a note, where a set has none."""

Score = dict[str, Any]
"""{"evaluation", "metric", "value", "protocol"}."""


@dataclass(frozen=True)
class SeenImages:
    """Needs "images": features alone."""

    features: Tensor
    """features_BD."""
    again: Tensor
    """again_BD: of another view of the same images, a random crop that may be flipped."""


@dataclass(frozen=True)
class SeenLabels:
    """Needs "labels": two splits that share no image."""

    bank: Tensor
    """bank_BD."""
    bank_label: Tensor
    """bank_label_B."""
    queries: Tensor
    """queries_QD."""
    query_label: Tensor
    """query_label_Q."""
    classes: tuple[str, ...]


@dataclass(frozen=True)
class SeenCopies:
    """Needs "copies": one list of images and the pairs that are known."""

    features: Tensor
    """features_BD."""
    copies: Tensor
    """copies_P2: rows of the two images of each true pair, the smaller first."""
    ignored: Tensor
    """ignored_I2: pairs that count for nothing."""


@dataclass(frozen=True)
class SeenMasks:
    """Needs "masks": patch features and the pixels' classes, under the same centre crop."""

    bank: Tensor
    """bank_BND."""
    bank_mask: Tensor
    """bank_mask_BHW, uint8: the class of each pixel, IGNORED where it does not count."""
    queries: Tensor
    """queries_QND."""
    query_mask: Tensor
    """query_mask_QHW."""
    classes: tuple[str, ...]


IGNORED = 255


def score(evaluation: str, metric: str, value: float, protocol: dict[str, Any]) -> Score:
    """Return a score with the protocol it was measured by."""
    return {"evaluation": evaluation, "metric": metric, "value": value, "protocol": protocol}
