"""What changed between two versions agrees with a slow comparison, row by row."""

from collections import Counter

import pytest
from looked_at import Looked, looked

from flows.inspect.diff import compared
from flows.recipe.changes import recipe_changes
from shared.dataset_version import Published


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
