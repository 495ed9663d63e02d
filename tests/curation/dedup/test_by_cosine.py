"""Where the cosine alone decides, the search of nearest vectors owes the recall that candidates owe."""

from pathlib import Path

import pytest
from conftest import encoded, picture
from looked_at import publish

from curation.dedup import vector_index
from flows.commands.warnings import dataset_warnings
from flows.report.dataset.look_first import look_first
from shared.dataset_version import Published
from shared.errors import WorkFailedError

IMAGES = 60
THRESHOLD = 0.3
"""A cosine that some of other pictures reach."""


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty pictures, every third one a second time as a poorer file."""
    folder = tmp_path_factory.mktemp("photos")
    for i in range(IMAGES):
        (folder / f"{i:02}.jpg").write_bytes(encoded(picture(i, (64, 48))))
    for i in range(0, IMAGES, 3):
        (folder / f"{i:02}-again.jpg").write_bytes(encoded(picture(i, (64, 48)), quality=40))
    return folder


@pytest.fixture
def one_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few images are put into buckets, as many are, and no more than one bucket is searched."""
    for name, value in {"EXACT_BELOW": 10, "PROBES": 1, "MOST_PROBES": 1}.items():
        monkeypatch.setattr(vector_index, name, value)


def by_cosine(photos: Path, workspace: Path, **candidates: object) -> Published:
    near = {"verify": "none", "candidates": candidates}
    return publish(photos, workspace, dedup={"near": near, "perceptual": {"enabled": False}}, quality={"rules": []})


def dropped(dataset: Published) -> dict[str, str]:
    rows = dataset.table("dropped").to_pylist()
    return {Path(row["uri"]).name: Path(row["kept_uri"]).name for row in rows}


def test_more_buckets_are_searched_until_the_recall_holds(photos, tmp_path, monkeypatch):
    exact = by_cosine(photos, tmp_path / "exact")
    assert exact.info["search"]["dedup"]["searched"]["vector"]["visits"] == 1
    monkeypatch.setattr(vector_index, "EXACT_BELOW", 10)
    monkeypatch.setattr(vector_index, "PROBES", 1)
    dataset = by_cosine(photos, tmp_path / "buckets")
    facts = dataset.info["search"]["dedup"]["searched"]["vector"]
    assert facts["visits"] > 1
    assert facts["reached"]
    assert 0.99 <= facts["recall"] <= 1
    assert dropped(dataset) == dropped(exact)
    assert len(dropped(exact)) >= IMAGES / 3
    assert dataset_warnings(dataset.info) == []


def test_a_recall_that_cannot_be_reached_is_told(photos, tmp_path, one_bucket):
    dataset = by_cosine(photos, tmp_path / "w")
    (line,) = dataset_warnings(dataset.info)
    assert line.startswith("the search for near duplicates by vector found ")
    assert [one["text"] for one in look_first(dataset.info)["lines"]] == [f"{line[0].upper()}{line[1:]}."]


def test_a_recall_that_cannot_be_reached_fails_where_the_recipe_says_so(photos, tmp_path, one_bucket):
    with pytest.raises(WorkFailedError, match=r"needs a recall of 0\.990 by vector, got 0\.\d+ with 1\.0 buckets"):
        by_cosine(photos, tmp_path / "w", below_recall="fail")
    assert not (tmp_path / "w/datasets").exists()


def test_nothing_near_an_evaluation_image_is_missed_however_few_buckets_are_searched(photos, tmp_path, monkeypatch):
    (tmp_path / "set").mkdir()
    for i in range(100, 100 + IMAGES):
        (tmp_path / "set" / f"{i}.jpg").write_bytes(encoded(picture(i, (64, 48))))
    source, contaminated = {"kind": "folder", "url": str(tmp_path / "set")}, []
    for most in (1000, 10):
        monkeypatch.setattr(vector_index, "EXACT_BELOW", most)
        monkeypatch.setattr(vector_index, "PROBES", 1)
        dataset = publish(
            photos,
            tmp_path / str(most),
            dedup={"near": {"verify": "none"}, "perceptual": {"enabled": False}},
            quality={"rules": []},
            decontaminate={"sets": [{"name": "set", "source": source, "cap": 1.0, "threshold": THRESHOLD}]},
        )
        rows = dataset.table("dropped").to_pylist()
        contaminated.append([row["uri"] for row in rows if row["reason"] == "contaminated"])
    assert 10 < len(contaminated[0]) < IMAGES
    assert contaminated[0] == contaminated[1]
