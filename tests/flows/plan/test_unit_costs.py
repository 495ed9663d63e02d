"""A plan counts every stage of curation, by the table that the benchmark wrote."""

import pytest

from curation.dedup.hash_tables import HashTables
from curation.stages import STAGES
from flows.plan.costs import CPU, Device
from flows.plan.plan import plan, warnings
from flows.plan.text import lines
from flows.plan.unit_costs import PUBLISH, UnitCost, chance_pairs, measured, stage_costs
from flows.recipe.recipe import Recipe, load_recipe

NAMES = [*(stage.name for stage in STAGES), PUBLISH]
SET = {"name": "set", "source": {"kind": "folder", "url": "/set"}}
EVERYTHING = {"decontaminate": {"sets": [SET]}, "balance": {"enabled": True}}
MACHINE = Device(CPU, 1, 1e12, "", 0)


def recipe_of(curation) -> Recipe:
    return Recipe.model_validate({"sources": [{"kind": "folder", "url": "/photos"}], "curation": curation})


def test_the_shipped_table_has_each_stage_and_says_where_and_when_it_was_measured() -> None:
    table = measured()
    assert sorted(table["stages"]) == sorted(NAMES)
    assert all(unit.ms >= 0 and unit.at > 0 and unit.exponent >= 1 for unit in table["stages"].values())
    assert {"hardware", "date", "megapixels", "images", "pairs_per_image", "synthetic"} <= table.keys()


def test_a_plan_counts_every_stage_and_those_that_are_not_asked_for_as_nothing() -> None:
    costs = list(stage_costs(recipe_of(EVERYTHING), 1e6))
    assert [one.stage for one in costs] == NAMES
    assert all(one.images for one in costs)
    idle = {one.stage for one in stage_costs(recipe_of({}), 1e6) if not one.core_hours}
    assert idle == {"references", "measure_references", "decontaminate", "balance"}
    off = {"dedup": {"near": {"verify": "none"}, "perceptual": {"enabled": False}}}
    assert {one.stage for one in stage_costs(recipe_of(off), 1e6) if not one.core_hours} == idle | {"verify"}


def test_the_hours_of_a_plan_are_the_sum_of_the_lines_that_it_prints() -> None:
    recipe = load_recipe("laptop")
    facts = plan(recipe, 50_000, 110e3, MACHINE, 30)
    assert facts["core_hours_to_curate"] == pytest.approx(sum(one["core_hours"] for one in facts["curation"]))
    printed = "\n".join(lines(facts, recipe.training, []))
    for name in NAMES:
        assert f"\n  {name} " in printed
    assert f"{facts['core_hours_per_million']:.2f} core-hours a million" in printed
    assert measured()["date"] in printed


def test_what_grows_with_the_corpus_grows_in_a_plan_until_it_does_not() -> None:
    unit = UnitCost(2.0, 1000, 1.5, until=4000)
    assert [unit.of(images) for images in (1000, 4000, 1e9)] == [2.0, 4.0, 4.0]
    assert UnitCost(2.0, 1000).of(1e9) == 2.0


def test_more_bits_cost_more_at_a_billion_images_and_the_plan_warns_of_matches_by_chance() -> None:
    def candidates(recipe):
        return next(one.ms for one in stage_costs(recipe, 1.2e9) if one.stage == "candidates")

    six, ten = (recipe_of({"dedup": {"perceptual": {"distance": bits}}}) for bits in (6, 10))
    assert candidates(ten) - candidates(six) > 1
    assert candidates(six) - candidates(recipe_of({"dedup": {"perceptual": {"enabled": False}}})) == pytest.approx(
        HashTables.of(6, 1_200_000_000).nanoseconds(1_200_000_000) / 1.2e15
    )
    assert chance_pairs(six, 1.2e9) == pytest.approx(0.043, abs=0.001)
    facts = plan(ten, 1.2e9, 110e3, MACHINE, 30)
    assert any("by chance alone" in line for line in warnings(ten.training, facts))
    seed = load_recipe("meta-dinov2-giant-fit")
    assert not any(
        "by chance" in line
        for line in warnings(seed.training, plan(seed, 1.2e9, 110e3, Device("A100", 256, 312e12, "", 0), 30))
    )
