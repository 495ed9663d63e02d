"""What changed between two versions agrees with a slow comparison, row by row."""

from collections import Counter
from pathlib import Path

import pytest
from conftest import encoded, picture
from looked_at import Looked, looked, publish

from curation.sources import ListSource
from flows import pipeline
from flows.inspect.diff import compared
from flows.inspect.diff_text import lines, table
from flows.recipe.changes import recipe_changes
from flows.recipe.recipe import Recipe
from flows.session import Session
from shared.dataset_version import Published
from shared.launch.executors import Inline
from shared.launch.progress import Silent
from shared.storage import Store


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Looked:
    return looked(tmp_path_factory.mktemp("diff"))


def states(dataset: Published) -> dict[str, str]:
    kept = dict.fromkeys(dataset.table("manifest")["uri"].to_pylist(), "kept")
    dropped = dataset.table("dropped")
    return kept | dict(zip(dropped["uri"].to_pylist(), dropped["reason"].to_pylist(), strict=True))


def test_every_change_of_state_is_counted_as_a_slow_comparison_counts_it(there: Looked) -> None:
    old, new = there.versions
    before, after = states(old), states(new)
    slow = Counter((before.get(uri, "absent"), after.get(uri, "absent")) for uri in {*before, *after})
    told = compared(old, new)
    fast = {(change["before"], change["after"]): change["images"] for change in told["transitions"]}
    assert fast == {pair: n for pair, n in slow.items() if pair[0] != pair[1]}
    assert fast[("kept", "absent")] == 4
    assert fast[("dark", "kept")] == 1
    assert told["kept"]["before"] == old.info["counts"]["kept"]
    assert told["kept"]["after"] == new.info["counts"]["kept"]
    assert told["kept"]["entered"] - told["kept"]["left"] == told["kept"]["after"] - told["kept"]["before"]


def test_examples_are_the_first_uris_of_each_change(there: Looked) -> None:
    gone = next(t for t in compared(*there.versions)["transitions"] if (t["before"], t["after"]) == ("kept", "absent"))
    assert gone["examples"] == [str(there.photos / f"cats/{i}.jpg") for i in range(20, 24)]


def test_sources_and_rewritten_files_are_counted(there: Looked) -> None:
    told = compared(*there.versions)
    assert told["sources"]["photos"]["gone"] == 4
    assert told["sources"]["photos"]["new"] == 2
    assert told["rewritten"] == 1


def test_there_and_back_are_mirrored(there: Looked) -> None:
    old, new = there.versions
    there_, back = compared(old, new), compared(new, old)
    assert {(t["before"], t["after"], t["images"]) for t in there_["transitions"]} == {
        (t["after"], t["before"], t["images"]) for t in back["transitions"]
    }
    assert compared(old, old)["transitions"] == []


def test_changed_keys_of_a_recipe_are_named_with_both_values(there: Looked) -> None:
    changes = compared(*there.versions)["recipe"]
    assert changes["curation.quality.rules.too_small.threshold"] == [32.0, 48.0]
    assert changes["curation.quality.rules.dark.threshold"] == [0.32, "(absent)"]
    assert not any("blurry" in key or "dedup" in key for key in changes)
    assert recipe_changes({"a": {"b": [1, 2]}, "c": 1}, {"a": {"b": [1, 3]}, "c": 1}) == {"a.b": [[1, 2], [1, 3]]}


def test_what_was_kept_instead_is_named_for_each_image_that_left(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    small = {i: encoded(picture(i, (120, 90))) for i in range(8)}
    for i, data in small.items():
        (photos / "cats").mkdir(parents=True, exist_ok=True)
        (photos / f"cats/{i}.jpg").write_bytes(data)
    old = publish(photos, tmp_path / "w")
    (photos / "better").mkdir()
    for i in range(3):
        picture(i, (480, 360)).save(photos / f"better/{i}.png")
    new = publish(photos, tmp_path / "w")
    told = compared(old, new, every=True)
    expected = dict(zip(*(new.table("dropped")[name].to_pylist() for name in ("uri", "kept_uri")), strict=True))
    named = {
        uri: kept
        for change in told["transitions"]
        if change["before"] == "kept"
        for uri, kept in zip(change["examples"], change["kept_instead"], strict=True)
    }
    assert len(named) == told["kept"]["left"] > 0
    assert named == {uri: expected[uri] for uri in named}
    assert {row["uri"]: row["kept_instead"] for row in told["rows"] if row["before"] == "kept"} == named
    uri, kept = next(iter(named.items()))
    assert f"  {uri}  → {kept}" in list(lines(told))


def test_labels_of_images_that_both_keep_are_compared(tmp_path: Path) -> None:
    for i in range(6):
        (tmp_path / f"{i}.jpg").write_bytes(encoded(picture(i)))
    recipe = Recipe(name="pets", sources=(ListSource(url=str(tmp_path / "list.txt")),))
    versions = []
    for labels in ("aabbcc", "aaxbc "):
        rows = (f"{i}.jpg\t{label}" for i, label in enumerate(labels))
        (tmp_path / "list.txt").write_text("\n".join(rows))
        versions.append(pipeline.curate(Session(recipe, Store(str(tmp_path / "w")), Inline(), Silent()))[0])
    told = compared(*versions, every=True)
    assert told["labels"]["changed"] == 2
    assert [(row["before"], row["after"]) for row in told["labels"]["examples"]] == [("b", "x"), ("c", None)]
    assert [row["label_changed"] for row in told["rows"]] == [True, True]
    assert "labels    2 images that both versions keep have another label" in list(lines(told))
    assert compared(versions[0], versions[0])["labels"]["changed"] == 0


def test_all_is_a_table_with_a_line_for_every_change_of_state_bytes_or_label(there: Looked) -> None:
    old, new = there.versions
    told = compared(old, new, every=True)
    before, after = states(old), states(new)
    ids = [
        dict(zip(*(v.table("manifest")[c].to_pylist() for c in ("uri", "image_id")), strict=True)) for v in (old, new)
    ]
    slow = {uri for uri in {*before, *after} if before.get(uri) != after.get(uri)}
    rewritten = {uri for uri in ids[0].keys() & ids[1].keys() if ids[0][uri] != ids[1][uri]}
    assert [row["uri"] for row in told["rows"]] == sorted(slow | rewritten)
    assert len(rewritten) == 1
    head, *rest = table(told["rows"])
    assert head.split("\t")[:4] == ["uri", "source", "before", "after"]
    assert all(line.count("\t") == head.count("\t") for line in rest)
    gone = str(there.photos / "cats/20.jpg")
    assert [gone, "photos", "kept", "absent", "", "cats", "", "state"] in [line.split("\t") for line in rest]


def test_a_name_with_a_tab_or_a_newline_stays_in_its_cell() -> None:
    row = dict.fromkeys(("source", "kept_instead", "label_before", "label_after"))
    row |= {"uri": "a\tb\n.jpg", "before": "kept", "after": "absent", "state_changed": True}
    _, line = table([row | {"bytes_changed": False, "label_changed": False}])
    assert line.split("\t")[0] == "a\\tb\\n.jpg"
    assert "\n" not in line
