"""What evaluations work on: what a model sees in images, beside what is true of them. And what they return.

Shapes: B images of the bank (training split), Q queries (test split), D width, N patches, H W pixels.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from training.eval.sets.base import IGNORED

if TYPE_CHECKING:
    from torch import Tensor


ScoreRow = dict[str, Any]
"""{"evaluation", "metric", "value", "protocol"}."""


class OmittedError(Exception):
    """These images cannot be scored so; the text says what is lacking, and is noted beside the other scores."""


@dataclass(frozen=True)
class ImageFeatures:
    """Needs "images": features alone."""

    features: "Tensor"
    """features_BD."""
    again: "Tensor | None" = None
    """again_SD: of another view of some of the images, a random crop that may be flipped. None = not looked at."""
    rows: "Tensor | None" = None
    """rows_S: which images `again` shows. None = all of them."""

    @property
    def seen_twice(self) -> "Tensor":
        """seen_twice_SD: features of the images that `again` shows, in its order."""
        return self.features if self.rows is None else self.features[self.rows]

    def check(self) -> None:
        """Raise OmittedError where nothing can be compared."""
        if len(self.features) < 2:
            raise OmittedError(f"needs two images, got {len(self.features)}")
        _check_finite(self.features, *([] if self.again is None else [self.again]))


@dataclass(frozen=True)
class LabelledFeatures:
    """Needs "labels": two splits that share no image."""

    bank: "Tensor"
    """bank_BD."""
    bank_label: "Tensor"
    """bank_label_B."""
    queries: "Tensor"
    """queries_QD."""
    query_label: "Tensor"
    """query_label_Q."""
    classes: tuple[str, ...]

    def check(self) -> None:
        """Raise OmittedError where there is nothing to tell apart."""
        class_count = len(self.bank_label.unique())  # type: ignore[no-untyped-call]
        if class_count < 2:
            raise OmittedError(f"needs a bank of two classes, got {class_count}")
        if not len(self.queries):
            raise OmittedError("needs a query, got none")
        _check_finite(self.bank, self.queries)

    @property
    def counts(self) -> dict[str, int]:
        """How many images there are, for the protocol."""
        return {"bank": len(self.bank), "queries": len(self.queries)}


@dataclass(frozen=True)
class CopyFeatures:
    """Needs "copies": one list of images and the pairs that are known."""

    features: "Tensor"
    """features_BD."""
    copies: "Tensor"
    """copies_P2: rows of the two images of each true pair, the smaller first."""
    ignored: "Tensor"
    """ignored_I2: pairs that count for nothing."""

    def check(self) -> None:
        """Raise OmittedError where there is nothing to find."""
        if not len(self.copies):
            raise OmittedError("needs a pair of copies, got none")
        _check_finite(self.features)


@dataclass(frozen=True)
class PatchFeatures:
    """Needs "masks": patch features and the pixels' classes, under the same centre crop.

    Patches lie row by row on a grid of the proportions of the mask.
    """

    bank: "Tensor"
    """bank_BND."""
    bank_mask: "Tensor"
    """bank_mask_BHW, uint8: the class of each pixel, IGNORED where it does not count."""
    queries: "Tensor"
    """queries_QND."""
    query_mask: "Tensor"
    """query_mask_QHW."""
    classes: tuple[str, ...]

    def check(self) -> None:
        """Raise OmittedError where there is nothing to tell apart."""
        class_count = len(self.bank_mask[self.bank_mask != IGNORED].unique())  # type: ignore[no-untyped-call]
        if class_count < 2:
            raise OmittedError(f"needs a bank with pixels of two classes, got {class_count}")
        if not bool((self.query_mask != IGNORED).any()):
            raise OmittedError("needs a query with a pixel that counts, got none")
        _check_finite(self.bank, self.queries)

    @property
    def counts(self) -> dict[str, int]:
        """How many images there are, for the protocol."""
        return {"bank": len(self.bank), "queries": len(self.queries)}


def score(evaluation: str, metric: str, value: float, protocol: dict[str, Any]) -> ScoreRow:
    """Return a score with the protocol it was measured by."""
    return {"evaluation": evaluation, "metric": metric, "value": value, "protocol": protocol}


def _check_finite(*features: "Tensor") -> None:
    if not all(bool(tensor.isfinite().all()) for tensor in features):
        raise OmittedError("needs finite features, got NaN or infinite ones")
