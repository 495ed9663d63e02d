"""Whether one picture hides parts of the other behind something plain: a watermark, a caption, a hole."""

import cv2
import numpy as np

from curation.arrays import Bools, Bytes, Floats

STRONG, STRONG_SHARE = 12.0, 0.35
"""Gray levels of residual, and its share of the contrast, that are a difference and no noise."""
SMALLEST_BLOB = 12
STEEP = 1.6
"""An overlay's rim is so many times as steep as what it covers there."""
HIDDEN, STREWN = 2.5, 1.25
"""What is under an overlay varies by so many gray levels, and by so many times more than the overlay."""


def overlay(x: Floats, y: Floats, both: Bools, contrast: float) -> float:
    """Return the share of strong residuals that one picture, the same everywhere, lays over the other."""
    strong = ((np.abs(x - y) > max(STRONG, STRONG_SHARE * contrast)) & both).astype(np.uint8)
    strong = cv2.morphologyEx(strong, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(strong, connectivity=8)
    slopes = [np.hypot(cv2.Sobel(gray, cv2.CV_32F, 1, 0), cv2.Sobel(gray, cv2.CV_32F, 0, 1)) for gray in (x, y)]
    areas: dict[int | None, int] = {0: 0, 1: 0, None: 0}
    for blob in range(1, count):
        left, top, width, height, area = (int(value) for value in stats[blob])
        if area >= SMALLEST_BLOB:
            cut = np.s_[max(0, top - 2) : top + height + 2, max(0, left - 2) : left + width + 2]
            inside = (labels[cut] == blob).astype(np.uint8)
            areas[_on_top((x[cut], y[cut]), (slopes[0][cut], slopes[1][cut]), inside)] += area
    return max(areas[0], areas[1]) / max(1, sum(areas.values()))


def _on_top(grays: tuple[Floats, Floats], slopes: tuple[Floats, Floats], inside: Bytes) -> int | None:
    """Return which picture has something laid over the other in a blob: what ends at its rim, or is plainer inside."""
    rim = (cv2.dilate(inside, np.ones((3, 3), np.uint8)) - cv2.erode(inside, np.ones((3, 3), np.uint8))) > 0
    steep = [float(slope[rim].mean()) for slope in slopes]
    if max(steep) >= STEEP * min(steep):
        return int(np.argmax(steep))
    core = cv2.erode(inside, np.ones((5, 5), np.uint8), borderValue=0) > 0
    core = core if core.sum() >= SMALLEST_BLOB else inside > 0  # without its blurred rim
    strewn = [float(gray[core].std()) for gray in grays]
    return int(np.argmin(strewn)) if max(strewn) >= max(HIDDEN, STREWN * min(strewn)) else None
