"""What a picture must show to pass the quality rules: the corpus is checked by its own small yardstick.

Written out here with numpy alone, so that the demo corpus does not move when curation's measuring does.
"""

import numpy as np
from PIL import Image, ImageFilter

SHARP_SIDE = 64


def luminance(image: Image.Image) -> tuple[float, float]:
    """Return the 5th and the 99th percentile of perceived brightness, 0 to 1."""
    red, green, blue = np.asarray(image.convert("RGB"), dtype=np.float32).transpose(2, 0, 1) ** 2
    bright = np.sqrt(0.241 * red + 0.691 * green + 0.068 * blue) / 255
    low, high = np.percentile(bright, (5, 99))
    return float(low), float(high)


def entropy(image: Image.Image) -> float:
    """Return the bits of the gray histogram, 0 to 8."""
    return float(image.convert("L").entropy())


def sharpness(image: Image.Image) -> float:
    """Return cleanvision's blur score: 0 blurred to 1 sharp."""
    gray = image.convert("L")
    gray.thumbnail((SHARP_SIDE, SHARP_SIDE))
    edges = 1 - np.exp(-0.01 * np.std(np.asarray(gray.filter(ImageFilter.FIND_EDGES))))
    spread = 1 - np.exp(-0.01 * np.std(gray.histogram()))
    return float(min(1.0, edges + (spread if spread > 0.18 else 0.0)))


def passes(image: Image.Image) -> bool:
    """Tell whether a picture is bright, varied and sharp enough, with room to spare for its copies."""
    low, high = luminance(image)
    return high >= 0.5 and low <= 0.85 and entropy(image) >= 5 and sharpness(image) >= 0.42
