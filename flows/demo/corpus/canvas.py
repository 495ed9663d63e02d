"""The plane that everything is drawn in: coordinates of an object, soft masks, and layers of paint."""

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
from PIL import Image, ImageDraw

Point = tuple[float, float]


class Layer(NamedTuple):
    """Colour [h, w, 3] or [3], and how much of it covers each pixel [h, w], from 0 to 1."""

    colour: np.ndarray
    cover: np.ndarray


@dataclass(frozen=True)
class Plane:
    """Coordinates of every pixel in an object's own units: the object fills about the unit circle."""

    x: np.ndarray
    y: np.ndarray
    to_pixels: np.ndarray
    """Affine [2, 3] from the object's units to pixels."""

    @classmethod
    def of(cls, width: int, height: int) -> Self:
        """Return the plane of a canvas: the shorter side runs from -1 to 1."""
        half = min(width, height) / 2
        y, x = np.mgrid[0:height, 0:width].astype(np.float32)
        to_pixels = np.array([[half, 0, width / 2], [0, half, height / 2]])
        return cls((x + 0.5 - width / 2) / half, (y + 0.5 - height / 2) / half, to_pixels)

    def placed(self, at: Point, turn: float = 0.0, scale: float | Point = 1.0) -> "Plane":
        """Return the plane of an object that is moved, turned and scaled inside this one."""
        sx, sy = scale if isinstance(scale, tuple) else (scale, scale)
        cos, sin = np.cos(turn), np.sin(turn)
        dx, dy = self.x - np.float32(at[0]), self.y - np.float32(at[1])
        x = (dx * np.float32(cos) + dy * np.float32(sin)) / np.float32(sx)
        y = (dy * np.float32(cos) - dx * np.float32(sin)) / np.float32(sy)
        linear = np.array([[cos * sx, -sin * sy], [sin * sx, cos * sy]])
        outer, shift = self.to_pixels[:, :2], self.to_pixels[:, 2]
        return Plane(x, y, np.column_stack([outer @ linear, outer @ np.array(at) + shift]))

    def window(self, at: Point, reach: float) -> "CanvasPart":
        """Return the part of the canvas within `reach` of a point, along both sides."""
        (x, y), size = self._pixels([at])[0], reach / self.pixel
        height, width = self.x.shape
        return CanvasPart(
            slice(max(0, round(y - size)), min(height, round(y + size))),
            slice(max(0, round(x - size)), min(width, round(x + size))),
        )

    @property
    def pixel(self) -> float:
        """The size of one pixel in the object's units."""
        return float(1 / np.sqrt(abs(np.linalg.det(self.to_pixels[:, :2]))))

    def inside(self, distance: np.ndarray) -> np.ndarray:
        """Return the soft mask of where a signed distance is negative."""
        return np.clip(0.5 - distance / np.float32(self.pixel), 0, 1)

    def disc(self, at: Point, radius: float) -> np.ndarray:
        """Return the mask of a disc."""
        return self.inside(np.hypot(self.x - np.float32(at[0]), self.y - np.float32(at[1])) - radius)

    def box(self, at: Point, half: Point, corner: float = 0.0) -> np.ndarray:
        """Return the mask of a box with rounded corners."""
        qx = np.abs(self.x - np.float32(at[0])) - (half[0] - corner)
        qy = np.abs(self.y - np.float32(at[1])) - (half[1] - corner)
        outside = np.hypot(np.maximum(qx, 0), np.maximum(qy, 0))
        return self.inside(outside + np.minimum(np.maximum(qx, qy), 0) - corner)

    def polygon(self, points: list[Point]) -> np.ndarray:
        """Return the mask of a filled polygon."""
        mask = self._blank()
        ImageDraw.Draw(mask).polygon(self._pixels(points), fill=255)
        return _values(mask)

    def strokes(self, lines: list[tuple[list[Point], float]]) -> np.ndarray:
        """Return the mask of round-ended polylines, each with its width."""
        mask = self._blank()
        pen = ImageDraw.Draw(mask)
        for points, width in lines:
            pixels, across = self._pixels(points), max(1.0, width / self.pixel)
            pen.line(pixels, fill=255, width=round(across), joint="curve")
            for x, y in (pixels[0], pixels[-1]):
                pen.ellipse((x - across / 2, y - across / 2, x + across / 2, y + across / 2), fill=255)
        return _values(mask)

    def _pixels(self, points: list[Point]) -> list[Point]:
        moved = np.asarray(points) @ self.to_pixels[:, :2].T + self.to_pixels[:, 2]
        return [(float(x), float(y)) for x, y in moved]

    def _blank(self) -> Image.Image:
        return Image.new("L", (self.x.shape[1], self.x.shape[0]))


class CanvasPart(NamedTuple):
    """A part of a canvas."""

    rows: slice
    columns: slice

    def of(self, plane: Plane) -> Plane:
        """Return the plane that a canvas of this part alone has."""
        corner = np.array([[0, 0, self.columns.start], [0, 0, self.rows.start]])
        part = self.rows, self.columns
        return Plane(plane.x[part], plane.y[part], plane.to_pixels - corner)


def _values(mask: Image.Image) -> np.ndarray:
    return np.asarray(mask, dtype=np.float32) / 255


def paint(canvas: np.ndarray, layer: Layer) -> None:
    """Lay paint over the canvas [h, w, 3], in place."""
    cover = layer.cover[..., None]
    canvas += (layer.colour - canvas) * cover


def clamped(values: np.ndarray) -> np.ndarray:
    """Return values cut to 0 and 1."""
    return np.asarray(np.clip(values, 0, 1), dtype=np.float32)


def mix(first: np.ndarray, second: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return [h, w, 3]: the first colour where the share is 0, the second where it is 1."""
    return np.asarray(first + (second - first) * share[..., None], dtype=np.float32)


def lit(colour: np.ndarray, light: np.ndarray) -> np.ndarray:
    """Return a colour under light: 1 leaves it, less darkens it, more moves it towards white."""
    shade = np.minimum(light, 1)[..., None]
    glare = np.clip(light - 1, 0, 1)[..., None]
    return np.asarray(colour * shade * (1 - glare) + glare, dtype=np.float32)
