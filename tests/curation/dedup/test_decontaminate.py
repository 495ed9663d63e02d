"""Decontamination: what resembles an evaluation image leaves the corpus, with evidence, and takes nothing along."""

from pathlib import Path

import pytest
from conftest import encoded, picture
from PIL import Image

from flows import pipeline
from flows.recipe.recipe import Recipe
from flows.session import Session
from shared.errors import RecipeError, WorkFailedError
from shared.launch.executors import Inline
from shared.launch.progress import Silent
from shared.storage import Store


def write(root: Path, pictures: dict[str, bytes]) -> Path:
    for name, data in pictures.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def big(seed: int) -> Image.Image:
    return picture(seed, (200, 160))


@pytest.fixture
def corpus(tmp_path):
    """Twelve pictures; 0 and 1 are of the test set, 2 twice and its test image cropped."""
    pictures = {f"{i:02d}.jpg": encoded(big(i)) for i in range(12)}
    pictures |= {"zero-again.jpg": pictures["00.jpg"], "two-small.jpg": encoded(big(2).resize((150, 120)))}
    return write(tmp_path / "corpus", pictures)


@pytest.fixture
def test_set(tmp_path):
    pictures = {
        "a.jpg": encoded(big(0)),
        "b.jpg": encoded(big(1).transpose(Image.Transpose.ROTATE_90), quality=60),
        "c.jpg": encoded(big(2).crop((8, 6, 190, 152))),
        "other.jpg": encoded(big(50)),
    }
    return write(tmp_path / "test", pictures)


def curate(corpus: Path, sets: dict[str, Path], workspace: Path, near=None, perceptual=None, **options):
    listed = [
        {"name": n, "source": {"kind": "folder", "url": str(p)}, "cap": 1.0, **options.get(n, {})}
        for n, p in sets.items()
    ]
    recipe = Recipe.model_validate(
        {
            "sources": [{"kind": "folder", "url": str(corpus)}],
            "curation": {
                "index": {"part_images": 16},
                "quality": {"rules": []},
                "decontaminate": {"sets": listed},
                "dedup": {"near": {"candidates": {"cosine": 0.4}, **(near or {})}, "perceptual": perceptual or {}},
            },
        }
    )
    return pipeline.curate(Session(recipe, Store(str(workspace)), Inline(), Silent()))[0]


def told(dataset):
    return {Path(row["uri"]).name: row for row in dataset.table("dropped").to_pylist()}


def test_images_of_an_evaluation_set_leave_with_their_evidence(corpus, test_set, tmp_path):
    dataset = curate(corpus, {"test": test_set}, tmp_path / "w")
    dropped = told(dataset)
    assert set(dropped) == {"00.jpg", "01.jpg", "02.jpg", "zero-again.jpg", "two-small.jpg"}
    assert {row["reason"] for row in dropped.values()} == {"contaminated"}
    assert {Path(row["kept_uri"]).name for row in dropped.values()} == {"a.jpg", "b.jpg", "c.jpg"}
    assert all(row["value"] >= row["threshold"] for row in dropped.values())
    assert dropped["00.jpg"]["value"] == 1.0
    assert dataset.info["search"]["decontaminate"] == {"contaminated": {"test": 5}, "unreadable": {}}


def test_a_copy_of_a_contaminated_image_that_is_itself_clean_is_kept(tmp_path):
    """Nothing may be dropped as the copy of an image that is not kept."""
    corpus = write(tmp_path / "c", {"a.jpg": encoded(big(0)), "b.jpg": encoded(big(0), quality=40)})
    write(corpus, {f"{i}.jpg": encoded(big(i)) for i in range(1, 8)})
    exact_only = {"enabled": False}
    sets = {"test": write(tmp_path / "t", {"a.jpg": (corpus / "a.jpg").read_bytes()})}
    dropped = told(curate(corpus, sets, tmp_path / "w", near=exact_only, test={"distance": 0}))
    kept_for = {row["kept_uri"] for row in dropped.values() if row["reason"] != "contaminated"}
    assert "contaminated" in {row["reason"] for row in dropped.values()}
    assert not kept_for & {str(corpus / "a.jpg")}


def test_each_set_has_its_own_threshold_and_count(corpus, test_set, tmp_path):
    strict = write(tmp_path / "exact", {"x.jpg": (corpus / "05.jpg").read_bytes()})
    options = {"test": {"threshold": 5.0, "distance": 0}}  # out of reach: equal pixels and hashes only
    dataset = curate(corpus, {"test": test_set, "exact": strict}, tmp_path / "w", **options)
    counts = dataset.info["search"]["decontaminate"]["contaminated"]
    assert counts["exact"] == 1
    assert 2 <= counts["test"] < 5


def test_the_cosine_alone_decides_where_the_recipe_says_so(corpus, test_set, tmp_path):
    near = {"verify": "none", "threshold": 0.99}
    dropped = told(curate(corpus, {"test": test_set}, tmp_path / "w", near=near, perceptual={"enabled": False}))
    contaminated = {name for name, row in dropped.items() if row["reason"] == "contaminated"}
    assert {"00.jpg", "01.jpg", "zero-again.jpg"} <= contaminated
    assert "02.jpg" not in contaminated  # a crop is beyond the descriptor


def test_a_set_that_would_take_too_much_is_refused_with_what_to_do(corpus, test_set, tmp_path):
    with pytest.raises(WorkFailedError, match=r"drop 5 of 14 images for the evaluation set 'test'.*cap of 10%.*`cap`"):
        curate(corpus, {"test": test_set}, tmp_path / "w", test={"cap": 0.1})


def test_a_set_of_which_nothing_can_be_read_is_refused_and_others_tell_how_much_they_lack(corpus, test_set, tmp_path):
    broken = write(tmp_path / "broken", {"x.jpg": b"<html>not found</html>", "y.jpg": b""})
    with pytest.raises(
        WorkFailedError, match=r"needs readable images of the evaluation set 'val', got none of 2: .*Mend"
    ):
        curate(corpus, {"test": test_set, "val": broken}, tmp_path / "w")
    write(test_set, {"torn.jpg": encoded(big(3))[:700]})
    dataset = curate(corpus, {"test": test_set}, tmp_path / "w")
    assert dataset.info["search"]["decontaminate"]["unreadable"] == {"test": 1}


def test_a_new_evaluation_set_decodes_no_image_of_the_corpus_again(corpus, test_set, tmp_path, monkeypatch):
    curate(corpus, {}, tmp_path / "w")
    from curation.measure import measure

    decoded = []
    decode = measure.decode
    monkeypatch.setattr(measure, "decode", lambda *a: decoded.append(1) or decode(*a))
    curate(corpus, {"test": test_set}, tmp_path / "w")
    assert len(decoded) == 4


def test_two_sets_of_one_name_are_refused(tmp_path):
    from flows.recipe.recipe import load_recipe

    one = "{name: a, source: {kind: folder, url: x}}"
    with pytest.raises(RecipeError, match="different names, got \\['a'\\] twice"):
        load_recipe("laptop", settings=[f"curation.decontaminate.sets=[{one}, {one}]"])
