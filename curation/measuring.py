"""Everything that one decode of an image tells, as one row of measurements."""

import hashlib
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

import shared.torchvision_cpu  # noqa: F401  imagededup imports torchvision

# isort: split
from imagededup.methods import PHash

from curation.embedders import Embedder
from curation.signals import signals
from curation.sources.reading import UnreadableError, read_bytes
from shared.contracts import MEASUREMENTS
from shared.images import UndecodableError, decode

EMPTY: dict[str, Any] = dict.fromkeys(MEASUREMENTS.schema.names)


def measure_images(images: pa.Table, embedder: Embedder) -> pa.Table:
    """Return MEASUREMENTS of the images, one decode each, in their order."""
    return pa.Table.from_pylist([measure_image(data, embedder) for data in read_bytes(images)], MEASUREMENTS.schema)


def measure_image(data: bytes | UnreadableError, embedder: Embedder) -> dict[str, Any]:
    """Return one row of MEASUREMENTS; what cannot be read or decoded has an `error` and nulls."""
    if isinstance(data, UnreadableError):
        return EMPTY | {"error": str(data)}
    known = EMPTY | {"image_id": digest(data), "bytes": len(data)}
    try:
        decoded = decode(data)
    except UndecodableError as error:
        return known | {"error": str(error)}
    image = decoded.image
    pixels = np.asarray(image)
    return known | {
        "pixels_id": digest(f"{image.width}x{image.height}:".encode(), pixels.tobytes()),
        "width": image.width,
        "height": image.height,
        "format": decoded.format,
        "phash": perceptual_hash(pixels),
        "vector": embedder.embed(image).astype(np.float16),
        **signals(image),
    }


def digest(*pieces: bytes) -> bytes:
    """Return the 128-bit BLAKE2b digest of the pieces, one after the other."""
    state = hashlib.blake2b(digest_size=16)
    for piece in pieces:
        state.update(piece)
    return state.digest()


def perceptual_hash(pixels: np.ndarray[Any, Any]) -> bytes:
    """Return imagededup's 64-bit PHash of RGB pixels [height, width, 3]."""
    return bytes.fromhex(_phash().encode_image(image_array=pixels))


@cache
def _phash() -> PHash:
    return PHash(verbose=False)
