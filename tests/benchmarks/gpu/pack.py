"""Publishes a data set to train on: a folder of class folders, or as many drawn pictures as Imagenette has photographs.

python tests/benchmarks/gpu/pack.py WORKSPACE [--data FOLDER] [--images 9469] [--small]
"""

import argparse
import io
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

import numpy as np

from flows.demo.corpus.scene import CLASSES, picture
from shared.params import Compute
from tests.training.publishing import Labelled, publish

IMAGES, SIDE = 9469, 160
SUFFIXES = (".jpg", ".jpeg", ".png")


def drawn(number: int, side: int) -> Labelled:
    """Draw one picture, a function of its number."""
    kind, file = list(CLASSES)[number % len(CLASSES)], io.BytesIO()
    picture(kind, np.random.default_rng(number), (side, side)).save(file, "JPEG", quality=90)
    return kind, file.getvalue()


def photographs(folder: Path) -> Iterator[Labelled]:
    """Yield the images of class folders."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES:
            yield path.parent.name, path.read_bytes()


def main() -> None:
    """Publish."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workspace", type=Path)
    parser.add_argument("--data", type=Path, help="class folders of photographs, instead of drawn pictures")
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--small", action="store_true", help="few pictures, to see that the script works")
    asked = parser.parse_args()
    if asked.data:
        publish(asked.workspace, photographs(asked.data), "images")
        return
    count, side = (120, 64) if asked.small else (asked.images, SIDE)
    with ProcessPoolExecutor(max(1, Compute().width // 2)) as pool:
        publish(asked.workspace, pool.map(drawn, range(count), [side] * count, chunksize=16), "images")
    print(f"{count} pictures of {len(CLASSES)} classes")


if __name__ == "__main__":
    main()
