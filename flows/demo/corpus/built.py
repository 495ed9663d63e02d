"""Five kinds of object made of parts: trees, brick houses, fish, faces and letters."""

import numpy as np

from flows.demo.corpus.canvas import Layer, Plane, Point, lit, mix
from flows.demo.corpus.colours import Inks
from flows.demo.corpus.textures import bricks, scales, stripes

WHITE = np.array([0.97, 0.97, 0.95], np.float32)
BLACK = np.array([0.07, 0.07, 0.1], np.float32)


def tree(plane: Plane, rng: np.random.Generator, ink: Inks) -> list[Layer]:
    """A trunk that forks again and again, with leaves at the ends."""
    wood: list[tuple[list[Point], float]] = []
    tips: list[Point] = []
    spread, shrink = rng.uniform(0.35, 0.6), rng.uniform(0.7, 0.78)

    def grow(at: Point, angle: float, length: float, width: float) -> None:
        end = (at[0] + length * np.cos(angle), at[1] + length * np.sin(angle))
        wood.append(([at, end], width))
        if length < 0.155:
            tips.append(end)
            return
        for side in (-1, 1):
            bend = side * spread * rng.uniform(0.5, 1.35)
            grow(end, angle + bend, length * shrink * rng.uniform(0.85, 1.08), width * 0.68)

    grow((0, 1.0), -np.pi / 2 + rng.normal(0, 0.08), rng.uniform(0.52, 0.6), 0.18)
    leaf = rng.uniform(0.09, 0.15)
    far = [([tip, tip], leaf * rng.uniform(1.4, 2.4)) for tip in tips]
    near = [([(x - leaf * 0.3, y - leaf * 0.4)] * 2, leaf * rng.uniform(0.5, 1.1)) for x, y in tips]
    return [
        Layer(ink.main * np.float32(0.6), plane.strokes([(tip, 1.3 * width) for tip, width in far])),
        Layer(ink.second, plane.strokes(wood)),
        Layer(ink.main, plane.strokes(far[::2])),
        Layer(ink.main * np.float32(0.8) + np.float32(0.2), plane.strokes(near)),
    ]


def brick_house(plane: Plane, rng: np.random.Generator, ink: Inks) -> list[Layer]:
    """Brick walls, a striped roof, a chimney, a door and windows."""
    half, eaves = rng.uniform(0.6, 0.8), rng.uniform(-0.3, 0.0)
    ridge = rng.uniform(-0.3, 0.3)
    wall = mix(ink.main, WHITE * np.float32(0.85), bricks(plane.placed((0, 0), 0, 0.75), rng) * 0.8)
    body = plane.box((0, (1 + eaves) / 2), (half, (1 - eaves) / 2))
    roof = plane.polygon([(-half - 0.16, eaves + 0.02), (ridge, -0.95), (half + 0.16, eaves + 0.02)])
    tiles = stripes(plane.placed((0, 0), np.pi / 2, 0.7), rng)
    chimney = plane.box((rng.choice([-1, 1]) * half * 0.62, -0.55), (0.1, 0.32))
    door = rng.uniform(-0.3, 0.3)
    layers = [
        Layer(wall * np.float32(0.75), chimney),
        Layer(lit(wall, 0.95 - 0.12 * plane.x), body),
        Layer(mix(ink.second, ink.second * np.float32(0.65), tiles), roof),
        Layer(ink.accent, plane.box((door, 0.74), (0.15, 0.27), 0.04)),
    ]
    for x in (-half * 0.68, half * 0.68):
        at, light = (x, rng.uniform(0.2, 0.4)), WHITE if rng.random() < 0.6 else BLACK
        layers.append(Layer(ink.accent, plane.box(at, (0.17, 0.19), 0.03)))
        layers.append(Layer(light, plane.box((at[0] - 0.065, at[1]), (0.05, 0.14))))
        layers.append(Layer(light, plane.box((at[0] + 0.065, at[1]), (0.05, 0.14))))
    return layers


def fish(plane: Plane, rng: np.random.Generator, ink: Inks) -> list[Layer]:
    """A scaled body between two arcs, with a tail, fins and an eye; swims either way."""
    plane = plane.placed((0, 0), 0, (float(rng.choice([-1, 1])), 1.0))
    fat, fork = rng.uniform(0.42, 0.62), rng.uniform(0.4, 0.6)
    x = (plane.x + 0.12) / 0.88
    arc = np.float32(fat) * np.clip(1 - x**2, 0, 1) ** np.float32(rng.uniform(0.6, 1.0))
    body = plane.inside(np.abs(plane.y) - arc)
    tail = plane.polygon([(0.6, 0), (1.1, -fork), (0.98, 0), (1.1, fork)])
    fins = plane.polygon([(-0.4, -fat * 0.7), (0.25, -fat - 0.3), (0.5, -fat * 0.5)])
    fins = np.maximum(fins, plane.polygon([(-0.1, fat * 0.7), (0.3, fat + 0.22), (0.4, fat * 0.5)]))
    side = plane.placed((0, 0), np.pi / 2, 0.62)
    skin = mix(ink.main, ink.second, scales(side, rng) * np.clip(plane.x * 4 + 2.2, 0, 1))
    light = 1.05 - 0.5 * np.clip(np.abs(plane.y + 0.12) / fat, 0, 1) ** 2
    eye: Point = (-0.66, -fat * 0.18)
    return [
        Layer(lit(ink.accent, 0.8 + 0.25 * np.sin(plane.y * 30)), np.maximum(tail, fins)),
        Layer(lit(skin, light), body),
        Layer(WHITE, plane.disc(eye, 0.13)),
        Layer(BLACK, plane.disc((eye[0] - 0.03, eye[1]), 0.075)),
    ]


def face(plane: Plane, rng: np.random.Generator, ink: Inks) -> list[Layer]:
    """A round head with ears, eyes that look somewhere, cheeks and a mouth in some mood."""
    wide, apart, mood = rng.uniform(0.75, 0.95), rng.uniform(0.28, 0.4), rng.uniform(-0.5, 0.7)
    head = plane.inside((np.hypot(plane.x / wide, plane.y / 0.92) - 1) * np.float32(wide))
    ear = rng.uniform(0.2, 0.34)
    ears = np.maximum(plane.disc((-wide * 0.78, -0.68), ear), plane.disc((wide * 0.78, -0.68), ear))
    layers = [
        Layer(ink.second, ears),
        Layer(lit(ink.main, 1.06 - 0.4 * (plane.x**2 + plane.y**2) - 0.1 * plane.y), head),
        Layer(ink.accent, np.maximum(plane.disc((-0.52, 0.25), 0.15), plane.disc((0.52, 0.25), 0.15)) * 0.6),
    ]
    look, size = rng.uniform(-0.07, 0.07, 2), rng.uniform(0.16, 0.24)
    for x in (-apart, apart):
        layers.append(Layer(WHITE, plane.disc((x, -0.15), size)))
        layers.append(Layer(BLACK, plane.disc((x + look[0], -0.15 + look[1]), size * 0.55)))
    mouth = [(0.4 * t, 0.45 + mood * 0.35 * (1 - t * t) - mood * 0.1) for t in np.linspace(-1, 1, 13)]
    return [*layers, Layer(BLACK, plane.strokes([(mouth, 0.09)]))]


def letters(plane: Plane, rng: np.random.Generator, ink: Inks) -> list[Layer]:
    """Two or three signs of an invented alphabet, written with a broad pen on a plate."""
    count = int(rng.integers(2, 4))
    signs: list[tuple[list[Point], float]] = []
    for place in range(count):
        centre = (place - (count - 1) / 2) * 2 / count
        knots = [(centre + x * 0.62 / count, y * 0.42) for x in (-1, 0, 1) for y in (-1, 0, 1)]
        for _ in range(int(rng.integers(2, 4))):
            path = [knots[i] for i in rng.choice(9, int(rng.integers(2, 4)), replace=False)]
            signs.append((path, 0.13))
    plate = plane.box((0, 0), (1.08, 0.68), 0.12)
    rim = np.clip(plane.box((0, 0), (1.08, 0.68), 0.12) - plane.box((0, 0), (1.02, 0.62), 0.09), 0, 1)
    ghost = plane.placed((0.025, 0.03)).strokes(signs)
    return [
        Layer(lit(ink.main, 1.0 - 0.12 * plane.y), plate),
        Layer(ink.second, rim),
        Layer(ink.main * np.float32(0.55), ghost),
        Layer(ink.second, plane.strokes(signs)),
    ]
