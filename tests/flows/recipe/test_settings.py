"""`--set` says what a person means: one rule by its name, a switch, a number as people write it, a name of digits."""

import pytest

from flows.recipe.changes import recipe_changes
from flows.recipe.recipe import Recipe, load_recipe
from shared.errors import RecipeError


def changed(*settings: str) -> dict[str, list[object]]:
    """Return what settings change in the laptop's recipe."""
    base, other = load_recipe("laptop"), load_recipe("laptop", settings=settings)
    return recipe_changes(base.model_dump(mode="json"), other.model_dump(mode="json"))


def kinds(recipe: Recipe) -> list[str]:
    return [rule.kind for rule in recipe.curation.quality.rules]


@pytest.mark.parametrize("key", ["rules.blurry.threshold", "rules[blurry].threshold", "rules.6.threshold"])
def test_one_rule_is_set_by_its_name_or_number_and_the_others_stay(key):
    assert changed(f"curation.quality.{key}=0.5") == {"curation.quality.rules.blurry.threshold": [0.29, 0.5]}


def test_a_changed_key_is_spelled_as_it_is_set():
    for key, (_, now) in changed("curation.quality.rules.dark.threshold=0.2", "curation.dedup.near=off").items():
        if key.startswith("curation.decontaminate"):  # taken from curation.dedup
            continue
        assert changed(f"{key}={now}")[key][1] == now


def test_a_rule_is_taken_out_put_in_or_set_though_it_is_not_in_the_list():
    base = kinds(load_recipe("laptop"))
    without = load_recipe("laptop", settings=["curation.quality.rules.dark=off"])
    assert kinds(without) == [kind for kind in base if kind != "dark"]
    again = load_recipe("laptop", settings=["curation.quality.rules.dark=off", "curation.quality.rules.dark=on"])
    assert sorted(kinds(again)) == sorted(base)
    back = load_recipe("laptop", settings=["curation.quality.rules=[]", "curation.quality.rules.dark.threshold=0.2"])
    assert [(rule.kind, rule.threshold) for rule in back.curation.quality.rules] == [("dark", 0.2)]


@pytest.mark.parametrize(
    ("setting", "changes"),
    [
        ("curation.dedup.near=off", {"curation.dedup.near.enabled": [True, False]}),
        ("curation.dedup.perceptual=off", {"curation.dedup.perceptual.enabled": [True, False]}),
        ("curation.balance=on", {"curation.balance.enabled": [False, True]}),
        (
            "curation.dedup=off",
            {"curation.dedup.near.enabled": [True, False], "curation.dedup.perceptual.enabled": [True, False]},
        ),
    ],
)
def test_off_and_on_are_switches(setting, changes):
    seen = {key: pair for key, pair in changed(setting).items() if not key.startswith("curation.decontaminate")}
    assert {key: seen[key] for key in changes} == changes


def test_quality_is_switched_off_and_on_again():
    assert kinds(load_recipe("laptop", settings=["curation.quality=off"])) == []
    both = ["curation.quality=off", "curation.quality=on"]
    assert kinds(load_recipe("laptop", settings=both)) == kinds(load_recipe("laptop"))


def test_a_switch_keeps_what_else_is_set():
    near = load_recipe("laptop", settings=["curation.dedup.near.threshold=1.1", "curation.dedup.near=off"]).curation
    assert (near.dedup.near.enabled, near.dedup.near.threshold) == (False, 1.1)


@pytest.mark.parametrize(
    ("text", "value"), [("1e4", 10_000), ("10,000", 10_000), ("1_000", 1000), ("2e3", 2000), ("3000", 3000)]
)
def test_numbers_are_read_as_people_write_them(text, value):
    recipe = load_recipe("laptop", settings=[f"training.optim.steps={text}", f"curation.index.part_images={text}"])
    assert (recipe.training.optim.steps, recipe.curation.index.part_images) == (value, value)
    assert load_recipe("laptop", settings=["training.optim.lr=2e-4"]).training.optim.lr == 2e-4


@pytest.mark.parametrize("name", ["2024", "1e4", "on", "null"])
def test_a_name_may_look_like_a_number_or_a_switch(name):
    assert load_recipe("laptop", settings=[f"name={name}"]).name == name


def test_an_evaluation_is_set_by_its_kind():
    settings = ["evaluation.evaluations=[knn, linear]", "evaluation.evaluations.knn.k=7"]
    knn, linear = load_recipe("laptop", settings=settings).evaluation.evaluations
    assert (knn.kind, knn.k, linear.kind) == ("knn", 7, "linear")


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("curation.quality.rules.blury.threshold=1", r"rules.*blury.*'blurry'"),
        ("curation.quality.rules.blurry=0.5", "rules.blurry needs on, off, or a key below it such as .*threshold"),
        ("curation.quality.rules.blurry.limit=3", "limit: there is no such key.*threshold"),
        ("curation.quality.rules.blurry.threshold=much", r"threshold: .*number.* \(given 'much'\)"),
        ("curation.quality.rules.low_aesthetic.threshold=4", r"curation.quality.rules.low_aesthetic.model: Field"),
        ("training.optim.steps=ten", "needs a number of steps"),
    ],
)
def test_what_cannot_be_is_refused_by_name(setting, complaint):
    with pytest.raises(RecipeError, match=complaint):
        load_recipe("laptop", settings=[setting])


def test_one_of_two_members_of_a_name_is_set_by_its_number():
    twice = "curation.quality.rules=[{kind: blurry}, {kind: blurry, threshold: 1}]"
    with pytest.raises(RecipeError, match=r"stands there 2 times. Use its number instead: 0, 1"):
        load_recipe("laptop", settings=[twice, "curation.quality.rules.blurry.threshold=0.5"])
    recipe = load_recipe("laptop", settings=[twice, "curation.quality.rules.1.threshold=0.5"])
    assert [rule.threshold for rule in recipe.curation.quality.rules] == [0.29, 0.5]


def test_sources_that_end_alike_get_names_that_tell_them_apart(photos):
    one, other, third = (str(photos(1, f"{name}/train")) for name in ("a", "b", "c/b"))
    sources = load_recipe("laptop", sources=[one, other, third, str(photos(1, "elsewhere")), one]).sources
    names = [source.title for source in sources]
    assert names[3] == "elsewhere"
    assert names[0].endswith("/a/train")
    assert len(set(names)) == 4 == len(names)
    assert [source.title for source in load_recipe("laptop", sources=[one, other]).sources] == ["a/train", "b/train"]
    assert load_recipe("laptop", sources=[one]).sources[0].name == ""
