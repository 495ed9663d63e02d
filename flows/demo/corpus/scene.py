"""One picture: a ground and clutter out of focus, objects of one class with shadows, light, and a camera's noise.

It shows one to five of a kind, as photographs of fish, flowers or houses do: anywhere, in any pose that the kind may
have, alike in colour or each in its own. Colours, grounds and clutter never tell the class, so pixels tell little, and
what two crops of a picture share is mostly what kind of thing is in them: that is what pre-training learns from.
"""

from collections.abc import Callable

import cv2
import numpy as np
from PIL import Image, ImageFilter

from flows.demo.corpus import built, centred
from flows.demo.corpus.canvas import Layer, Plane, Point, mix, paint
from flows.demo.corpus.colours import GroundInks, Inks, ground_inks, inks
from flows.demo.corpus.textures import POOL

Figure = Callable[[Plane, np.random.Generator, Inks], list[Layer]]

CLASSES: dict[str, tuple[Figure, float]] = {
    "checked_ball": (centred.checked_ball, np.pi),
    "dotted_blob": (centred.dotted_blob, np.pi),
    "striped_ring": (centred.striped_ring, np.pi),
    "flower": (centred.flower, np.pi),
    "star": (centred.star, np.pi),
    "tree": (built.tree, 0.35),
    "brick_house": (built.brick_house, 0.35),
    "fish": (built.fish, 0.6),
    "face": (built.face, 0.5),
    "letters": (built.letters, 0.5),
}
"""What is drawn, and how far it may be turned: a house on its head is nobody's idea of a photograph."""

COUNT = (1, 5)
"""Objects in a picture, fewer where they do not fit."""
ALIKE = 0.5
"""Share of pictures whose objects have the same colours; in the others each has its own."""
SCALE, SMALLEST, STRETCH = (0.45, 0.9), 0.6, (0.8, 1.25)
"""Of a lone object: half of its size in halves of the shorter side; then the least share of it among several, and width
by height."""
BLUR = (0.0, 3.0)
"""Standard deviation of the blur of what lies behind, in pixels."""
REACH, TRIES = 1.6, 40
"""Half of the window that an object is drawn in, in its sizes; and how often a place for the next one is sought."""
QUIET = 0.4
"""Share of grounds without a pattern: as in photographs, the object should be the most telling thing."""
FINER = 2
"""Drawn this many times finer than it is stored, in each direction."""


def picture(kind: str, rng: np.random.Generator, size: tuple[int, int] | None = None) -> Image.Image:
    """Draw one picture of a class; sizes vary from 96 to 160 pixels a side unless one is given."""
    width, height = size or tuple(int(side) for side in rng.integers(96, 161, 2))
    plane = Plane.of(width * FINER, height * FINER)
    ground = ground_inks(rng)
    canvas = _ground(plane, rng, ground)
    for layer in _clutter(plane, rng, ground):
        paint(canvas, layer)
    canvas = _out_of_focus(canvas, rng)
    same = inks(rng, ground) if rng.random() < ALIKE else None
    for at, scale in _places(plane, rng):
        _put(canvas, plane, kind, rng, same or inks(rng, ground), at, scale)
    return _photograph(canvas, plane, rng, (width, height))


def _places(plane: Plane, rng: np.random.Generator) -> list[tuple[Point, float]]:
    """Where objects lie, and how large they are: the more there are, the smaller, and none quite hides another."""
    room = np.array([plane.x[0, -1], plane.y[-1, 0]])
    wanted = int(rng.integers(COUNT[0], COUNT[1] + 1))
    largest = rng.uniform(*SCALE) / (1 + 0.35 * (wanted - 1)) ** 0.75
    places: list[tuple[Point, float]] = []
    for _ in range(TRIES):
        if len(places) == wanted:
            break
        scale = largest * rng.uniform(SMALLEST, 1) if wanted > 1 else largest
        x, y = rng.uniform(-1, 1, 2) * np.maximum(room - scale * 0.92, 0.04)
        if all(np.hypot(x - p[0], y - p[1]) > 0.8 * (scale + other) for p, other in places):
            places.append(((float(x), float(y)), float(scale)))
    return places


def _put(
    canvas: np.ndarray, plane: Plane, kind: str, rng: np.random.Generator, ink: Inks, at: Point, scale: float
) -> None:
    """Paint an object of a class with its shadow, in the window of the canvas that it needs."""
    figure, freedom = CLASSES[kind]
    stretch = np.sqrt(rng.uniform(*STRETCH)) * rng.choice([-1, 1])  # seen from either side
    window = plane.window(at, REACH * scale)
    placed = window.of(plane).placed(at, rng.uniform(-freedom, freedom), (scale * stretch, scale / abs(stretch)))
    layers = figure(placed, rng, ink)
    part = canvas[window.rows, window.columns]
    for layer in [_shadow(layers, rng, placed), *layers]:
        paint(part, layer)


def _out_of_focus(canvas: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What lies behind is less sharp than what the picture is of, as a camera sees it."""
    sigma = rng.uniform(*BLUR) * FINER
    return np.asarray(cv2.GaussianBlur(canvas, (0, 0), sigma), dtype=np.float32) if sigma > 0.2 else canvas


def _ground(plane: Plane, rng: np.random.Generator, ground: GroundInks) -> np.ndarray:
    texture = POOL[-1] if rng.random() < QUIET else POOL[rng.integers(len(POOL))]
    at = (float(rng.uniform(-1, 1)), float(rng.uniform(-1, 1)))
    pattern = texture(plane.placed(at, rng.uniform(0, 2 * np.pi), rng.uniform(0.6, 1.6)), rng)
    canvas = mix(ground.first, ground.second, pattern * rng.uniform(0.15, 0.7))
    fog = POOL[-1](plane, rng)[..., None]
    return np.asarray(canvas * (0.88 + 0.3 * fog), dtype=np.float32)


def _clutter(plane: Plane, rng: np.random.Generator, ground: GroundInks) -> list[Layer]:
    """Small plain things that every class shares: what is *in* a picture must not be told by them."""
    wide, high, ink = plane.x[0, -1], plane.y[-1, 0], inks(rng, ground)
    layers = []
    for _ in range(int(rng.integers(0, 5))):
        at = (float(rng.uniform(-wide, wide)), float(rng.uniform(-high, high)))
        size, turn = float(rng.uniform(0.06, 0.2)), float(rng.uniform(0, 6.3))
        thing = plane.placed(at, turn, size)
        mask = (
            lambda p: p.disc((0, 0), 1),
            lambda p: p.polygon([(-1, 0.7), (0, -1), (1, 0.7)]),
            lambda p: p.strokes([([(-1.6, 0), (1.6, 0)], 0.35)]),
            lambda p: p.box((0, 0), (0.8, 0.8), 0.1),
            lambda p: p.strokes([([(-1, 0), (1, 0)], 0.4), ([(0, -1), (0, 1)], 0.4)]),
        )[rng.integers(5)](thing)
        colour = (ground.first, ground.second, ink.second, ink.accent, ink.main)[rng.integers(5)]
        layers.append(Layer(colour * np.float32(rng.uniform(0.7, 1.05)), mask * np.float32(0.85)))
    return layers


def _shadow(layers: list[Layer], rng: np.random.Generator, placed: Plane) -> Layer:
    outline = np.max([layer.cover for layer in layers], axis=0)
    reach = 0.09 / placed.pixel
    soft = Image.fromarray((outline * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(reach * 0.7))
    angle = rng.uniform(0, 2 * np.pi)
    shift = (round(reach * np.sin(angle)), round(reach * np.cos(angle)))
    cover = np.roll(np.asarray(soft, dtype=np.float32) / 255, shift, (0, 1))
    return Layer(np.zeros(3, np.float32), cover * np.float32(rng.uniform(0.25, 0.55)))


def _photograph(canvas: np.ndarray, plane: Plane, rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """Light from one side, darker corners, fewer pixels, noise."""
    angle, slope = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.28)
    x, y = plane.x / plane.x[0, -1], plane.y / plane.y[-1, 0]
    light = 1 + slope * (x * np.cos(angle) + y * np.sin(angle))
    light = light * (1 - rng.uniform(0, 0.15) * (x**2 + y**2))
    fine = np.clip(canvas * light[..., None].astype(np.float32), 0, 1)
    height, width = plane.x.shape
    small = fine.reshape(height // FINER, FINER, width // FINER, FINER, 3).mean((1, 3))
    grain = rng.normal(0, rng.uniform(0.006, 0.022), small.shape)
    assert small.shape[:2] == size[::-1]
    return Image.fromarray(np.rint(np.clip(small + grain, 0, 1) * 255).astype(np.uint8))
