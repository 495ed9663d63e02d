"""A workspace of an earlier release is opened by this one, which adds to it and leaves what was published as it was.

earlier_workspace.tar.xz was written at commit ab45378 by `tests.publishers.publish` from the images of `same_photos`,
with the rules of quality off. Stages have other versions since, so their tables there are of no use, and in no way.
"""

import tarfile
from hashlib import sha256
from pathlib import Path

import pytest
from conftest import encoded, picture

from flows.inspect.verify import verify
from shared.dataset_version import open_version
from shared.storage import Store
from tests.publishers import members, publish
from training.data.index import SampleIndex

WRITTEN = Path(__file__).with_name("earlier_workspace.tar.xz")
VERSION = "datasets/pets/v0001"


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    with tarfile.open(WRITTEN) as tar:
        tar.extractall(tmp_path / "w", filter="data")
    return tmp_path / "w"


def same_photos(folder: Path) -> Path:
    """Six pictures, a copy of one, and a file that is none."""
    for i in range(6):
        path = folder / "ab"[i % 2] / f"{i}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(picture(i, (64, 48))))
    (folder / "a/copy.jpg").write_bytes((folder / "a/0.jpg").read_bytes())
    (folder / "b/broken.jpg").write_bytes(b"no image")
    return folder


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() for path in files}


def test_what_was_published_is_whole_and_can_be_trained_on(workspace):
    assert verify(str(workspace), None, json=True)["damaged"] == []
    dataset = open_version(Store(str(workspace)), "pets")
    index = SampleIndex(dataset, seed=1)
    read = {dataset.read(ref.shard, ref.offset, ref.length) for ref in index.refs(list(range(len(index))))}
    assert len(read) == 6


def test_the_next_version_is_the_one_of_a_fresh_workspace_and_leaves_the_earlier_one_as_it_was(workspace, tmp_path):
    before = digests(workspace / VERSION)
    assert before
    photos = same_photos(tmp_path / "photos")
    grown = publish(photos, workspace, quality={"rules": []})
    assert grown.version == "v0002"
    assert digests(workspace / VERSION) == before
    assert members(grown) == members(publish(photos, tmp_path / "fresh", quality={"rules": []}))
