"""Pictures that tests make for themselves."""

import gc
import io
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from PIL import Image

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")  # --hypothesis-profile=default tries other values each time

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as shared.launch does for gangs


def pytest_configure() -> None:
    """Prefect's database is not the person's own, and no two of pytest's processes share one.

    Nothing that is imported while tests are collected is garbage: to look for some, again and again, would take as
    long as the imports.
    """
    gc.disable()
    os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="dinoflow-prefect-")


def pytest_collection_finish() -> None:
    """From here on garbage is looked for among what tests make."""
    gc.freeze()
    gc.enable()


def pytest_unconfigure() -> None:
    shutil.rmtree(os.environ["PREFECT_HOME"], ignore_errors=True)


def picture(seed: int, size: tuple[int, int] = (120, 90)) -> Image.Image:
    """A busy picture that no other seed resembles: smooth random fields in colour."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)
    fine = rng.integers(-25, 25, (size[1], size[0], 3))
    big = np.asarray(Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)).astype(int)
    return Image.fromarray(np.clip(big + fine, 0, 255).astype(np.uint8))


def encoded(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    """The image as the bytes of a file."""
    sink = io.BytesIO()
    image.save(sink, kind, **({"quality": 90} if kind == "JPEG" else {}) | options)
    return sink.getvalue()


def draw_classes(root: Path, count: int, first: int = 0) -> Path:
    """Draw so many pictures into folders of two classes; return the folder of both."""
    for i in range(first, first + count):
        path = root / ("cats", "dogs")[i % 2] / f"{i:04d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(picture(i)))
    return root


@pytest.fixture
def photos(tmp_path: Path) -> Callable[..., Path]:
    """A folder of pictures in two classes, with copies and broken files among them."""

    def make(count: int = 24, folder: str = "photos", first: int = 0) -> Path:
        return draw_classes(tmp_path / folder, count, first)

    return make
