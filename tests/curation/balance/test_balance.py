"""The balance stage in the pipeline: exactly so many images are sampled, evenly over what there is."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from conftest import encoded, picture
from PIL import Image

from flows import pipeline
from flows.recipe.recipe import Recipe
from flows.session import Session
from shared.launch.executors import Inline
from shared.launch.progress import Silent
from shared.storage import Store


@pytest.fixture(scope="module")
def skewed(tmp_path_factory):
    """60 pictures of one kind, 6 of each of two others."""
    root = tmp_path_factory.mktemp("skewed")
    kinds = [picture(seed, (96, 96)) for seed in (1, 2, 3)]
    for kind, count in enumerate((60, 6, 6)):
        for i in range(count):
            noise = np.random.default_rng((kind, i)).integers(-60, 60, (96, 96, 3))
            pixels = np.clip(np.asarray(kinds[kind]).astype(int) + noise, 0, 255).astype(np.uint8)
            (root / f"{kind}-{i:02d}.jpg").write_bytes(encoded(Image.fromarray(pixels)))
    return root


def curate(source: Path, workspace: Path, part_images: int = 16, **balance):
    recipe = Recipe.model_validate(
        {
            "sources": [{"kind": "folder", "url": str(source)}],
            "curation": {
                "index": {"part_images": part_images},
                "quality": {"rules": []},
                "dedup": {"near": {"enabled": False}, "perceptual": {"enabled": False}},
                "balance": balance,
            },
        }
    )
    return pipeline.curate(Session(recipe, Store(str(workspace)), Inline(), Silent()))[0]


def kinds(uris):
    return Counter(Path(uri).name[0] for uri in uris)


def test_sampling_is_even_over_the_clusters_and_says_who_was_left_out(skewed, tmp_path):
    dataset = curate(skewed, tmp_path / "w", enabled=True, target=18, levels=[3])
    kept, dropped = dataset.table("manifest"), dataset.table("dropped")
    assert kinds(kept["uri"].to_pylist()) == {"0": 6, "1": 6, "2": 6}
    assert set(dropped["reason"].to_pylist()) == {"not_sampled"}
    assert set(dropped["stage"].to_pylist()) == {"balance"}
    cluster_of = {Path(u).name[0]: c for u, c in zip(*(kept[n].to_pylist() for n in ("uri", "cluster")), strict=True)}
    assert len(set(cluster_of.values())) == 3
    assert dataset.info["search"]["balance"] == {"images": 72, "levels": [3], "sampled": 18}


@pytest.mark.parametrize(("target", "left"), [(0.25, 18), (40, 40), (1.0, 72), (500, 72)])
def test_a_target_is_a_share_or_a_number(skewed, tmp_path, target, left):
    dataset = curate(skewed, tmp_path / "w", enabled=True, target=target, iterations=3)
    assert dataset.info["counts"]["kept"] == left


def test_other_partitions_take_the_same_images(skewed, tmp_path):
    options = {"enabled": True, "target": 20, "iterations": 5}
    one, other = (curate(skewed, tmp_path / str(n), part_images=n, **options) for n in (16, 64))
    assert one.table("manifest")["uri"].to_pylist() == other.table("manifest")["uri"].to_pylist()


def test_off_by_default_and_then_no_image_has_a_cluster(skewed, tmp_path):
    dataset = curate(skewed, tmp_path / "w")
    assert dataset.info["counts"]["kept"] == 72
    assert dataset.table("manifest")["cluster"].null_count == 72
