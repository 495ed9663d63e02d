"""How images are prepared for an exported model: as evaluations do it, a centre crop of 7/8 of the shorter side."""

RESIZE = 8 / 7
"""The shorter side is resized to so many crop sides before the centre crop (256 / 224)."""


def shorter_side(image_size: int) -> int:
    """Return the shorter side, in pixels, before the centre crop."""
    return round(image_size * RESIZE)
