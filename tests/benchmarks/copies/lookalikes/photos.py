"""Things as cameras see them: one background, one studio, one place or one matter."""

import numpy as np
from copies.lookalikes.pages import Rng, blank, font, words
from PIL import Image, ImageDraw, ImageFilter

from flows.demo.corpus.scene import picture

SCENES = ("brick_house", "flower", "letters", "tree")


def scene(rng: Rng, number: int, size: tuple[int, int] = (480, 360)) -> Image.Image:
    """A busy drawn picture with the noise of a camera."""
    return noisy(rng, picture(SCENES[number % len(SCENES)], rng, size), 3)


def noisy(rng: Rng, image: Image.Image, sigma: float) -> Image.Image:
    """Return an image with a camera's noise."""
    pixels = np.asarray(image, dtype=np.float32)
    return Image.fromarray(np.clip(pixels + rng.normal(0, sigma, pixels.shape), 0, 255).astype(np.uint8))


def clouds(rng: Rng, size: tuple[int, int], scale: int) -> np.ndarray:
    """Return smooth noise [height, width] of three octaves, 0 to 1."""
    total = np.zeros(size[::-1], np.float32)
    for octave in range(3):
        cells = rng.random((size[1] // (scale >> octave) + 2, size[0] // (scale >> octave) + 2)).astype(np.float32)
        layer = np.asarray(Image.fromarray(cells).resize(size, Image.Resampling.BICUBIC))
        total += layer / 2**octave
    return (total - total.min()) / np.ptp(total)


def shop(rng: Rng, number: int) -> Image.Image:
    """Products on one shop's white page."""
    page, pen = blank((700, 700))
    pen.rectangle((0, 610, 700, 700), fill=(240, 240, 240))
    pen.text((30, 635), "SHOP24 free delivery", font=font(36), fill=(60, 60, 60))
    colour = tuple(int(value) for value in rng.integers(40, 220, 3))
    shape = number % 4
    if shape == 0:
        pen.polygon(
            [(220, 150), (480, 150), (550, 280), (470, 300), (470, 540), (230, 540), (230, 300), (150, 280)], colour
        )
    elif shape == 1:
        pen.polygon([(150, 450), (260, 300), (370, 370), (550, 430), (570, 500), (150, 500)], colour)
    elif shape == 2:
        pen.rectangle((260, 230, 440, 500), fill=colour)
        pen.arc((390, 280, 530, 440), 270, 90, fill=colour, width=28)
    else:
        pen.ellipse((210, 210, 490, 490), fill=colour)
    return noisy(rng, page, 1)


def passport(rng: Rng, number: int) -> Image.Image:
    """Heads before one gray wall, in one pose."""
    page, pen = blank((360, 460), (200, 204, 208))
    skin = tuple(int(value) for value in np.array([222, 180, 150]) - rng.integers(0, 90))
    hair, shirt = (tuple(int(value) for value in rng.integers(10, high, 3)) for high in (120, 200))
    wide = int(rng.integers(62, 80))
    pen.ellipse((180 - wide - 14, 80, 180 + wide + 14, 300), fill=hair)
    pen.polygon([(60, 460), (110, 360), (250, 360), (300, 460)], fill=shirt)
    pen.ellipse((180 - wide, 120, 180 + wide, 330), fill=skin)
    gap, level = int(rng.integers(24, 36)), int(rng.integers(205, 225))
    for x in (180 - gap, 180 + gap):
        pen.ellipse((x - 9, level - 5, x + 9, level + 5), fill=(40, 30, 30))
    pen.line((180, level + 10, 172, 260, 186, 262), fill=(120, 80, 70), width=3)
    pen.arc((150, 262, 210, 292 + int(rng.integers(-8, 8))), 20, 160, fill=(150, 50, 60), width=5)
    return noisy(rng, page.filter(ImageFilter.GaussianBlur(1)), 3)


def meme(rng: Rng, number: int) -> Image.Image:
    """One picture, other words above it."""
    page, pen = blank((480, 480))
    page.paste(scene(np.random.default_rng(77), 0), (0, 120))
    pen.text((20, 20), words(rng, 4), font=font(30), fill="black")
    pen.text((20, 66), words(rng, 4), font=font(30), fill="black")
    return page


def camera(rng: Rng, number: int) -> Image.Image:
    """One street before a fixed camera, another passer-by."""
    frame = scene(np.random.default_rng(78), 3, (640, 480))
    pen, x = ImageDraw.Draw(frame), int(rng.integers(40, 560))
    pen.ellipse((x, 200, x + 40, 245), fill=(220, 180, 150))
    pen.rectangle((x - 10, 245, x + 50, 420), fill=tuple(int(value) for value in rng.integers(0, 255, 3)))
    pen.text(
        (10, 450), f"{rng.integers(10, 23)}:{rng.integers(10, 60)}:{rng.integers(10, 60)}", font=font(20), fill="white"
    )
    return noisy(rng, frame, 4)


def night_sky(rng: Rng, number: int) -> Image.Image:
    """Stars."""
    sky = np.zeros((400, 500), np.float32)
    sky[rng.integers(2, 398, 260), rng.integers(2, 498, 260)] = rng.integers(400, 2000, 260)
    sky = Image.fromarray(np.clip(sky, 0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(1))
    return noisy(rng, Image.fromarray(np.clip(4.0 * np.asarray(sky), 0, 255).astype(np.uint8)).convert("RGB"), 2)


def horizon(rng: Rng, number: int) -> Image.Image:
    """Seas and skies: two gradients and a small boat."""
    shade = np.linspace(0, 1, 400)[:, None, None]
    top, low = rng.integers(90, 250, 3), rng.integers(90, 250, 3)
    rows = top * (1 - shade) + low * shade
    rows[240:] *= 0.6
    page = noisy(rng, Image.fromarray(np.broadcast_to(rows, (400, 600, 3)).clip(0, 255).astype(np.uint8)), 2)
    x, y = int(rng.integers(60, 540)), int(rng.integers(235, 330))
    ImageDraw.Draw(page).polygon([(x - 22, y), (x + 22, y), (x + 14, y + 10), (x - 14, y + 10)], fill="black")
    ImageDraw.Draw(page).polygon([(x, y - 4), (x, y - 44), (x + 18, y - 8)], fill="white")
    return page


def wood(rng: Rng, number: int) -> Image.Image:
    """Boards of one wood."""
    grain = clouds(rng, (480, 480), 64)
    rings = np.sin((np.linspace(0, 40, 480)[None] + 14 * grain) * 2) * 0.5 + 0.5
    colours = rings[..., None] * np.array([190, 140, 90]) + (1 - rings[..., None]) * np.array([140, 95, 55])
    return noisy(rng, Image.fromarray(colours.astype(np.uint8)), 5)


def gravel(rng: Rng, number: int) -> Image.Image:
    """Stones without end."""
    page, pen = blank((480, 480), (110, 105, 100))
    places, sizes, shades = rng.integers(0, 480, (2, 1500)), rng.integers(4, 14, 1500), rng.integers(70, 200, 1500)
    for x, y, r, shade in zip(*places, sizes, shades, strict=True):
        pen.ellipse(
            (x - r, y - r, x + r, y + r), fill=(int(shade), int(shade) - 5, int(shade) - 12), outline=(60, 55, 50)
        )
    return noisy(rng, page, 6)


def x_ray(rng: Rng, number: int) -> Image.Image:
    """Chests: one anatomy, other people."""
    yx = np.mgrid[0:480, 0:420].astype(np.float32)
    body = np.exp(-(((yx[1] - 210) / 170) ** 4)) * 150
    for side in (-1, 1):
        x, y = 210 + side * rng.normal(82, 5), rng.normal(230, 8)
        body -= 95 * np.exp(-(((yx[1] - x) / rng.normal(58, 4)) ** 2) - ((yx[0] - y) / rng.normal(125, 8)) ** 4)
    for rib in range(9):
        bend = rng.normal(90, 6) + 38 * rib + ((yx[1] - 210) / 60) ** 2 * rng.normal(4, 0.5)
        body += 18 * np.exp(-(((yx[0] - bend) / 6) ** 2))
    body += 12 * clouds(rng, (420, 480), 64)
    return noisy(rng, Image.fromarray(np.clip(body, 0, 255).astype(np.uint8)).convert("RGB"), 4)


def fingerprint(rng: Rng, number: int) -> Image.Image:
    """Ridges around another core."""
    yx = np.mgrid[0:400, 0:300].astype(np.float32)
    x, y = rng.normal(150, 20), rng.normal(190, 20)
    radius = np.hypot((yx[1] - x) * rng.normal(1.3, 0.1), yx[0] - y) + 30 * clouds(rng, (300, 400), 96)
    ridges = np.sin(radius * 0.62) > 0
    inside = ((yx[1] - 150) / 130) ** 2 + ((yx[0] - 200) / 180) ** 2 < 1
    return noisy(rng, Image.fromarray(np.where(ridges & inside, 40, 235).astype(np.uint8)).convert("RGB"), 4)


def spectrogram(rng: Rng, number: int) -> Image.Image:
    """Sounds as pictures."""
    time = np.arange(512)[None]
    tone = np.sin(time * (0.1 + 2 * rng.random() * np.linspace(0, 1, 300)[:, None])) * 2
    levels = np.log1p(np.abs(np.fft.rfft(rng.normal(size=(300, 512)) + tone, axis=1))) * 60
    return Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8)).resize((500, 400)).convert("RGB")


def shelf(rng: Rng, number: int) -> Image.Image:
    """One museum's table, another pot on it."""
    page, pen = blank((480, 480), (70, 66, 72))
    pen.rectangle((0, 380, 480, 480), fill=(100, 78, 60))
    widths = rng.integers(30, 120, 6)
    clay = np.array([170, 100, 60]) + rng.integers(-30, 40, 3)
    points = [(240 - int(w), 120 + 52 * k) for k, w in enumerate(widths)]
    points += [(240 + int(w), 120 + 52 * k) for k, w in reversed(list(enumerate(widths)))]
    pen.polygon(points, fill=tuple(int(value) for value in clay))
    return noisy(rng, page.filter(ImageFilter.GaussianBlur(1.5)), 4)


KINDS = (
    scene, shop, passport, meme, camera, night_sky, horizon, wood, gravel, x_ray, fingerprint, spectrogram, shelf,
)  # fmt: skip
RICH = {"scene", "gravel", "wood", "passport", "x_ray", "shelf", "camera", "meme"}
"""Those that also get the edits of photographs."""
HELD_OUT = {"passport", "wood", "x_ray", "fingerprint", "shelf"}
