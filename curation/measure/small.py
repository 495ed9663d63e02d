"""The small pictures that are left of an image, and what they tell, worked out for many images one after the other.

A step costs half as much for a row of images as between two decodes, which leave nothing of it in a core's caches.
"""

from typing import Any, NamedTuple

import numpy as np

from curation.dedup.thumbnails import drawn
from curation.measure.hashes import oriented_hashes
from curation.measure.phash import BYTES, phashes
from curation.measure.quality_signals import (
    Reduced,
    brightness_percentiles,
    details,
    evenly_spaced,
    reduced,
    sharpness,
)
from curation.params import HashKind
from shared.images.halves import Pixels
from shared.images.picture import Picture


class Small(NamedTuple):
    """What is left of an image's pixels."""

    spaced: Pixels
    """Some of them, in colour [height, width, 3]."""
    reduced: Reduced
    """For its sharpness."""
    tiny: Pixels
    """In colour [32, 32, 3]."""
    gray: Pixels
    """[128, 128]."""
    inner_tiny: Pixels
    inner_gray: Pixels
    """The same without uniform borders."""
    hashes: bytes | None
    """Those of another kind than phash."""


def small(whole: Picture, inner: Picture, kind: HashKind) -> Small:
    """Return the small pictures of an image, and of the same without its borders."""
    return Small(
        evenly_spaced(whole.pixels),
        reduced(whole),
        whole.tiny,
        whole.small_gray,
        inner.tiny,
        inner.small_gray,
        None if kind == "phash" else oriented_hashes(inner.image, kind),
    )


def facts_of(smalls: list[Small]) -> list[dict[str, Any]]:
    """Return hashes, thumbnails and signals of images, as columns of MEASUREMENTS for each."""
    if not smalls:
        return []
    spaced, shapes, tiny, gray, inner_tiny, inner_gray, hashes = zip(*smalls, strict=True)
    inner = np.stack(inner_tiny)
    percentiles = [brightness_percentiles(pixels, (5, 99)) for pixels in spaced]
    columns = {
        "luma_p5": [low for low, _ in percentiles],
        "luma_p99": [high for _, high in percentiles],
        "sharpness": [sharpness(*shape) for shape in shapes],
        "detail": details(np.stack(gray)),
        "phash": [row[:BYTES].tobytes() for row in phashes(np.stack(tiny))],
        "hashes": [other or row.tobytes() for other, row in zip(hashes, phashes(inner), strict=True)],
        "thumbnail": [row.tobytes() for row in drawn(inner, np.stack(inner_gray))],
    }
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
