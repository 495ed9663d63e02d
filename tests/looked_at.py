"""A workspace with two published versions, to look at."""

import io
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from conftest import encoded, picture
from PIL import Image

from curation.params import CurationParams
from curation.sources import FolderSource
from flows import pipeline
from flows.recipe.recipe import Recipe
from flows.session import Session
from shared.dataset_version import Published
from shared.launch.executors import Inline
from shared.launch.progress import Silent
from shared.storage import Store


class Looked(NamedTuple):
    """Where images lie, and what was made of them: v0001 by every rule, v0002 after changes."""

    photos: Path
    workspace: Path

    @property
    def versions(self) -> tuple[Published, Published]:
        folder = self.workspace / "datasets/pets"
        first, second = (Published(Store(str(folder / name)), "pets", name) for name in ("v0001", "v0002"))
        return first, second


def publish(photos: Path, workspace: Path, **curation: Any) -> Published:
    small = {"index": {"part_images": 16}, "pack": {"shard_images": 16}}
    params = CurationParams.model_validate(small | curation)
    recipe = Recipe(name="pets", sources=(FolderSource(url=str(photos)),), curation=params)
    return pipeline.curate(Session(recipe, Store(str(workspace)), Inline(), Silent()))[0]


def looked(root: Path) -> Looked:
    """24 pictures, two copies, a half and a dark file; v0002 lacks the rule against dark and four files."""
    photos, workspace = root / "photos", root / "w"
    write = {f"cats/{i:02}.jpg": encoded(picture(i, (160, 120))) for i in range(24)}
    write["dogs/copy.jpg"] = write["cats/03.jpg"]
    write["dogs/03.jpg"] = encoded(Image.open(io.BytesIO(write["cats/03.jpg"])).resize((96, 72)))
    write["dogs/half.jpg"] = write["cats/04.jpg"][:900]
    write["dogs/dark.jpg"] = encoded(picture(90, (160, 120)).point(lambda level: level // 5))
    for name, data in write.items():
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        (photos / name).write_bytes(data)
    publish(photos, workspace)
    for i in range(20, 24):
        (photos / f"cats/{i:02}.jpg").unlink()
    for i in range(30, 32):
        (photos / f"cats/{i:02}.jpg").write_bytes(encoded(picture(i, (160, 120))))
    shutil.copy(photos / "cats/30.jpg", photos / "cats/05.jpg")
    publish(photos, workspace, quality={"rules": [{"kind": "too_small", "threshold": 48}, {"kind": "blurry"}]})
    return Looked(photos, workspace)
