"""Any Pillow mode of 8 bits to RGB: alpha on white, ink to light, LAB through its profile."""

from PIL import Image, ImageCms

from shared.images.hidden import bands


def to_rgb(image: Image.Image) -> Image.Image:
    """Return RGB pixels; the image itself where it is RGB and nothing in it is transparent."""
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    if image.mode == "LAB":
        to_srgb = ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB")
        converted = ImageCms.applyTransform(image, to_srgb)
        assert converted is not None
        return converted
    return _on_white(image) if image.has_transparency_data else image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    flat, top = Image.new("RGB", image.size), 0
    for band in bands(image):
        white = Image.new("RGBA", band.size, "white")
        flat.paste(Image.alpha_composite(white, band.convert("RGBA")).convert("RGB"), (0, top))
        top += band.height
    return flat
