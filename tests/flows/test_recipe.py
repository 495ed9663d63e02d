from pathlib import Path

import pytest

from flows.recipe import Recipe, load_recipe, shipped
from shared.errors import RecipeError, SourceError


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_recipe_is_valid(name):
    assert isinstance(load_recipe(name), Recipe)


def test_a_recipe_may_start_from_another(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("extends: laptop\nname: birds\ncuration: {pack: {shard_images: 99}}\n")
    mine, base = load_recipe(str(path)), load_recipe("laptop")
    assert mine.name == "birds"
    assert mine.curation.pack.shard_images == 99
    assert mine.training == base.training


def test_settings_sources_and_name_change_the_recipe(photos):
    root = str(photos(1))
    recipe = load_recipe("laptop", settings=["curation.dedup.perceptual.distance=4"], sources=[root], name="cats")
    assert recipe.curation.dedup.perceptual.distance == 4
    assert [source.url for source in recipe.sources] == [root]
    assert recipe.name == "cats"


def test_measure_embeds_with_the_embedder_of_near():
    recipe = load_recipe("laptop")
    assert recipe.curation.measure.embedder == recipe.curation.dedup.near.embedder


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        (["curation.dedup.near.treshold=0.5"], "near.treshold: there is no such key. Did you mean 'threshold'"),
        (["curations.pack={}"], "curations: there is no such key. Did you mean 'curation'"),
        (["curation.dedup.near.threshold=high"], r"near.threshold: .*number.* \(given 'high'\)"),
        (["curation.dedup.near.threshold=1.5"], r"less than or equal to 1.15 \(given 1.5\)"),
        (["curation.dedup.near={verify: none, threshold: 1.1}"], "a cosine when verify is none: at most 1, got 1.1"),
        (["curation.decontaminate.sets=[{name: a}]"], "sets.0.source: Field required"),
        (["curation.balance.levels=[10, 20]"], "each smaller than the one before"),
        (["curation.quality.rules=[{kind: blury}]"], "rules.0: .*blury.*'blurry'"),
        (["curation.quality.rules=[{kind: blurry, limit: 3}]"], "limit: there is no such key.*threshold"),
        (["evaluation.evaluations=[knn, lineer]"], "evaluations.1: .*lineer.*'knn', 'linear'"),
        (["evaluation.evaluations=[{kind: knn, kk: 3}]"], "kk: there is no such key.*'k'"),
        (["compute.workers=-1"], "compute.workers: .*greater than or equal to 0"),
        (["name=My Photos"], "name: .*pattern"),
        (["nonsense"], "--set needs KEY=VALUE"),
        (["name.x=1"], "'name' is not a group"),
        (["curation.index.sources=[{kind: folder, url: x}]"], "set the sources at the top"),
        (["training.crops.large_size=65"], "large_size must be a multiple of model.patch_size"),
    ],
)
def test_a_wrong_setting_is_refused_with_what_is_allowed(settings, complaint):
    with pytest.raises(RecipeError, match=complaint):
        load_recipe("demo", settings=settings)


def test_evaluations_are_asked_for_by_kind_or_with_their_settings():
    given = "evaluation.evaluations=[knn, {kind: linear, steps: 7}]"
    knn, linear = load_recipe("laptop", settings=[given]).evaluation.evaluations
    assert (knn.kind, knn.k, linear.kind, linear.steps) == ("knn", 20, "linear", 7)


def test_an_embedder_is_set_in_one_place_only():
    same = "curation.measure.embedder={kind: descriptor}"
    assert load_recipe("laptop", settings=[same]).curation.measure.embedder.kind == "descriptor"


def test_an_unknown_recipe_lists_the_known_ones(tmp_path):
    with pytest.raises(RecipeError, match=r"no recipe 'lapdog'.*laptop"):
        load_recipe("lapdog")
    (tmp_path / "bad.yaml").write_text("a: [")
    with pytest.raises(RecipeError, match="not valid YAML"):
        load_recipe(str(tmp_path / "bad.yaml"))
    (tmp_path / "list.yaml").write_text("- a")
    with pytest.raises(RecipeError, match="must hold keys and values, got list"):
        load_recipe(str(tmp_path / "list.yaml"))


def test_a_missing_source_is_refused_before_any_work(tmp_path):
    with pytest.raises(SourceError, match="does not exist"):
        load_recipe("laptop", sources=[str(tmp_path / "nowhere")])


def test_shipped_recipes_are_shipped():
    assert {path.suffix for path in (Path(__file__).parents[2] / "flows/recipes").iterdir()} == {".yaml"}
    assert {"demo", "laptop", "single-gpu"} <= set(shipped())
