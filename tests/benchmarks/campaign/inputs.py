"""What the campaign works on: a folder of small pictures, and a recipe whose every stage takes a moment."""

import json
from pathlib import Path

from tests.conftest import encoded, picture
from tests.training.tiny import tiny_training

NAME = "pets"
PICTURES, DISTINCT = 72, 66
"""Files, and different pictures among them: the others are copies of the first, saved at another quality."""
TRAINING = tiny_training(60, checkpoint_every=3, keep_checkpoints=3, rank_every=2, knn_every=0)


def jpeg(seed: int, quality: int = 90) -> bytes:
    """Return a drawn picture as a file."""
    return encoded(picture(seed, (60 + seed % 7, 48)), quality=quality)


def files() -> dict[str, bytes]:
    """Return the sources by name: two classes, exact and near copies, a broken file and a tiny one."""
    named = {
        f"{('cats', 'dogs')[i % 2]}/{i:03}.jpg": jpeg(i % DISTINCT, 70 if i >= DISTINCT else 90)
        for i in range(PICTURES)
    }
    return named | {"cats/copy.jpg": named["cats/000.jpg"], "dogs/broken.jpg": b"nonsense", "cats/empty.jpg": b""}


def draw(folder: Path) -> Path:
    """Write the sources into a folder and return it."""
    for name, data in files().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def change(folder: Path) -> None:
    """Change the sources: two pictures go, one comes, one becomes another under its name."""
    for name in ("cats/002.jpg", "dogs/003.jpg"):
        (folder / name).unlink()
    (folder / "cats/900.jpg").write_bytes(jpeg(900))
    (folder / "cats/004.jpg").write_bytes(jpeg(901))


def recipe(path: Path, sources: str, *, steps: int = 60, processes: int = 1) -> Path:
    """Write the recipe into a file and return it."""
    training = TRAINING | {"optim": TRAINING["optim"] | {"steps": steps}}  # type: ignore[operator]
    whole = {
        "extends": "laptop",
        "name": NAME,
        "sources": [{"kind": "folder", "url": sources}],
        "curation": {"index": {"part_images": 16}, "pack": {"shard_images": 16}},
        "training": training,
        "evaluation": {"image_size": 32},
        "compute": {"device": "cpu", "workers": 1, "processes": processes},
    }
    path.write_text(json.dumps(whole, indent=1))  # JSON is YAML
    return path
