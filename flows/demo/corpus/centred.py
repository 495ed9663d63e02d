"""Five kinds of object with a centre: checked balls, dotted blobs, striped rings, flowers and stars."""

import numpy as np

from flows.demo.corpus.canvas import Layer, Plane, lit, mix
from flows.demo.corpus.colours import Inks
from flows.demo.corpus.textures import dots, edge

LIGHT = np.array([-0.45, -0.6, 0.66], np.float32)
"""Where the light comes from, in an object's own units: the object is turned with it, so it varies enough."""


def checked_ball(plane: Plane, rng: np.random.Generator, ink: Inks) -> list[Layer]:
    """A sphere with a chessboard of longitudes and latitudes, seen from anywhere."""
    far = np.hypot(plane.x, plane.y)
    z = np.sqrt(np.clip(1 - far**2, 0, 1))
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0].astype(np.float32)
    a, b, c = (turn[i, 0] * plane.x + turn[i, 1] * plane.y + turn[i, 2] * z for i in range(3))
    longitude, latitude = np.arctan2(a, b), np.arcsin(np.clip(c, -1, 1))
    pitch = rng.integers(4, 8)
    squares = edge(np.sin(longitude * pitch) * np.sin(latitude * pitch), 0.25)
    return [Layer(lit(mix(ink.main, ink.second, squares), _shine(plane.x, plane.y, z)), plane.inside(far - 1))]


def dotted_blob(plane: Plane, rng: np.random.Generator, ink: Inks) -> list[Layer]:
    """A soft irregular body with polka dots."""
    angle, far = np.arctan2(plane.y, plane.x), np.hypot(plane.x, plane.y)
    rim = np.full_like(far, 0.82)
    for wave in range(2, 6):
        rim += np.cos(angle * wave + rng.uniform(0, 6.3)) * np.float32(rng.uniform(0.04, 0.22) / wave * 1.6)
    share = far / rim
    z = np.sqrt(np.clip(1 - share**2, 0, 1))
    spots = dots(plane.placed((rng.uniform(-1, 1), 0), rng.uniform(0, 6), 0.8), rng)
    surface = lit(mix(ink.main, ink.second, spots), _shine(plane.x / rim, plane.y / rim, z))
    return [Layer(surface, plane.inside(far - rim))]


def striped_ring(plane: Plane, rng: np.random.Generator, ink: Inks) -> list[Layer]:
    """A torus wound with stripes, seen a little from the side."""
    plane = plane.placed((0, 0), 0, (1, rng.uniform(0.62, 1)))
    angle, far = np.arctan2(plane.y, plane.x), np.hypot(plane.x, plane.y)
    half = rng.uniform(0.17, 0.27)
    across = (far - (1 - half)) / half
    z = np.sqrt(np.clip(1 - across**2, 0, 1))
    wound = np.sin(angle * rng.integers(7, 15) + across * np.float32(rng.uniform(-2.5, 2.5)))
    light = _shine(across * np.cos(angle), across * np.sin(angle), z)
    return [
        Layer(
            lit(mix(ink.main, ink.second, edge(wound, 0.4)), light),
            plane.inside(np.abs(across) * half - half),
        )
    ]


def flower(plane: Plane, rng: np.random.Generator, ink: Inks) -> list[Layer]:
    """Petals around a seeded heart; sometimes a second crown inside the first."""
    count = int(rng.integers(5, 10))
    layers = _petals(plane, rng, count, ink.main, ink.second)
    if rng.random() < 0.5:
        inner = plane.placed((0, 0), np.pi / count, 0.66)
        layers += _petals(inner, rng, count, ink.second, ink.main)
    heart = plane.disc((0, 0), rng.uniform(0.2, 0.3))
    seeds = dots(plane.placed((0, 0), 0.3, 0.25), rng)
    dark = ink.accent * np.float32(0.45)
    return [*layers, Layer(mix(ink.accent, dark, seeds), heart)]


def _petals(plane: Plane, rng: np.random.Generator, count: int, tip: np.ndarray, root: np.ndarray) -> list[Layer]:
    angle, far = np.arctan2(plane.y, plane.x), np.hypot(plane.x, plane.y)
    slot = np.float32(2 * np.pi / count)
    fold = np.mod(angle, slot) - slot / 2
    along, across = far * np.cos(fold), far * np.sin(fold)
    width = np.float32(min(0.44, 1.9 / count) * rng.uniform(0.75, 1.0))
    distance = (np.hypot((along - 0.58) / 0.42, across / width) - 1) * width
    vein = np.exp(-((across / (width * 0.12)) ** 2)) * 0.3
    light = 1.02 - vein - 0.45 * np.clip(np.abs(across) / width, 0, 1) ** 2
    return [Layer(lit(mix(root, tip, np.clip(far * 1.5 - 0.35, 0, 1)), light), plane.inside(distance))]


def star(plane: Plane, rng: np.random.Generator, ink: Inks) -> list[Layer]:
    """A star cut like a gem: each point has a bright and a dark facet, around a smaller star."""
    count, waist = int(rng.integers(4, 8)), rng.uniform(0.36, 0.55)
    outer = _facets(plane, count, waist, ink.main)
    inner = _facets(plane.placed((0, 0), 0, rng.uniform(0.35, 0.5)), count, waist, ink.second)
    return [outer, inner]


def _facets(plane: Plane, count: int, waist: float, colour: np.ndarray) -> Layer:
    angle, far = np.arctan2(plane.y, plane.x), np.hypot(plane.x, plane.y)
    slot = np.float32(2 * np.pi / count)
    fold = np.mod(angle, slot) - slot / 2
    along, across = far * np.cos(fold), np.abs(far * np.sin(fold))
    valley = np.array([waist * np.cos(slot / 2), waist * np.sin(slot / 2)])
    slope = np.array([valley[1], 1 - valley[0]]) / np.hypot(valley[1], 1 - valley[0])
    distance = (along - 1) * slope[0] + across * slope[1]
    side = np.clip(fold / 0.03, -1, 1)
    tilt = np.cos(np.floor(angle / slot) * slot + 0.8)
    return Layer(lit(colour, (0.86 + 0.22 * side + 0.12 * tilt).astype(np.float32)), plane.inside(distance))


def _shine(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    facing = np.clip(x * LIGHT[0] + y * LIGHT[1] + z * LIGHT[2], 0, 1)
    return np.asarray(0.38 + 0.68 * facing + 0.5 * facing**24, dtype=np.float32)
