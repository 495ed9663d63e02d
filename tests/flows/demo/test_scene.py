"""A picture of the demo holds several of a kind, each drawn in its own part of the canvas."""

import numpy as np
import pytest

from flows.demo.corpus.canvas import Plane
from flows.demo.corpus.scene import _places


def test_a_picture_holds_one_to_five_of_its_kind_and_none_hides_another() -> None:
    plane = Plane.of(240, 200)
    drawn = [_places(plane, np.random.default_rng(seed)) for seed in range(100)]
    assert {len(places) for places in drawn} == {1, 2, 3, 4, 5}
    for places in drawn:
        for at, scale in places:
            assert abs(at[0]) <= 1.2
            assert abs(at[1]) <= 1
            apart = [np.hypot(at[0] - x, at[1] - y) / (scale + other) for (x, y), other in places if (x, y) != at]
            assert min(apart, default=1) > 0.8


def test_a_window_paints_what_the_whole_plane_would() -> None:
    plane = Plane.of(120, 90)
    window = plane.window((0.4, -0.3), 0.5)
    whole = plane.placed((0.4, -0.3), 0.7, 0.3)
    part = window.of(plane).placed((0.4, -0.3), 0.7, 0.3)
    triangle: list[tuple[float, float]] = [(-1, 0.7), (0, -1), (1, 0.7)]
    for mask, of_window in (
        (whole.disc((0, 0), 1), part.disc((0, 0), 1)),
        (whole.polygon(triangle), part.polygon(triangle)),
    ):
        assert np.abs(mask[window.rows, window.columns] - of_window).max() < 1e-4
        assert mask.sum() == pytest.approx(of_window.sum())
