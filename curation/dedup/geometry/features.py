"""What is kept of a picture to compare it with others: a gray frame, a thumbnail, its keypoints, a finer frame.

About 1 ms an image of .1 megapixels, and 1 to 3 more for the keypoints of those few that need them. Nothing depends on
the number of threads or on what was described before.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from curation.arrays import Bytes, Floats
from curation.dedup.geometry.frame import LEAST, Bounds, gray_frame, inner_bounds
from curation.dedup.geometry.windows import Windows, described
from shared.images.picture import Picture, gray_levels

SIDE = 128
"""Longer side of the frame in which keypoints are looked for and pictures are laid over each other. Keypoints of twice
the size take four times the time and find no more copies.
"""
SMALL = 48
"""Longer side of the frame in which guesses are looked at first."""
THUMBNAIL = 32
KEYPOINTS = 300
"""Strongest ones that are kept; 400 find no more copies."""
CONTRAST = 0.02
"""Half of OpenCV's threshold for SIFT: faded and blurred copies keep keypoints."""
SIGMA, HALF, HALF_SIGMA = 1.6, SIDE // 2, 1.0
"""Blur, in pixels, from which SIFT's scales begin. Files of at most HALF pixels along their longer side have nothing to
show in a frame of twice that: one of their own size, and finer scales in it, find as many copies in a quarter of the
time (389 of 460 that were turned by 7° to 95° and cut, 390 in the whole frame, 373 with its blur in the half one).
"""
OFF = np.float32(0.25)
"""Half a pixel less the quarter by which OpenCV's keypoints lie too far, in a frame of any size."""
DETAIL_SIGMA = 6.0
"""Pixels of the frame: what a blur of this width takes away is detail."""
FINE_SIDE, FINE_QUALITY = 384, 92
"""Longer side of the frame in which differences are sought, and the JPEG quality that it waits in: some 40 kB."""
FINE_LEAST = 20
"""Its shorter side, at least: with less a strip has no room for what differs to be sought in."""
SHADE, SHADES = 16, 3
"""A picture is as plain as the share of it that its so many most frequent shades of so many gray levels fill: drawings,
pages, flags and signs .75 to 1, photographs .35 to .75."""


class Keypoints(NamedTuple):
    """Keypoints of one picture."""

    points: Floats
    """[n, 2] as x, y."""
    descriptors: Bytes
    """RootSIFT [n, 128] times 255, rounded: their inner products are whole numbers below 2²⁴, exact in float32."""


@dataclass(frozen=True)
class LocalFeatures:
    """One picture without its borders; points and maps are in pixels of `gray`."""

    size: tuple[int, int]
    """Width and height that the picture has in its file, without borders."""
    gray: Bytes
    """Gray levels [h, w], the longer side 128."""
    detail: float
    """Standard deviation, in gray levels, of what a wide blur takes away."""
    thumbnail: Floats
    """Blurred gray [32, 32], centred and of unit norm: inner products are correlations."""
    bounds: Bounds
    """Where the picture lies inside its file's borders."""
    file_size: tuple[int, int]
    """Width and height with borders."""
    plain: float
    """Share of it that its three most frequent shades fill."""
    encoded: bytes
    """The finer frame, RGB, as JPEG."""

    @cached_property
    def windows(self) -> Windows:
        """What is compared of the picture and parts of it, squashed to 32 × 32."""
        square = cv2.resize(self.gray, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
        return described(np.asarray(square, np.uint8)[None])[0]

    @cached_property
    def small(self) -> Floats:
        """Gray levels [h, w], the longer side 48."""
        width, height = (max(LEAST // 2, round(length * SMALL / SIDE)) for length in self.gray.shape[::-1])
        small = cv2.resize(self.gray.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA)
        return np.asarray(small, np.float32)

    @cached_property
    def keypoints(self) -> "Keypoints":
        """Keypoints, in pixels of `gray`: found when first asked for, since most pairs are settled without."""
        if max(self.size) > HALF:
            return Keypoints(*_keypoints(self.gray, SIGMA))
        half = np.asarray(cv2.resize(self.gray, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)
        points, descriptors = _keypoints(half, HALF_SIGMA)
        times = np.divide(self.gray.shape[::-1], half.shape[::-1], dtype=np.float32)
        return Keypoints((points + OFF) * times - OFF, descriptors)

    @cached_property
    def chroma(self) -> Bytes:
        """Red and blue difference [h, w, 2] (JPEG's Cr and Cb): 128 is no colour."""
        small = cv2.resize(self.fine(), self.gray.shape[::-1], interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2YCrCb)[:, :, 1:], np.uint8)

    def fine(self) -> Bytes:
        """Return the finer frame [h, w, 3]."""
        return np.asarray(cv2.imdecode(np.frombuffer(self.encoded, np.uint8), cv2.IMREAD_COLOR_RGB), np.uint8)


def describe(picture: Picture) -> LocalFeatures:
    """Describe a picture of any size."""
    height, width = picture.pixels.shape[:2]
    left, top, right, bottom = bounds = inner_bounds(picture.pixels)
    fine = _fine_frame(picture.pixels[top:bottom, left:right])
    twice = gray_frame(Image.fromarray(gray_levels(fine)), 2 * SIDE)
    gray = gray_frame(Image.fromarray(twice), SIDE)  # in two steps: those of gradients are no detail
    return LocalFeatures(
        size=(right - left, bottom - top),
        gray=gray,
        detail=float(high_pass(gray.astype(np.float32)).std()),
        thumbnail=_thumbnail(gray.astype(np.float32)),
        bounds=bounds,
        file_size=(width, height),
        plain=_plain(gray),
        encoded=_encoded(fine),
    )


def _plain(gray: Bytes) -> float:
    smooth = np.asarray(cv2.GaussianBlur(gray, (0, 0), 1.0))  # a camera's noise makes no shades
    counts = cv2.calcHist([smooth], [0], None, [256 // SHADE], [0, 256])
    return float(np.sort(counts, axis=None)[-SHADES:].sum() / smooth.size)


def _fine_frame(pixels: Bytes) -> Bytes:
    """Return means of cells: of halved pixels forms that are filled in otherwise pass for copies."""
    size = pixels.shape[1::-1]
    scale = min(1.0, FINE_SIDE / max(size))
    wide, tall = (max(FINE_LEAST, round(length * scale)) for length in size)
    return np.asarray(Image.fromarray(pixels).resize((wide, tall), Image.Resampling.BOX, reducing_gap=2.0))


def _encoded(pixels: Bytes) -> bytes:
    coded = cv2.imencode(".jpg", pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, FINE_QUALITY])[1]
    return bytes(coded.tobytes())


def blurred(gray: Floats, sigma: float) -> Floats:
    """Return gray levels [h, w] under a Gaussian of `sigma` pixels."""
    return np.asarray(cv2.GaussianBlur(gray, (0, 0), sigma, borderType=cv2.BORDER_REFLECT), dtype=np.float32)


def high_pass(gray: Floats) -> Floats:
    """Return gray levels [h, w] minus their blur: what brightness, contrast and vignettes hardly change."""
    return gray - blurred(gray, DETAIL_SIGMA)


def _thumbnail(gray: Floats) -> Floats:
    small = np.asarray(cv2.resize(blurred(gray, 2.0), (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA))
    small = small - small.mean()
    return np.asarray(small / max(1e-3, float(np.linalg.norm(small))))


def _keypoints(gray: Bytes, sigma: float) -> tuple[Floats, Bytes]:
    """SIFT (Lowe 2004), its descriptors as square roots of their shares (RootSIFT, Arandjelović & Zisserman 2012)."""
    cv2.setNumThreads(1)  # images are spread over cores, not one image; the result is the same for any number
    sift = cv2.SIFT.create(nfeatures=KEYPOINTS, contrastThreshold=CONTRAST, sigma=sigma)
    keypoints, descriptors = sift.detectAndCompute(gray, None)
    if not keypoints:
        return np.zeros((0, 2), np.float32), np.zeros((0, 128), np.uint8)
    shares = descriptors / np.maximum(descriptors.sum(1, keepdims=True), 1)
    return np.array([point.pt for point in keypoints], np.float32), np.rint(255 * np.sqrt(shares)).astype(np.uint8)
