"""A run is named after content: on a dataset that grew, or was compacted, it is the run on one made at once."""

import numpy as np
import pytest
from conftest import encoded, picture

from curation.publish.append.compact import compact
from shared.dataset_version import Published
from shared.launch.executors import Inline
from shared.launch.launch import run_name
from shared.launch.progress import Silent
from shared.storage import Store
from tests.publishers import publish
from training.data.dataset import Samples
from training.data.index import SampleIndex
from training.params import PretrainParams
from training.stages import pretrain

PARAMS = PretrainParams.model_validate(
    {"crops": {"global_size": 28, "local_size": 14, "local_count": 2}, "optim": {"batch_size": 64}}
)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> tuple[Published, Published, Published]:
    """A dataset that grew, the same one compacted, and the same one made at once."""
    home = tmp_path_factory.mktemp("grown")
    root = home / "photos"
    for i in range(60):
        path = root / "ab"[i % 2] / f"{i:03}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(picture(i, (64, 48))))
        if i in (20, 40):
            publish(root, home / "w")
    for name in ("a/004.jpg", "b/005.jpg", "a/030.jpg"):
        (root / name).unlink()
    grown = publish(root, home / "w")
    done = compact(Store(str(home / "w")), "pets", 0.01, Inline(), Silent())
    assert done.dataset.version != grown.version
    return grown, done.dataset, publish(root, home / "fresh")


def name_of(dataset: Published) -> str:
    return run_name(pretrain, PARAMS, dataset)


def test_the_run_has_the_name_of_its_content(three) -> None:
    grown, compacted, fresh = three
    assert name_of(grown) == name_of(compacted)
    assert name_of(grown).rsplit("-", 1)[-1] == name_of(fresh).rsplit("-", 1)[-1]


def test_every_sample_of_two_epochs_is_the_same(three) -> None:
    indexes = [SampleIndex(dataset, seed=1) for dataset in three]
    assert len({len(index) for index in indexes}) == 1
    numbers = list(range(2 * len(indexes[0])))
    refs = [index.refs(numbers) for index in indexes]
    assert [ref.row for ref in refs[0]] == [ref.row for ref in refs[2]]
    assert [ref.shard for ref in refs[0]] != [ref.shard for ref in refs[2]]
    read = [[d.read(r.shard, r.offset, r.length) for r in one] for d, one in zip(three, refs, strict=True)]
    assert read[0] == read[1] == read[2]


def test_views_and_masks_are_the_same(three) -> None:
    made = []
    for dataset in three:
        refs = SampleIndex(dataset, seed=1).refs([0, 7, 70])
        made.append([Samples(dataset, PARAMS)[ref] for ref in refs])
    for others in made[1:]:
        for (views, masks), (other_views, other_masks) in zip(made[0], others, strict=True):
            assert np.array_equal(masks, other_masks)
            assert all(np.array_equal(a, b) for a, b in zip(views, other_views, strict=True))
