"""64-bit hashes of an image in its eight orientations by imagededup's encoders, PHash apart: phash.py has that."""

from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from curation.params import HashKind
from shared.images.halves import Pixels


def oriented_hashes(image: Image.Image, kind: HashKind) -> bytes:
    """Return eight hashes of 8 bytes of an image, the first bit for bit the one that imagededup gives.

    Their order: as it is, mirrored left to right, upside down, both; then the same four of the transposed image.
    """
    encoder = _encoder(kind)
    width, height = encoder.target_size
    upright = _gray(image, (width, height))
    lying = _gray(image, (height, width)).T
    turned = (view for small in (upright, lying) for rows in (small, small[::-1]) for view in (rows, rows[:, ::-1]))
    return b"".join(bytes.fromhex(encoder.encode_image(image_array=np.ascontiguousarray(view))) for view in turned)


def _gray(image: Image.Image, size: tuple[int, int]) -> Pixels:
    """Shrink as imagededup does; its encoders then find nothing left to shrink, so that a turn costs no pixel."""
    return np.asarray(image.resize(size, Image.Resampling.LANCZOS).convert("L"))


@cache
def _encoder(kind: HashKind) -> Any:
    import shared.images.torchvision_cpu  # noqa: F401, I001  before imagededup, which imports torchvision
    from imagededup.methods import AHash, DHash, WHash

    return {"ahash": AHash, "dhash": DHash, "whash": WHash}[kind](verbose=False)
