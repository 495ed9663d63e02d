"""64-bit hashes of an image in its eight orientations: our own fast PHash, or another of imagededup's encoders."""

from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from curation.measure.phash import phashes
from curation.params import HashKind
from shared.images.picture import Picture, Pixels


def oriented_hashes(picture: Picture, kind: HashKind) -> bytes:
    """Return eight hashes of 8 bytes of a picture, the first bit for bit the one that imagededup gives.

    Their order: as it is, mirrored left to right, upside down, both; then the same four of the transposed image.
    """
    if kind == "phash":
        return phashes(picture)
    encoder = _encoder(kind)
    width, height = encoder.target_size
    upright = _gray(picture.image, (width, height))
    lying = _gray(picture.image, (height, width)).T
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
