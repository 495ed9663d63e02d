"""One picture: a ground, clutter, an object with its shadow, light across it all, and a camera's noise."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

from flows.demo.corpus import built, centred
from flows.demo.corpus.canvas import Layer, Plane, mix, paint
from flows.demo.corpus.colours import Inks, inks
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

SCALE, STRETCH = (0.45, 0.9), (0.8, 1.25)
"""Of an object: half of its size in halves of the shorter side, and its width by its height. Together with where it
lies (anywhere that it fits), its turn, colours, ground and clutter they are what photographs of a thing differ in; they
were chosen by looking at pictures, not by what a model scores on them."""
QUIET = 0.4
"""Share of grounds without a pattern: as in photographs, the object should be the most telling thing."""
FINER = 2
"""Drawn this many times finer than it is stored, in each direction."""


def picture(kind: str, rng: np.random.Generator, size: tuple[int, int] | None = None) -> Image.Image:
    """Draw one picture of a class; sizes vary from 96 to 160 pixels a side unless one is given."""
    width, height = size or tuple(int(side) for side in rng.integers(96, 161, 2))
    plane = Plane.of(width * FINER, height * FINER)
    ink = inks(rng)
    canvas = _ground(plane, rng, ink)
    for layer in _clutter(plane, rng, ink):
        paint(canvas, layer)
    figure, freedom = CLASSES[kind]
    scale = rng.uniform(*SCALE)
    room = np.maximum(np.array([width, height]) / min(width, height) - scale * 0.92, 0.04)
    at = (float(rng.uniform(-room[0], room[0])), float(rng.uniform(-room[1], room[1])))
    stretch = np.sqrt(rng.uniform(*STRETCH)) * rng.choice([-1, 1])  # seen from either side
    placed = plane.placed(at, rng.uniform(-freedom, freedom), (scale * stretch, scale / abs(stretch)))
    layers = figure(placed, rng, ink)
    paint(canvas, _shadow(layers, rng, placed))
    for layer in layers:
        paint(canvas, layer)
    return _photograph(canvas, plane, rng, (width, height))


def _ground(plane: Plane, rng: np.random.Generator, ink: Inks) -> np.ndarray:
    texture = POOL[-1] if rng.random() < QUIET else POOL[rng.integers(len(POOL))]
    at = (float(rng.uniform(-1, 1)), float(rng.uniform(-1, 1)))
    pattern = texture(plane.placed(at, rng.uniform(0, 2 * np.pi), rng.uniform(0.6, 1.6)), rng)
    canvas = mix(ink.ground[0], ink.ground[1], pattern * rng.uniform(0.15, 0.7))
    fog = POOL[-1](plane, rng)[..., None]
    return np.asarray(canvas * (0.88 + 0.3 * fog), dtype=np.float32)


def _clutter(plane: Plane, rng: np.random.Generator, ink: Inks) -> list[Layer]:
    """Small plain things that every class shares: what is *in* a picture must not be told by them."""
    wide, high = plane.x[0, -1], plane.y[-1, 0]
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
        colour = (ink.ground[0], ink.ground[1], ink.second, ink.accent, ink.main)[rng.integers(5)]
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
