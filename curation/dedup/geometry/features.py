"""What is kept of a picture to compare it with others: a gray frame, a thumbnail, and its keypoints.

About 15 ms an image, nearly all for the keypoints, and only paid for images that have a candidate. Nothing
depends on the number of threads or on what was described before.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image

from curation.arrays import Bytes, Floats
from curation.dedup.geometry.frame import gray_frame, trimmed

SIDE = 128
"""Longer side of the frame in which pictures are laid over each other."""
THUMBNAIL = 32
KEYPOINT_SIDE = 256
"""Longer side of the frame in which keypoints are looked for; 384 takes twice the time and finds no more copies."""
KEYPOINTS = 300
"""Strongest ones that are kept; 400 find no more copies."""
CONTRAST = 0.02
"""Half of OpenCV's threshold for SIFT: faded and blurred copies keep keypoints."""
DETAIL_SIGMA = 6.0
"""Pixels of the frame: what a blur of this width takes away is detail."""


@dataclass(frozen=True)
class LocalFeatures:
    """One picture without its borders; points and maps are in pixels of `gray`."""

    size: tuple[int, int]
    """Width and height that the picture has in its file, without borders."""
    gray: Bytes
    """Gray levels [h, w], the longer side 128."""
    chroma: Bytes
    """Blue and red difference [h, w, 2] (JPEG's Cb and Cr): 128 is no colour."""
    detail: float
    """Standard deviation, in gray levels, of what a wide blur takes away."""
    thumbnail: Floats
    """Blurred gray [32, 32], centred and of unit norm: inner products are correlations."""
    points: Floats
    """Keypoints [n, 2] as x, y."""
    descriptors: Bytes
    """RootSIFT [n, 128] times 255, rounded: their inner products are whole numbers below 2²⁴, exact in float32."""


def describe(image: Image.Image) -> LocalFeatures:
    """Describe an upright RGB image of any size."""
    inner = trimmed(image)
    fine = gray_frame(inner, KEYPOINT_SIDE)
    gray = gray_frame(Image.fromarray(fine), SIDE)
    points, descriptors = _keypoints(fine)
    scale = np.array([gray.shape[1] / fine.shape[1], gray.shape[0] / fine.shape[0]], np.float32)
    return LocalFeatures(
        size=inner.size,
        gray=gray,
        chroma=_chroma(inner, gray.shape),
        detail=float(high_pass(gray.astype(np.float32)).std()),
        thumbnail=_thumbnail(gray.astype(np.float32)),
        points=(points + np.float32(0.5)) * scale - np.float32(0.5),  # pixel centres are whole numbers in both
        descriptors=descriptors,
    )


def _chroma(image: Image.Image, shape: tuple[int, ...]) -> Bytes:
    small = image.resize((shape[1], shape[0]), Image.Resampling.BOX, reducing_gap=2.0)
    return np.asarray(small.convert("YCbCr"))[:, :, 1:]


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


def _keypoints(gray: Bytes) -> tuple[Floats, Bytes]:
    """SIFT (Lowe 2004), its descriptors as square roots of their shares (RootSIFT, Arandjelović & Zisserman 2012)."""
    cv2.setNumThreads(1)  # images are spread over cores, not one image; the result is the same for any number
    sift = cv2.SIFT.create(nfeatures=KEYPOINTS, contrastThreshold=CONTRAST)
    keypoints, descriptors = sift.detectAndCompute(gray, None)
    if not keypoints:
        return np.zeros((0, 2), np.float32), np.zeros((0, 128), np.uint8)
    shares = descriptors / np.maximum(descriptors.sum(1, keepdims=True), 1)
    return np.array([point.pt for point in keypoints], np.float32), np.rint(255 * np.sqrt(shares)).astype(np.uint8)
