"""The balance stage in the pipeline: exactly so many images are sampled, evenly over what there is."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from conftest import encoded, picture
from PIL import Image
from pydantic import ValidationError

from curation.balance.strata import whole_parts
from curation.params import BalanceParams, CurationParams
from flows import pipeline
from flows.commands.console import Console
from flows.commands.results import print_dataset
from flows.recipe.recipe import Recipe
from flows.report.dataset.balance_text import balance_lines
from flows.session import Session
from shared.errors import UserError
from shared.launch.executors import Inline
from shared.launch.progress import Silent
from shared.storage import Store
from training.data.index import SampleIndex


def draw(root: Path, counts: tuple[int, ...], label: str = "", first: int = 0) -> Path:
    """Draw so many pictures of each kind, as 0-00.jpg, in a folder for each kind where there is a label."""
    for kind, count in enumerate(counts):
        folder = root / f"{label}{kind}" if label else root
        folder.mkdir(parents=True, exist_ok=True)
        for i in range(first, first + count):
            noise = np.random.default_rng((kind, i)).integers(-60, 60, (96, 96, 3))
            pixels = np.clip(np.asarray(picture(kind + 1, (96, 96))).astype(int) + noise, 0, 255).astype(np.uint8)
            (folder / f"{kind}-{i:02d}.jpg").write_bytes(encoded(Image.fromarray(pixels)))
    return root


@pytest.fixture(scope="module")
def skewed(tmp_path_factory):
    """60 pictures of one kind, 6 of each of two others."""
    return draw(tmp_path_factory.mktemp("skewed"), (60, 6, 6))


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """The same, in class folders."""
    return draw(tmp_path_factory.mktemp("labelled"), (60, 6, 6), label="class")


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Another source: 20 more of the first kind, 4 more of the second."""
    return draw(tmp_path_factory.mktemp("other"), (20, 4), first=70)


def curate(sources: Path | list[Path], workspace: Path, part_images: int = 16, **balance):
    sources = sources if isinstance(sources, list) else [sources]
    recipe = Recipe.model_validate(
        {
            "sources": [{"kind": "folder", "url": str(source), "name": source.name} for source in sources],
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
    facts = dataset.info["search"]["balance"]
    assert (facts["how"], facts["images"], facts["levels"], facts["sampled"]) == ("sample", 72, [3], 18)
    assert facts["evenness"]["over"] == "kinds"  # no image has a label
    assert facts["evenness"]["after"] == 0 < facts["evenness"]["before"] < facts["evenness"]["chance"]
    assert facts["evenness"]["kept"] == 1


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


def test_how_even_labels_got_stands_in_the_dataset_in_its_report_and_on_the_terminal(labelled, tmp_path, capsys):
    dataset = curate(labelled, tmp_path / "w", enabled=True, target=18)
    even = dataset.info["search"]["balance"]["evenness"]
    assert (even["over"], even["classes"]) == ("labels", 3)
    assert even["after"] < 0.1 * even["chance"]
    lines = list(balance_lines(dataset.info))
    assert "balance: 18 of 72 images taken" in lines[0]
    assert f"KL of 3 labels to uniform (0 is even): {even['before']:.3f} before" in lines[1]
    assert "100% are left" in lines[2]
    assert "descriptor, which sees its layout" in lines[-1]
    print_dataset(Console(), dataset)
    terminal = capsys.readouterr().out
    assert all(line in terminal for line in lines)
    report = dataset.store.read("report.html").decode()
    assert "by chance" in report
    assert "sees its layout" in report


def test_labels_that_got_no_more_even_than_by_chance_are_warned_of(labelled, tmp_path):
    dataset = curate(labelled, tmp_path / "w", enabled=True, target=1.0)
    assert any("no more even than by chance" in line for line in balance_lines(dataset.info))


def test_weights_keep_every_image_and_make_an_epoch_of_the_target(labelled, tmp_path):
    dataset = curate(labelled, tmp_path / "w", enabled=True, how="weight", target=36)
    kept = dataset.table("manifest")
    assert kept.num_rows == 72
    weight = np.array(kept["weight"].to_pylist())
    assert weight.sum() == pytest.approx(36, rel=1e-5)
    assert 0 < weight.min() < weight.max() <= 3 * 36 / 72 + 1e-6
    of_label = {
        label: weight[np.array(kept["label"].to_pylist()) == label].sum() for label in set(kept["label"].to_pylist())
    }
    assert of_label == pytest.approx({"class0": 18, "class1": 9, "class2": 9})  # the rare ones weigh what they may
    assert len(SampleIndex(dataset, seed=0)) == pytest.approx(36, abs=6)  # a tenth of labelled images is held out


@pytest.mark.parametrize("how", ["sample", "weight"])
def test_sources_get_their_shares_exactly(skewed, other, tmp_path, how):
    shares = {other.name: 0.25}
    dataset = curate([skewed, other], tmp_path / "w", enabled=True, how=how, target=40, shares=shares)
    kept = dataset.table("manifest")
    counted = np.array(kept["weight"].to_pylist()) if how == "weight" else np.ones(kept.num_rows)
    from_other = np.array(kept["source"].to_pylist()) == other.name
    assert counted[from_other].sum() == pytest.approx(10, rel=1e-5)
    assert counted[~from_other].sum() == pytest.approx(30, rel=1e-5)


def test_a_share_that_cannot_be_met_is_refused_with_the_numbers(skewed, other, tmp_path):
    with pytest.raises(UserError, match=rf"needs 36 images of {other.name}, 90% of 40, got 24"):
        curate([skewed, other], tmp_path / "a", enabled=True, target=40, shares={other.name: 0.9})
    with pytest.raises(UserError, match=r"names of sources, got web. The sources are: "):
        curate([skewed, other], tmp_path / "b", enabled=True, shares={"web": 0.5})


def test_sources_without_a_share_have_no_part_of_shares_that_make_one(skewed, other, tmp_path):
    dataset = curate([skewed, other], tmp_path / "w", enabled=True, target=20, shares={other.name: 1.0})
    assert set(dataset.table("manifest")["source"].to_pylist()) == {other.name}


@pytest.mark.parametrize(("total", "shares", "parts"), [(10, [0.5, 0.5], [5, 5]), (10, [0.26, 0.25, 0.49], [3, 2, 5])])
def test_whole_parts_make_the_total(total, shares, parts):
    assert whole_parts(total, shares) == parts


@pytest.mark.parametrize("shares", [{"a": 0.8, "b": 0.4}, {"a": 0.0}, {"a": -0.1}])
def test_shares_that_are_no_parts_of_one_are_refused(shares):
    with pytest.raises(ValidationError, match="above 0 and together at most 1"):
        BalanceParams(shares=shares)


def test_an_embedder_that_sees_layout_alone_is_warned_of_before_the_work():
    balanced = CurationParams(balance=BalanceParams(enabled=True))
    assert ["efficientnet-lite0" in line for line in balanced.warnings()] == [True]
    assert not list(CurationParams().warnings())
