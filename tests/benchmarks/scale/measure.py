"""Measuring against a plain full decode of the same files, in turns: CPU milliseconds an image, ratio, one thread each.

    python tests/benchmarks/scale/measure.py FOLDER [--images 400] [--megapixels 0] [--rounds 3] [--peers DIR]

FOLDER holds JPEGs. `measure` is the stage's function whole: read, digest, decode, hashes, signals, descriptor, table,
Parquet. `decode` is cv2.imdecode into arrays that are all kept, or each dropped at once; `simplejpeg` writes into one
buffer. `--megapixels` enlarges each image to that size first. `--peers` is where
`pip install --no-deps --target DIR czkawka==0.1.2` went.
"""

import argparse
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import cv2
import numpy as np
import pyarrow as pa
import simplejpeg
from hardware import hardware

from curation.measure.measure import measure_images
from curation.params import MeasureParams
from shared.catalog import IMAGES
from shared.storage import Store
from shared.tables import commit_part


def gathered(paths, megapixels, folder):
    """Copy the pictures into one folder, each with so many pixels where that is asked."""
    for i, path in enumerate(paths):
        if not megapixels:
            shutil.copy(path, f"{folder}/{i:05}.jpg")
            continue
        pixels = cv2.imread(str(path))
        scale = (megapixels * 1e6 / (pixels.shape[0] * pixels.shape[1])) ** 0.5
        large = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(f"{folder}/{i:05}.jpg", large, [cv2.IMWRITE_JPEG_QUALITY, 90])
    return sorted(Path(folder).glob("*.jpg"))


def ways(paths, peers, workspace):
    """Return what is timed, by name."""
    buffer = np.empty(max(_bytes(path) for path in paths), np.uint8)
    rows = [{"uri": str(p), "reader": "range", "path": str(p), "offset": 0, "length": p.stat().st_size} for p in paths]
    images = pa.Table.from_pylist(rows, IMAGES.schema)
    found = {
        "decode (cv2)": lambda: [
            cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR) for path in paths
        ],
        "decode (cv2, dropped at once)": lambda: [
            cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR).size for path in paths
        ],
        "decode (simplejpeg, one buffer)": lambda: [
            simplejpeg.decode_jpeg(path.read_bytes(), buffer=buffer) for path in paths
        ],
        "measure": lambda: commit_part(Store(workspace), "measure", measure_images(images, MeasureParams()), "part"),
    }
    if peers:
        sys.path.append(peers)
        os.environ |= dict.fromkeys(("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"), workspace)
        import czkawka

        def hashed():
            shutil.rmtree(workspace, ignore_errors=True)  # its cache of hashes
            finder = czkawka.ImageSimilarity()
            finder.set_directories([paths[0].parent])
            finder.find_similar()

        found["czkawka"] = hashed
    return found


def _bytes(path):
    height, width, *_ = simplejpeg.decode_jpeg_header(path.read_bytes())
    return 3 * height * width


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--megapixels", type=float, default=0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", default="")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    paths = sorted(options.folder.rglob("*.jpg"))
    random.Random(0).shuffle(paths)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as workspace:
        paths = gathered(paths[: options.images], options.megapixels, folder)
        size = statistics.mean(_bytes(path) / 3e6 for path in paths)
        print(hardware(), f"{len(paths)} JPEGs of {size:.3f} MP on average, median of {options.rounds} rounds.\n")
        way = ways(paths, options.peers, workspace)
        times = {name: [] for name in way}
        for _ in range(options.rounds + 1):
            for name, fn in way.items():
                start = time.process_time()
                fn()
                times[name].append((time.process_time() - start) / len(paths) * 1e3)
    print("| what | ms an image | ÷ decode (cv2) |\n|---|--:|--:|")
    base = statistics.median(times["decode (cv2)"][1:])
    for name, spent in times.items():
        print(f"| {name} | {(ms := statistics.median(spent[1:])):.2f} | {ms / base:.1f} |")


if __name__ == "__main__":
    main()
