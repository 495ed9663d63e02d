"""Bytes that a workspace writes when a hundredth is added to its sources: `python tests/benchmarks/increment_bytes.py`.

Draws a corpus over 40 folders, publishes it, adds 1 % of new images scattered over all folders, and publishes again.
Counted are the files that the second command left behind and the first had not, each inode once, by what they are.
With --code DIR (repeatable) other checkouts do the same beside this one; with --near copies are searched by embedding.
"""

import argparse
import io
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = 40
KINDS = {
    "shards": ("datasets/*/shards/*", "datasets/*/v*/shards/*", "stages/pack/*/shard.tar"),
    "tables of the version": ("datasets/*/v*/manifest/*", "datasets/*/v*/dropped/*", "datasets/*/v*/hidden/*"),
    "report": ("datasets/*/v*/*.html",),
    "dataset.json": ("datasets/*/v*/*.json",),
    "tables of pack": ("stages/pack/**/*",),
    "tables of the stages before": ("stages/**/*",),
    "memory": ("memory/**/*",),
    "other files": ("**/*",),
}


def drawn(seed: int, side: int) -> bytes:
    """A noisy photograph: smooth fields and grain."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)).resize((side, side * 3 // 4))
    grain = rng.integers(-25, 25, (side * 3 // 4, side, 3))
    sink = io.BytesIO()
    Image.fromarray(np.clip(np.asarray(small).astype(int) + grain, 0, 255).astype(np.uint8)).save(
        sink, "JPEG", quality=85
    )
    return sink.getvalue()


def add(root: Path, numbers: range, side: int) -> int:
    """Write images over the folders in turn; return their bytes."""
    total = 0
    for number in numbers:
        path = root / f"{number % FOLDERS:02}" / f"{number:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        total += path.write_bytes(drawn(number, side))
    return total


def files(workspace: Path) -> dict[int, tuple[str, int]]:
    """Every inode with its kind and size."""
    found: dict[int, tuple[str, int]] = {}
    for kind, patterns in KINDS.items():
        for path in (path for pattern in patterns for path in workspace.glob(pattern)):
            if path.is_file():
                found.setdefault(path.stat().st_ino, (kind, path.stat().st_size))
    return found


def publish(code: Path, root: Path, workspace: Path, near: bool) -> None:
    """Publish what is there, with the code of a checkout."""
    small = ["curation.index.part_images=500", "curation.pack.shard_images=500"]
    small += [] if near else ["curation.dedup.near=off"]
    command = [
        sys.executable,
        "-m",
        "flows.cli",
        "pack",
        "laptop",
        "--source",
        root,
        "--workspace",
        workspace,
        "--json",
    ]
    settings = [word for one in small for word in ("--set", one)]
    environment = os.environ | {"PYTHONPATH": str(code), "OMP_NUM_THREADS": "1"}
    subprocess.run([*map(str, command), *settings], check=True, cwd=code, env=environment, stdout=subprocess.DEVNULL)


def measured(code: Path, images: int, side: int, near: bool) -> tuple[dict[str, int], int]:
    """Return the bytes written by kind, and the bytes added."""
    with tempfile.TemporaryDirectory() as folder:
        root, workspace = Path(folder, "photos"), Path(folder, "w")
        add(root, range(images), side)
        publish(code, root, workspace, near)
        before = files(workspace)
        added = add(root, range(images, images + images // 100), side)
        publish(code, root, workspace, near)
        written = dict.fromkeys(KINDS, 0)
        for inode, (kind, size) in files(workspace).items():
            if before.get(inode) != (kind, size):
                written[kind] += size
        shutil.rmtree(root)
    return written, added


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser()
    options.add_argument("--images", type=int, default=2000)
    options.add_argument("--sides", type=int, nargs="+", default=[200, 400])
    options.add_argument("--near", action="store_true")
    options.add_argument("--code", type=Path, nargs="*", default=[])
    given = options.parse_args()
    print(
        f"{platform.machine()}, Python {platform.python_version()}, {datetime.now(UTC):%Y-%m-%d}, "
        f"{given.images} images, near {'on' if given.near else 'off'}"
    )
    print(f"\n| code | kB an image | {' | '.join(KINDS)} | all ÷ added |")
    print("|---|--:|" + "--:|" * (len(KINDS) + 1))
    for side in given.sides:
        for code in (*given.code, ROOT):
            written, added = measured(code.resolve(), given.images, side, given.near)
            share = sum(written.values()) / added
            ratios = " | ".join(f"{size / added:.2f}" for size in written.values())
            name = "this" if code == ROOT else code.name
            print(f"| {name} | {added / (given.images // 100) / 1000:.0f} | {ratios} | **{share:.2f}** |", flush=True)


if __name__ == "__main__":
    main()
