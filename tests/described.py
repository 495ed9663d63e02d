"""What is described of pictures that a test draws."""

from PIL import Image

from curation.dedup.geometry import features
from curation.dedup.geometry.frame import trimmed_picture
from shared.images.picture import Picture


def describe(image: Image.Image) -> features.LocalFeatures:
    """Describe an RGB image."""
    return features.describe(Picture(image))


def trimmed(image: Image.Image) -> Image.Image:
    """Cut the uniform borders of an RGB image."""
    return trimmed_picture(Picture(image)).image
