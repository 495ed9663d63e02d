"""The bad files that are planted: broken, blurred, dark, blank, strips and specks; each is drawn afresh."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from flows.demo.corpus.copies import jpeg, png
from flows.demo.corpus.scene import picture
from flows.demo.corpus.signals import entropy, luminance, sharpness

_PAGE = b"<!DOCTYPE html><html><head><title>404 Not Found</title></head><body>No such picture: %s</body></html>\n"


def broken(label: str, rng: np.random.Generator, turn: int) -> bytes:
    """In turn: a JPEG cut short, random bytes, a web page, nothing at all."""
    whole = jpeg(picture(label, rng))
    return (
        whole[: int(len(whole) * rng.uniform(0.3, 0.7))],
        rng.bytes(int(rng.integers(800, 4000))),
        _PAGE % rng.bytes(4).hex().encode(),
        b"",
    )[turn % 4]


def blurred(label: str, rng: np.random.Generator, turn: int) -> bytes:
    """Far out of focus, with tones from black to white: nothing is wrong with it but the blur."""
    while True:
        sharp = picture(label, rng)
        soft = ImageOps.autocontrast(sharp.filter(ImageFilter.GaussianBlur(min(sharp.size) / 14)))
        if sharpness(soft) < 0.24 and entropy(soft) > 5 and luminance(soft)[1] > 0.5:
            return jpeg(soft)


def dark(label: str, rng: np.random.Generator, turn: int) -> bytes:
    """Hardly exposed."""
    pixels = np.asarray(picture(label, rng), dtype=np.float32)
    return jpeg(Image.fromarray((pixels * rng.uniform(0.1, 0.24)).astype(np.uint8)))


def blank(label: str, rng: np.random.Generator, turn: int) -> bytes:
    """One colour and nothing else."""
    width, height = (int(side) for side in rng.integers(96, 161, 2))
    colour = rng.integers(20, 245, 3)
    plain = Image.new("RGB", (width, height), (int(colour[0]), int(colour[1]), int(colour[2])))
    return png(plain) if turn % 3 == 2 else jpeg(plain)


def strip(label: str, rng: np.random.Generator, turn: int) -> bytes:
    """Several times longer than high, or higher than long."""
    size = (int(rng.integers(400, 560)), int(rng.integers(64, 81)))
    return jpeg(picture(label, rng, size if turn % 2 else size[::-1]))


def speck(label: str, rng: np.random.Generator, turn: int) -> bytes:
    """An icon of a dozen pixels."""
    side = int(rng.integers(10, 15))
    return png(picture(label, rng).resize((side, side), Image.Resampling.BOX))


DEFECTS: dict[str, tuple[Callable[[str, np.random.Generator, int], bytes], int]] = {
    "broken": (broken, 12),
    "blurred": (blurred, 10),
    "dark": (dark, 10),
    "blank": (blank, 10),
    "strip": (strip, 6),
    "small": (speck, 6),
}
"""Kind → how it is made, and how many are planted among 1,000 originals."""
