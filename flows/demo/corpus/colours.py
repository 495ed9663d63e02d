"""Colours that go together, chosen in OKLCH and never by the class of the image."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

_TO_LMS = np.array(
    [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.2914855480]]
)
_TO_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)
"""Björn Ottosson's OKLab (2020): equal steps look equal, so random colours stay distinguishable."""


@dataclass(frozen=True)
class Inks:
    """The colours of one object, each [3] from 0 to 1."""

    main: np.ndarray
    second: np.ndarray
    accent: np.ndarray


def oklch(lightness: float, chroma: float, hue: float) -> np.ndarray:
    """Return the sRGB colour [3] of a lightness, a chroma and a hue in radians."""
    lms = (_TO_LMS @ np.array([lightness, chroma * np.cos(hue), chroma * np.sin(hue)])) ** 3
    linear = np.clip(_TO_RGB @ lms, 0, 1)
    coded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(coded, dtype=np.float32)


class GroundInks(NamedTuple):
    """Two related colours, each [3] from 0 to 1, and their mean lightness and hue, which others are chosen against."""

    first: np.ndarray
    second: np.ndarray
    lightness: float
    hue: float


def ground_inks(rng: np.random.Generator) -> GroundInks:
    """Choose the colours of a ground."""
    ground = rng.uniform(0.3, 0.9)
    step = rng.uniform(0.1, 0.22) * (1 if ground < 0.6 else -1)
    hue = rng.uniform(0, 2 * np.pi)
    near = hue + rng.normal(0, 0.5)
    return GroundInks(
        oklch(ground, rng.uniform(0.02, 0.12), hue),
        oklch(ground + step, rng.uniform(0.02, 0.12), near),
        ground + step / 2,
        hue,
    )


def inks(rng: np.random.Generator, ground: GroundInks) -> Inks:
    """Choose three colours of an object that stand out from its ground."""
    main = _apart(rng, ground.lightness, 0.24)
    turn = ground.hue + rng.uniform(0.7, 2 * np.pi - 0.7)
    second = _apart(rng, main, 0.25)
    return Inks(
        main=oklch(main, rng.uniform(0.08, 0.2), turn),
        second=oklch(second, rng.uniform(0.03, 0.17), turn + rng.normal(0, 1.2)),
        accent=oklch(_apart(rng, main, 0.2), rng.uniform(0.1, 0.2), turn + rng.uniform(1, 5)),
    )


def _apart(rng: np.random.Generator, lightness: float, gap: float) -> float:
    """Return a lightness at least `gap` away from another one."""
    low, high = 0.28, 0.95
    below, above = max(0.0, lightness - gap - low), max(0.0, high - lightness - gap)
    at = rng.uniform(0, below + above)
    return float(low + at if at < below else lightness + gap + at - below)
