"""`explain` tells the whole story of one image, of one that was never indexed too, and says what it cannot know."""

import io
import shutil
from pathlib import Path

import pytest
from conftest import encoded, picture
from looked_at import Looked, looked

from flows.commands.console import Console
from flows.inspect.image_facts import image_facts
from flows.inspect.image_text import print_image
from flows.report.kit.reason_text import Checks
from shared.errors import UserError


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Looked:
    return looked(tmp_path_factory.mktemp("looking"))


def facts(there: Looked, what: str | Path) -> dict:
    return image_facts(str(there.workspace), str(what), None)


def words(told: dict) -> str:
    sink = io.StringIO()
    print_image(Console(sink), told, Checks("geometric"))
    return sink.getvalue()


def test_a_path_an_id_and_the_end_of_a_path_mean_the_same_image(there: Looked) -> None:
    by_path = facts(there, there.photos / "cats/07.jpg")
    assert by_path["seen"][0]["state"] == "kept"
    for what in (by_path["image_id"], by_path["image_id"][:8], "cats/07.jpg", "07.jpg"):
        assert facts(there, what)["image_id"] == by_path["image_id"]


def test_all_places_where_an_image_was_seen_are_told(there: Looked) -> None:
    told = facts(there, there.photos / "dogs/copy.jpg")
    assert {Path(row["uri"]).name: row["state"] for row in told["seen"]} in (
        {"copy.jpg": "dropped", "03.jpg": "kept"},
        {"copy.jpg": "kept", "03.jpg": "dropped"},
    )


def test_a_kept_image_tells_what_it_replaced(there: Looked) -> None:
    told = facts(there, there.photos / "dogs/copy.jpg")
    assert len(told["replaces"]) == 2
    assert {copy["reason"] for copy in told["replaces"]} > {"exact_duplicate"}
    assert "replaces" in words(told)


def test_a_dropped_image_tells_reason_value_limit_and_the_kept_one(there: Looked) -> None:
    told = facts(there, there.photos / "dogs/03.jpg")
    (row,) = told["seen"]
    assert row["stage"] == "dedup"
    assert row["value"] is not None
    assert row["threshold"] is not None
    assert Path(row["kept_uri"]).name in ("03.jpg", "copy.jpg")
    assert row["kept_uri"] in [near["uri"] for near in told["neighbours"]]
    assert "copy of" in words(told)


def test_every_rule_is_told_with_how_far_the_image_is_from_it(there: Looked, tmp_path: Path) -> None:
    shutil.copytree(there.workspace / "datasets/pets/v0001", tmp_path / "w/datasets/pets/v0001")
    shutil.copytree(there.workspace / "stages", tmp_path / "w/stages")
    told = image_facts(str(tmp_path / "w"), str(there.photos / "dogs/dark.jpg"), None)
    rules = {rule["rule"]: rule for rule in told["rules"]}
    assert (rules["dark"]["passes"], rules["dark"]["limit"]) == (False, 0.32)
    assert rules["dark"]["spare"] == pytest.approx(rules["dark"]["value"] - 0.32)
    assert rules["dark"]["value"] == pytest.approx(told["seen"][0]["value"])
    assert rules["too_small"] == {"rule": "too_small", "value": 120, "limit": 32, "passes": True, "spare": 88}
    assert "✗ Dark" in words(told)


def test_the_nearest_kept_images_are_kept_others_and_nearest_first(there: Looked) -> None:
    told = facts(there, there.photos / "cats/07.jpg")
    kept = set(there.versions[1].table("manifest")["uri"].to_pylist())
    near = told["neighbours"]
    assert 5 <= len(near) <= 7
    assert {row["uri"] for row in near} <= kept - {str(there.photos / "cats/07.jpg")}
    cosines = [row["cosine"] for row in near]
    assert cosines == sorted(cosines, reverse=True)


def test_the_newest_version_is_told_and_what_all_versions_say(there: Looked) -> None:
    dark = facts(there, there.photos / "dogs/dark.jpg")
    assert (dark["version"], dark["versions"]) == ("v0002", {"v0001": "dark", "v0002": "kept"})
    assert "v0001 dropped (dark), v0002 kept" in words(dark)
    gone = facts(there, "cats/21.jpg")
    assert (gone["version"], gone["versions"]) == ("v0001", {"v0001": "kept", "v0002": "absent"})
    assert "not in it any more" in words(gone)


def test_a_file_with_the_bytes_of_an_indexed_one_tells_of_that_one(there: Looked, tmp_path: Path) -> None:
    shutil.copy(there.photos / "cats/08.jpg", tmp_path / "elsewhere.jpg")
    assert facts(there, tmp_path / "elsewhere.jpg")["seen"][0]["uri"] == str(there.photos / "cats/08.jpg")


def test_an_indexed_file_that_was_written_again_is_said_to_have_changed(there: Looked) -> None:
    path = there.photos / "cats/09.jpg"
    before = path.read_bytes()
    path.write_bytes(encoded(picture(77)))
    try:
        told = facts(there, path)
    finally:
        path.write_bytes(before)
    assert told["file_changed"]
    assert "other bytes" in words(told)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (encoded(picture(500, (160, 120))), None),
        (encoded(picture(6, (160, 120)), quality=60), "perceptual_duplicate"),
        (encoded(picture(501, (40, 40))), "too_small"),
        (b"no image", "unreadable"),
    ],
)
def test_a_file_that_was_never_indexed_is_measured_and_judged(
    there: Looked, tmp_path: Path, data: bytes, reason: str | None
) -> None:
    (tmp_path / "new.jpg").write_bytes(data)
    told = facts(there, tmp_path / "new.jpg")
    assert not told["indexed"]
    assert told["verdict"]["reason"] == reason
    if reason == "perceptual_duplicate":
        assert Path(told["verdict"]["kept_uri"]).name == "06.jpg"
    said = words(told)
    assert "never indexed" in said
    assert "would" in said


def test_without_the_stage_cache_it_says_so_and_goes_on(there: Looked, tmp_path: Path) -> None:
    shutil.copytree(there.workspace / "datasets", tmp_path / "w/datasets")
    kept = image_facts(str(tmp_path / "w"), str(there.photos / "cats/07.jpg"), None)
    assert (kept["neighbours"], kept["measured"]["width"]) == (None, 160)
    assert "embeddings lie in the stage cache, which was deleted" in words(kept)
    dropped = image_facts(str(tmp_path / "w"), str(there.photos / "dogs/03.jpg"), None)
    assert dropped["seen"][0]["reason"].endswith("duplicate")
    assert "the stage cache was deleted" in words(dropped)


def test_what_means_several_images_or_none_is_refused_with_what_to_give(there: Looked) -> None:
    with pytest.raises(UserError, match="means 2 images"):
        facts(there, "03.jpg")
    for what in ("nothing.jpg", "abcdef", "a1"):
        with pytest.raises(UserError, match="the beginning of its id"):
            facts(there, what)
