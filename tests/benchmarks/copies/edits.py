"""What happens to pictures on their way: every edit leaves the picture what it is."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

Edit = Callable[[Image.Image], Image.Image]


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    """Return an image as JPEG leaves it."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def scaled(image: Image.Image, share: float) -> Image.Image:
    """Return an image at a share of its size, then as JPEG leaves it."""
    size = (max(1, round(image.width * share)), max(1, round(image.height * share)))
    return jpeg(image.resize(size, Image.Resampling.LANCZOS), 85)


def cropped(image: Image.Image, share: float) -> Image.Image:
    """Return an image without a share of each edge."""
    x, y = round(image.width * share), round(image.height * share)
    return image.crop((x, y, image.width - x, image.height - y))


def watermarked(image: Image.Image) -> Image.Image:
    """Return an image with a word across it."""
    marked = image.copy()
    font = ImageFont.load_default(max(12, image.width // 7))
    ImageDraw.Draw(marked).text((image.width // 8, image.height // 2), "SAMPLE", fill="white", font=font)
    return Image.blend(image, marked, 0.55)


def captioned(image: Image.Image) -> Image.Image:
    """Return an image with a line of words above it."""
    high = max(24, image.height // 7)
    page = ImageOps.expand(image, (0, high, 0, 0), "white")
    ImageDraw.Draw(page).text((10, high // 5), "when you see it", fill="black", font=ImageFont.load_default(high // 2))
    return page


def noisy(image: Image.Image) -> Image.Image:
    """Return an image with a little noise, the same in every run."""
    noise = np.random.default_rng(0).normal(0, 5, (image.height, image.width, 3))
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))


EDITS: dict[str, Edit] = {
    "jpeg 60": lambda image: jpeg(image, 60),
    "jpeg 30": lambda image: jpeg(image, 30),
    "half": lambda image: scaled(image, 0.5),
    "two thirds": lambda image: scaled(image, 0.67),
    "larger": lambda image: scaled(image, 1.4),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.15),
    "darker": lambda image: jpeg(ImageEnhance.Brightness(image).enhance(0.75), 85),
    "less colour": lambda image: ImageEnhance.Color(image).enhance(0.6),
    "noise": noisy,
    "padded": lambda image: ImageOps.expand(image, image.width // 10, (20, 20, 20)),
    "cropped 4 %": lambda image: jpeg(cropped(image, 0.04), 85),
}
"""For any picture."""
PHOTO_EDITS: dict[str, Edit] = {
    "third": lambda image: scaled(image, 0.34),
    "gray": lambda image: image.convert("L").convert("RGB"),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(1.5)),
    "watermark": watermarked,
    "caption": captioned,
    "cropped 15 %": lambda image: jpeg(cropped(image, 0.15), 85),
    "mirrored": lambda image: jpeg(ImageOps.mirror(image), 85),
    "turned": lambda image: jpeg(image.transpose(Image.Transpose.ROTATE_90), 85),
}
"""For photographs: what they mean to a page of digits, where a word may be the only difference, is not clear."""
