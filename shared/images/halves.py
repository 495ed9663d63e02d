"""Pictures halved, and again, until their sides are short: the means of equal cells, nothing left out."""

from typing import Any, NamedTuple

import cv2
import numpy as np

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


class Cells(NamedTuple):
    """A picture in equal cells."""

    levels: Pixels
    """[height, width], or [height, width, 3]: the mean of each."""
    size: tuple[float, float]
    """Width and height of the picture in cells: of the last of a line it may have only a part."""


def halved(cells: Cells, long: int) -> Cells:
    """Return cells with either side halved as long as it has `long` of them."""
    levels, (width, height) = cells
    while max(levels.shape[:2]) >= long:
        down, across = (2 if length >= long else 1 for length in levels.shape[:2])
        levels, height, width = _means(levels, down, across), height / down, width / across
    return Cells(levels, (width, height))


def _means(levels: Pixels, down: int, across: int) -> Pixels:
    """Return the means of cells of down × across levels, one or two; of what remains at the end of a line too.

    Half-way between two levels is their mean: INTER_AREA takes three times as long where one side is not halved.
    """
    height, width = levels.shape[:2]
    means = np.empty((-(-height // down), -(-width // across), *levels.shape[2:]), np.uint8)
    for rows, fewer_rows in _pieces(height, down):
        for columns, fewer_columns in _pieces(width, across):
            part = means[fewer_rows, fewer_columns]
            cv2.resize(levels[rows, columns], part.shape[1::-1], dst=part, interpolation=cv2.INTER_LINEAR)
    return means


def _pieces(length: int, cell: int) -> list[tuple[slice, slice]]:
    """Return the whole cells of a line, and what remains, each as it was and as it is then."""
    count = length // cell
    whole = [(slice(0, count * cell), slice(0, count))]
    return whole if count * cell == length else [*whole, (slice(count * cell, length), slice(count, count + 1))]
