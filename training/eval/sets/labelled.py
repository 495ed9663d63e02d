"""A set to evaluate on, opened: its images, which of them are learnt from, and what is true of them.

Shapes: P pairs that are copies, I pairs that count for nothing, H W pixels.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
from PIL import Image

from shared.errors import RecipeError
from training.data.published_images import UNLABELLED
from training.eval.sets.base import Needs


class IndexedImages(Protocol):
    """Images by row number, safe to hand to other processes."""

    def __len__(self) -> int: ...

    def pixels(self, row: int) -> Image.Image:
        """Return upright RGB pixels. Raises UserError or WorkFailedError naming the file that has none."""
        ...


class Masks(Protocol):
    """The class of each pixel, by the row number of its image."""

    def classes(self, row: int, size: tuple[int, int]) -> np.ndarray:
        """Return class_HW, uint8, IGNORED where it does not count, of an image of this width and height.

        It may have another size, of the same proportions.
        """
        ...


def _none() -> np.ndarray:
    return np.empty(0, dtype=np.int64)


def _no_pairs() -> np.ndarray:
    return np.empty((0, 2), dtype=np.int64)


@dataclass(frozen=True)
class Labelled:
    """Images and the truth about them. Rows count through `images`."""

    name: str
    images: IndexedImages
    bank: np.ndarray
    """Rows to learn from: the training split, or all where there is none."""
    queries: np.ndarray = field(default_factory=_none)
    """Rows to ask about; they share no image with the bank."""
    split: str = ""
    """How the two came about, for the protocol."""
    label: np.ndarray = field(default_factory=_none)
    """Number of each image's class in `classes`, or none where there are masks or no labels."""
    classes: tuple[str, ...] = ()
    masks: Masks | None = None
    copies: np.ndarray = field(default_factory=_no_pairs)
    """copies_P2: rows of the two images of each true pair, the smaller first."""
    ignored: np.ndarray = field(default_factory=_no_pairs)
    """ignored_I2."""

    def has(self, needs: Needs) -> bool:
        """Tell whether an evaluation that needs this can use the set."""
        held = {"images": True, "labels": len(self.label) and len(self.queries), "masks": self.masks is not None}
        return bool(held.get(needs, len(self.copies)))


HELD_OUT = "a tenth held out by the hash of each file"
TRAIN = ("train", "training", "bank")
VALIDATION = ("val", "valid", "validation")
TEST = ("test", "testing", "queries")


def is_split(word: str) -> bool:
    """Tell whether a word names a split."""
    return word.strip().lower() in (*TRAIN, *VALIDATION, *TEST)


class Sides(NamedTuple):
    """Which of the two splits each image belongs to."""

    of_each: list[bool | None]
    """Asked about, learnt from, or neither."""
    left_out: str
    """What is neither, in words for the protocol; empty where there is none."""

    @property
    def is_query(self) -> np.ndarray:
        """Whether each image is asked about."""
        return np.array([side is True for side in self.of_each], dtype=bool)

    def none(self) -> "Sides":
        """Return that no image has a split."""
        return Sides([None] * len(self.of_each), "")

    @property
    def both(self) -> bool:
        """Whether there are images on both sides."""
        return {True, False} <= set(self.of_each)


def sides(splits: Sequence[str]) -> Sides:
    """Return the side of each image by the word for its split.

    Where there is a test split, a validation split is neither: it is there to choose settings by.
    """
    words = [split.strip().lower() for split in splits]
    asked = TEST if any(word in TEST for word in words) else VALIDATION
    of_each = [True if word in asked else False if word in TRAIN else None for word in words]
    out = Counter(split for split, side in zip(splits, of_each, strict=True) if side is None)
    listed = ", ".join(f"{name or 'no split'} ({count:,})" for name, count in sorted(out.items()))
    return Sides(of_each, f"; left out: {listed}" if listed else "")


def with_labels(
    where: str, name: str, images: IndexedImages, labels: Sequence[str | None], is_query: np.ndarray, split: str
) -> Labelled:
    """Return a set with classes, of which some images are asked about; images without a label are left out.

    Raises RecipeError where a split is empty, where there is one class alone, or where training lacks one.
    """
    classes = tuple(sorted({label for label in labels if label is not None}))
    if not classes:
        return Labelled(name, images, np.arange(len(images)))
    number = {word: place for place, word in enumerate(classes)}
    label = np.array([UNLABELLED if word is None else number[word] for word in labels], dtype=np.int32)
    bank, queries = (np.flatnonzero((label != UNLABELLED) & side) for side in (~is_query, is_query))
    if not len(bank) or not len(queries):
        raise RecipeError(
            f"{where} needs images to learn from and others to ask about, got {len(bank)} and {len(queries)} of them "
            f"({split}). Name two splits train and test, as folders or in a column."
        )
    lacking = sorted({classes[code] for code in set(label[queries]) - set(label[bank])})
    if not split.startswith(HELD_OUT) and lacking:
        raise RecipeError(
            f"{where} needs every class of the test split in the training split, got {len(lacking)} in the test split "
            f"alone, such as {lacking[0]}. Check the names of the folders or labels."
        )
    trained = [classes[code] for code in sorted(set(label[bank]))]
    if len(trained) < 2:
        raise RecipeError(
            f"{where} needs two classes to learn from at least, got {trained[0]} alone. Give DIR/CLASS/IMAGE."
        )
    return Labelled(name, images, bank, queries, split, label, classes)
