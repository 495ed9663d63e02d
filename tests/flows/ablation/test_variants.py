"""What `--vary` means, and what it refuses before any work."""

import pytest

from flows.ablation.run_ablation import Request, forecast
from flows.ablation.trainings import shortened
from flows.ablation.variants import split
from flows.recipe.recipe import load_recipe
from shared.errors import RecipeError
from training.params import PretrainParams
from training.params.resolved import resolved


def request_for(*vary, recipe="laptop", **more):
    return Request(recipe, (), (), None, vary, **more)


def named(*vary, **more):
    return {one.name: one for one in request_for(*vary, **more).variants()}


def test_values_are_split_at_commas_outside_brackets_and_quotes():
    assert split("0.5,0.6") == ["0.5", "0.6"]
    assert split("[],[{kind: blurry, threshold: 0.2}, {kind: dark}],default") == [
        "[]",
        "[{kind: blurry, threshold: 0.2}, {kind: dark}]",
        "default",
    ]
    assert split('"a,b", c, c') == ['"a,b"', "c"]


def test_each_value_is_one_change_to_the_recipe():
    by_name = named("curation.dedup.near.threshold=0.9,0.95", "curation.balance=on")
    assert list(by_name) == ["baseline", "dedup.near.threshold=0.9", "dedup.near.threshold=0.95", "balance=on"]
    near = [one.recipe.curation.dedup.near.threshold for one in by_name.values()]
    assert near == [None, 0.9, 0.95, None]
    assert [one.recipe.curation.balance.enabled for one in by_name.values()] == [False, False, False, True]


def test_a_grid_has_every_combination_and_no_recipe_twice():
    by_name = named("curation.dedup.near=off,on", "curation.quality=off", grid=True)
    assert list(by_name) == ["baseline", "quality=off", "dedup.near=off", "dedup.near=off, quality=off"]
    both = by_name["dedup.near=off, quality=off"].recipe.curation
    assert (both.dedup.near.enabled, both.quality.rules) == (False, ())


def test_off_on_and_default_say_what_the_recipes_keys_say():
    by_name = named("curation.dedup=off", "curation.dedup.perceptual=off", recipe="demo")
    dedup = by_name["dedup=off"].recipe.curation.dedup
    assert (dedup.perceptual.enabled, dedup.near.enabled) == (False, False)
    assert by_name["dedup.perceptual=off"].recipe.curation.dedup.near.enabled
    bare = Request("laptop", ["curation.quality.rules=[]"], (), None, ["curation.quality.rules=default"])
    assert bare.variants()[1].recipe.curation.quality == load_recipe("laptop").curation.quality
    on = Request("laptop", ["curation.quality.rules=[]"], (), None, ["curation.quality=on"])
    assert on.variants()[1].recipe == bare.variants()[1].recipe


def test_shorter_trainings_keep_the_proportions():
    whole = resolved(load_recipe("laptop").training, 1000)
    short = shortened(whole, whole.optim.steps // 2)
    assert short.optim.steps == whole.optim.steps // 2
    assert short.optim.warmup_steps == whole.optim.warmup_steps // 2
    assert short.objective.teacher_temperature_steps == whole.objective.teacher_temperature_steps // 2
    assert shortened(whole, None) == whole
    PretrainParams.model_validate(shortened(whole, 1).model_dump())


def test_a_variant_that_costs_more_is_marked():
    by_name = named("training.optim.batch_size=128", "training.optim.lr=2e-3", "curation.balance=on")
    assert [one.equal_compute for one in by_name.values()] == [True, False, True, True]


def test_what_is_going_to_be_done_is_told_before_it_is():
    request = request_for("curation.balance.target=0.1,0.2", seeds=5, steps=100)
    text = forecast(request, request.variants())
    assert "2 variants and the baseline × 5 seeds: up to 15 trainings of 100 steps × 64 images; " in text


@pytest.mark.parametrize(
    ("vary", "complaint"),
    [
        ((), "needs something to vary"),
        (("curation.dedup.near",), "--vary needs KEY=VALUE"),
        (("curation.dedup.near=",), "--vary needs KEY=VALUE"),
        (("curation.dedup.near.treshold=0.5",), "near.treshold: there is no such key. Did you mean 'threshold'"),
        (("curation.dedup.near.treshold=default",), "near.treshold: there is no such key"),
        (("curation.dedup.near.threshold=0.9,high",), r"near.threshold: .*number.* \(given 'high'\)"),
        (("curation.quality.rules=[{kind: dark}",), "an open bracket or quote"),
        (("curation.dedup.near.threshold=0.9,,1",), "or an empty place"),
        (("evaluation.k=5",), "evaluation.k: this cannot vary"),
        (("compute.workers=1",), "compute.workers: this cannot vary"),
        (("curation.pack.shard_images=99",), "this cannot vary. What can: keys below curation.quality"),
        (("training.seed=1,2",), "the seed by --seeds"),
        (("curation.dedup.near=on",), "got only its own values: curation.dedup.near=on"),
    ],
)
def test_what_cannot_vary_is_refused_in_words(vary, complaint):
    with pytest.raises(RecipeError, match=complaint):
        request_for(*vary).variants()


def test_lengths_and_seeds_must_be_numbers_of_something():
    with pytest.raises(RecipeError, match="--seeds must be at least 1, got 0"):
        request_for("curation.balance=on", seeds=0).variants()
    with pytest.raises(RecipeError, match="--steps must be at least 1, got 0"):
        request_for("curation.balance=on", steps=0).variants()
