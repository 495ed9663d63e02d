from pathlib import Path

import pytest

from flows.recipe.recipe import SHIPPED, Recipe, load_recipe, shipped
from shared.errors import RecipeError, SourceError
from training.cost.step_flops import step_flops
from training.loop.pretrain import check_batch
from training.loop.schedules import peak_lr
from training.params.resolved import resolved


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_recipe_is_valid(name):
    assert isinstance(load_recipe(name), Recipe)


STATED = {
    "adapt": (800, 1),
    "demo": (2000, 1),
    "dinov2-vitl14": (14_000_000, 96),
    "imagenette": (8500, 1),
    "laptop": (2000, 1),
    "meta-dinov2-giant": (1_200_000_000, 256),
    "meta-dinov2-giant-fit": (1_200_000_000, 256),
    "single-gpu": (100_000, 1),
}
"""Training images and processes that each recipe speaks of."""


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_recipe_fits_the_images_and_processes_it_speaks_of(name):
    recipe = load_recipe(name)
    params = resolved(recipe.training, STATED[name][0])
    check_batch(params, *STATED[name], recipe.compute.accumulate)
    assert all(isinstance(length, int) for length in (params.optim.steps, params.checkpoint_every))
    comments = (SHIPPED / f"{name}.yaml").read_text()
    assert STATED[name][1] == 1 or f"{STATED[name][1]} processes" in comments


def test_the_seed_recipe_stands_to_the_letter_and_comes_to_what_its_comments_say():
    letter, fit = (load_recipe(name).training for name in ("meta-dinov2-giant", "meta-dinov2-giant-fit"))
    assert (letter.model.depth, letter.model.width, letter.model.heads, letter.model.patch_size) == (40, 968, 11, 14)
    assert (letter.crops.global_count, letter.crops.local_count, letter.crops.global_size) == (10, 2, 224)
    optim, known = letter.optim, resolved(letter, 1_200_000_000).optim
    assert (optim.batch_size, optim.lr, optim.lr_rule, optim.clip, optim.precision) == (
        32768,
        1e-4,
        "linear",
        1.0,
        "fp16",
    )
    assert (optim.momentum, optim.momentum_rule, optim.warmup_steps) == ((0.996, 1.0), "linear", "10 epochs")
    assert (known.steps, known.warmup_steps) == (1_500_000, 366_211)
    assert peak_lr(optim) == pytest.approx(1.28e-2)
    assert (fit.crops.global_count, fit.crops.local_count, fit.optim.precision) == (2, 10, "bf16")
    assert fit.optim.steps * fit.optim.batch_size == letter.optim.steps * letter.optim.batch_size
    assert peak_lr(fit.optim) == pytest.approx(5.66e-4, rel=1e-3)
    assert step_flops(letter).true / step_flops(fit).true == pytest.approx(3, rel=0.1)


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


def test_keys_under_their_former_names_are_read_and_override_and_name_the_same_run(tmp_path):
    settings = ["training.crops.large_size=64", "training.augment.blur_small=0.5"]
    old = load_recipe("laptop", settings=settings).training
    assert (old.crops.global_size, old.augment.blur_local) == (64, 0.5)
    present = ["training.crops.global_size=64", "training.augment.blur_local=0.5"]
    assert load_recipe("laptop", settings=present).training.identity() == old.identity()
    assert old.identity()["crops"]["large_size"] == 64
    (tmp_path / "old.yaml").write_text("extends: laptop\ntraining: {crops: {small_count: 3}}")
    assert load_recipe(str(tmp_path / "old.yaml")).training.crops.local_count == 3


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
        (["training.optim.steps=3 days"], "optim.steps: needs a number of steps, or text such as .*given '3 days'"),
        (["training.objective.patch_prototypes=9"], "need separate_heads: true"),
        (["training.crops.global_size=65"], "global_size must be a multiple of model.patch_size"),
        (["training.crops.large_size=65"], "global_size must be a multiple of model.patch_size, got 65"),
        (["training.crops.larg_size=64"], "larg_size: there is no such key. Did you mean 'global_size'"),
        (["training.crops={large_size: 64, global_size: 48}"], "crops: .*got both: 64 and 48; leave out large_size"),
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
    assert {path.suffix for path in (Path(__file__).parents[3] / "flows/recipe/recipes").iterdir()} == {".yaml"}
    assert set(STATED) == set(shipped())
