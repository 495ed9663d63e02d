"""Masks as maps of classes: the values that an author painted, numbered from 0, what does not count set apart."""

import io
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from PIL import Image

from shared.errors import RecipeError
from shared.images.decode import MAX_PIXELS
from shared.storage import Store
from training.eval.sets.base import IGNORED
from training.eval.sets.files import ImageFiles
from training.eval.sets.tables import words

VALUES = 256
FEW = 3
"""So many values that no 3 × 3 pixels share are more than thin things."""
ALIKE = 0.02
"""A mask may have another size than its image, but for this share its proportions: sizes are rounded."""


@dataclass(frozen=True)
class ClassMaps:
    """Masks by the row number of their image."""

    files: ImageFiles
    names: tuple[str, ...]
    number: np.ndarray
    """Value in the file → number of its class, IGNORED, or -1 for a value that nobody explained."""
    note: str
    """What the values were taken for, in words for the protocol."""

    def classes(self, row: int, size: tuple[int, int]) -> np.ndarray:
        """Return class_HW, which may be smaller or larger than its image.

        Raises RecipeError for a mask of other proportions than its image, and for unknown values.
        """
        value_HW = mask_values(self.files.data(row), self.files.path(row))
        (width, height), (rows, columns) = size, value_HW.shape
        if abs(width * rows - height * columns) > ALIKE * height * columns:
            raise RecipeError(
                f"A mask needs the proportions of its image, {width} × {height}, got {columns} × {rows} in "
                f"{self.files.path(row)}. An image that its EXIF turns needs a mask that is turned."
            )
        class_HW = self.number[value_HW]
        if (class_HW < 0).any():
            value = int(value_HW[class_HW < 0][0])
            raise RecipeError(
                f"{self.files.path(row)} holds the value {value}, which is no class. "
                "Add it to classes.csv: value, name, ignored."
            )
        return np.asarray(class_HW, dtype=np.uint8)


def mask_values(data: bytes, where: str) -> np.ndarray:
    """Return value_HW, uint8, of a mask of one channel, of a palette, or of three equal ones."""
    try:
        with Image.open(io.BytesIO(data)) as mask:
            if mask.width * mask.height > MAX_PIXELS:
                raise RecipeError(f"{where} has {mask.width} × {mask.height} pixels, more than {MAX_PIXELS:,}.")
            value = np.asarray(mask.convert("L") if mask.mode == "1" else mask)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise RecipeError(f"A set with masks needs every mask to decode, got {where}: {error}.") from error
    if value.ndim == 3 and bool((value[..., :3] == value[..., :1]).all()):
        value = value[..., 0]
    if value.ndim != 2 or value.min() < 0 or value.max() >= VALUES:
        raise RecipeError(f"{where} needs one number below {VALUES} for each pixel, got {value.dtype}{value.shape}.")
    narrow: np.ndarray = value.astype(np.uint8)
    return narrow


def class_maps(masks: ImageFiles, given: str, beside: list[str]) -> ClassMaps:
    """Return the maps by a table of classes or, without one, by the values that the masks hold."""
    places = [given] if given else [f"{folder}/classes.csv" for folder in beside]
    table = given or next((place for place in places if Store(place).exists("")), "")
    number = np.full(VALUES, -1, dtype=np.int16)
    number[IGNORED] = IGNORED
    if table:
        names: list[str] = []
        for row in words("A table of classes", table, ("value", "name", "ignored"), {}):
            ignored = row["ignored"].strip().lower() in ("1", "true", "yes")
            number[int(row["value"])] = IGNORED if ignored else len(names)
            names += [] if ignored else [row["name"]]
        return ClassMaps(masks, tuple(names), number, f"classes of {PurePosixPath(table).name}")
    values = _values(masks, f"{beside[0].rstrip('/')}/classes.csv")
    if values == [0, IGNORED]:
        note = "masks of 0 and 255: two classes"
    else:
        note = "classes are the values of the masks" + (", 255 counts for nothing" if IGNORED in values else "")
        values = [value for value in values if value != IGNORED]
    number[values] = np.arange(len(values))
    return ClassMaps(masks, tuple(map(str, values)), number, note)


def _values(masks: ImageFiles, table: str) -> list[int]:
    """Return the values that the masks hold. Raises RecipeError where most of them lie on the edges of others."""
    held, inside = np.zeros(VALUES, dtype=bool), np.zeros(VALUES, dtype=bool)
    for row in range(len(masks)):
        value_HW = mask_values(masks.data(row), masks.path(row))
        held[np.unique(value_HW)] = True
        middle = value_HW[1:-1, 1:-1]
        alike = [
            value_HW[1 + y : y - 1 or None, 1 + x : x - 1 or None] == middle for y in (-1, 0, 1) for x in (-1, 0, 1)
        ]
        inside[np.unique(middle[np.logical_and.reduce(alike)])] = True
    between = np.flatnonzero(held & ~inside)
    if len(between) >= FEW and len(between) > inside.sum():
        raise RecipeError(
            f"A set with masks needs one value for each class, got {held.sum()} values, {len(between)} of which "
            f"(such as {between[len(between) // 2]}) lie between others alone, as in resized or JPEG masks. "
            f"Save them again with the nearest value, or say in {table} (value, name, ignored) what counts."
        )
    return [int(value) for value in np.flatnonzero(held)]
