"""What is done to the colours of one crop: Pillow images in, Pillow images out, every draw from one stream."""

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from training.params import AugmentParams

SOLARISE_ABOVE = 128


def jittered(image: Image.Image, params: AugmentParams, rng: np.random.Generator) -> Image.Image:
    """Change brightness, contrast, saturation and hue, in random order."""
    strengths = (params.brightness, params.contrast, params.saturation)
    factors = [rng.uniform(max(0.0, 1 - strength), 1 + strength) for strength in strengths]
    shift = rng.uniform(-params.hue, params.hue)
    for change in rng.permutation(4):
        if change == 0:
            image = ImageEnhance.Brightness(image).enhance(factors[0])
        elif change == 1:
            image = ImageEnhance.Contrast(image).enhance(factors[1])
        elif change == 2:
            image = ImageEnhance.Color(image).enhance(factors[2])
        elif params.hue:
            image = _hue_shifted(image, shift)
    return image


def _hue_shifted(image: Image.Image, shift: float) -> Image.Image:
    """Turn the colour circle by a share of it."""
    hue, saturation, value = image.convert("HSV").split()
    turned = (np.asarray(hue).astype(np.int16) + round(shift * 255)).astype(np.uint8)
    return Image.merge("HSV", (Image.fromarray(turned), saturation, value)).convert("RGB")


def recoloured(
    image: Image.Image, params: AugmentParams, blur: float, solarise: float, rng: np.random.Generator
) -> Image.Image:
    """Jitter, lose colour, blur and solarise, each with its own chance."""
    if rng.random() < params.jitter:
        image = jittered(image, params, rng)
    if rng.random() < params.gray:
        image = image.convert("L").convert("RGB")
    if rng.random() < blur:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(*params.blur_sigma)))
    if rng.random() < solarise:
        image = ImageOps.solarize(image, SOLARISE_ABOVE)
    return image
