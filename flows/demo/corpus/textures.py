"""Patterns over a plane, as shares [h, w] from 0 to 1: one pool that grounds and surfaces draw from."""

from collections.abc import Callable

import numpy as np
from PIL import Image

from flows.demo.corpus.canvas import Plane, clamped

Texture = Callable[[Plane, np.random.Generator], np.ndarray]


def edge(wave: np.ndarray, softness: float = 0.15) -> np.ndarray:
    """Return a wave from -1 to 1 as two flat tones with a soft edge between them."""
    return clamped(wave / np.float32(softness) * 0.5 + 0.5)


def stripes(plane: Plane, rng: np.random.Generator) -> np.ndarray:
    """Straight bands."""
    return edge(np.sin(plane.x * np.float32(rng.uniform(9, 16))) + rng.uniform(-0.4, 0.4), 0.4)


def checks(plane: Plane, rng: np.random.Generator) -> np.ndarray:
    """A chessboard."""
    pitch = np.float32(rng.uniform(7, 12))
    return edge(np.sin(plane.x * pitch) * np.sin(plane.y * pitch), 0.2)


def dots(plane: Plane, rng: np.random.Generator) -> np.ndarray:
    """Round dots, every second row shifted."""
    pitch, radius = np.float32(rng.uniform(2.4, 4)), rng.uniform(0.22, 0.36)
    y = plane.y * pitch
    row = np.floor(y)
    x = plane.x * pitch + 0.5 * np.mod(row, 2)
    far = np.hypot(np.mod(x, 1) - 0.5, y - row - 0.5)
    return clamped(0.5 - (far - radius) / np.float32(plane.pixel * pitch))


def bricks(plane: Plane, rng: np.random.Generator) -> np.ndarray:
    """Mortar lines of a wall: 1 in the joints."""
    pitch, joint = np.float32(rng.uniform(4.5, 6.5)), 0.14
    y = plane.y * pitch
    row = np.floor(y)
    x = plane.x * pitch * 0.5 + 0.5 * np.mod(row, 2)
    near = np.minimum(np.abs(np.mod(x, 1) - 0.5) * 2 - 1 + joint / 2, 0)
    flat = np.abs(y - row - 0.5) - 0.5 + joint / 2
    return clamped(0.5 + np.maximum(near, flat) / np.float32(plane.pixel * pitch))


def waves(plane: Plane, rng: np.random.Generator) -> np.ndarray:
    """Wavy bands."""
    bend = np.sin(plane.x * np.float32(rng.uniform(4, 8)) + rng.uniform(0, 6)) * np.float32(rng.uniform(0.08, 0.2))
    return edge(np.sin((plane.y + bend) * np.float32(rng.uniform(10, 18))), 0.5)


def zigzag(plane: Plane, rng: np.random.Generator) -> np.ndarray:
    """Sharp waves."""
    pitch = np.float32(rng.uniform(2, 3.5))
    bend = np.abs(np.mod(plane.x * pitch, 1) - 0.5) / pitch
    return edge(np.sin((plane.y + bend) * np.float32(rng.uniform(12, 18))), 0.4)


def scales(plane: Plane, rng: np.random.Generator) -> np.ndarray:
    """Overlapping round tiles, lighter towards their rims."""
    pitch = np.float32(rng.uniform(3.5, 5.5))
    y = plane.y * pitch * 1.6
    row = np.floor(y)
    x = np.mod(plane.x * pitch + 0.5 * np.mod(row, 2), 1) - 0.5
    far = np.hypot(x, (y - row) * 0.55)
    return clamped(np.where(far > 0.5, far - 0.5, far) * 1.9)


def rings(plane: Plane, rng: np.random.Generator) -> np.ndarray:
    """Circles around one point."""
    far = np.hypot(plane.x - np.float32(rng.uniform(-1, 1)), plane.y - np.float32(rng.uniform(-1, 1)))
    return edge(np.sin(far * np.float32(rng.uniform(10, 18))), 0.5)


def cells(plane: Plane, rng: np.random.Generator) -> np.ndarray:
    """Distance to the nearest of some points: pebbles."""
    points = rng.uniform(-1.6, 1.6, (rng.integers(14, 30), 2)).astype(np.float32)
    far = np.full(plane.x.shape, 9, np.float32)
    for x, y in points:
        np.minimum(far, (plane.x - x) ** 2 + (plane.y - y) ** 2, out=far)
    return clamped(np.sqrt(far) * 2.2)


def clouds(plane: Plane, rng: np.random.Generator) -> np.ndarray:
    """Smooth noise of several octaves."""
    height, width = plane.x.shape
    total = np.zeros(plane.x.shape, np.float32)
    for octave, weight in ((3, 1.0), (6, 0.6), (13, 0.4), (27, 0.25)):
        seeds = Image.fromarray(rng.random((octave, octave), dtype=np.float32) - np.float32(0.5))
        total += weight * np.asarray(seeds.resize((width, height), Image.Resampling.BICUBIC))
    return clamped(total * 0.75 + 0.5)


POOL: tuple[Texture, ...] = (
    stripes, checks, dots, bricks, waves, zigzag, scales, rings, cells, clouds
)  # fmt: skip
