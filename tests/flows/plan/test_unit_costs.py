"""A plan counts every stage of curation, by the table that the benchmark wrote."""

import pytest

from curation.dedup.hash_tables import HashTables
from curation.stages import STAGES
from flows.plan.coordinator import coordinator_memory
from flows.plan.costs import CPU, Device
from flows.plan.plan import plan, warnings
from flows.plan.text import lines
from flows.plan.unit_costs import PUBLISH, Corpus, UnitCost, chance_pairs, measured, pairs_per_image, stage_costs
from flows.recipe.recipe import Recipe, load_recipe

NAMES = [*(stage.name for stage in STAGES), PUBLISH]
SET = {"name": "set", "source": {"kind": "folder", "url": "/set"}}
EVERYTHING = {"decontaminate": {"sets": [SET]}, "balance": {"enabled": True}}
MACHINE = Device(CPU, 1, 1e12, "", 0)


def recipe_of(curation) -> Recipe:
    return Recipe.model_validate({"sources": [{"kind": "folder", "url": "/photos"}], "curation": curation})


def ms_of(stage, recipe, corpus) -> float:
    return next(one.ms for one in stage_costs(recipe, corpus) if one.stage == stage)


def test_the_shipped_table_has_each_stage_and_says_where_and_when_it_was_measured() -> None:
    table = measured()
    assert sorted(table["stages"]) == sorted(NAMES)
    assert all(unit.ms >= 0 and unit.at > 0 and unit.exponent >= 1 for unit in table["stages"].values())
    said = {"hardware", "date", "megapixels", "kilobytes", "enlarged", "images", "pairs_per_image", "synthetic"}
    assert said <= table.keys()


def test_a_plan_counts_every_stage_and_those_that_are_not_asked_for_as_nothing() -> None:
    costs = list(stage_costs(recipe_of(EVERYTHING), Corpus.of(1e6)))
    assert [one.stage for one in costs] == NAMES
    assert all(one.images for one in costs)
    idle = {one.stage for one in stage_costs(recipe_of({}), Corpus.of(1e6)) if not one.core_hours}
    assert idle == {"references", "measure_references", "decontaminate", "balance"}
    off = {"dedup": {"near": {"verify": "none"}, "perceptual": {"enabled": False}}}
    assert {one.stage for one in stage_costs(recipe_of(off), Corpus.of(1e6)) if not one.core_hours} == idle | {"verify"}


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


def test_larger_images_cost_measure_and_verify_more_and_nothing_else() -> None:
    small, large = (
        {one.stage: one.ms for one in stage_costs(recipe_of(EVERYTHING), Corpus.of(1e6, kilobytes * 1e3))}
        for kilobytes in (measured()["kilobytes"], 10 * measured()["kilobytes"])
    )
    assert {stage for stage in small if large[stage] > small[stage]} == {"measure", "verify"}
    unit, more = measured()["stages"]["measure"], 9 * measured()["megapixels"]
    assert large["measure"] - unit.ms == pytest.approx(more * unit.megapixel_ms)


def test_verify_costs_by_the_pair_those_that_meet_by_chance_included() -> None:
    six, ten = (recipe_of({"dedup": {"perceptual": {"distance": bits}}}) for bits in (6, 10))
    few, many = (Corpus.of(1e6, pairs=pairs) for pairs in (1, 3))
    assert ms_of("verify", six, many) == pytest.approx(3 * ms_of("verify", six, few), rel=1e-3)
    unit, billion = measured()["stages"]["verify"], Corpus.of(1.2e9)
    assert pairs_per_image(ten, billion) > 40 * billion.pairs
    assert ms_of("verify", ten, billion) == pytest.approx(unit.ms * pairs_per_image(ten, billion))
    facts = plan(six, 1e6, 110e3, MACHINE, 30, pairs=3)
    assert facts["pairs_per_image"] == pytest.approx(3, rel=1e-3)
    assert "3 pairs of candidates an image (--pairs-per-image)" in "\n".join(lines(facts, six.training, []))


def test_candidates_cost_what_they_did_on_photographs_and_a_network_beside_the_descriptor_more() -> None:
    unit, corpus = measured()["stages"]["candidates"], Corpus.of(1400)
    hashes = {"perceptual": {"enabled": False}}
    described = ms_of("candidates", recipe_of({"dedup": hashes}), corpus)
    assert described == pytest.approx(unit.of(1400))
    both, alone = (
        ms_of("candidates", recipe_of({"dedup": hashes | {"near": near}}), corpus)
        for near in (
            {"embedder": "efficientnet-lite0"},
            {"embedder": "efficientnet-lite0", "candidates": {"layout": False}},
        )
    )
    assert both == pytest.approx(described + alone)
    assert alone < described / 4


def test_more_bits_cost_more_at_a_billion_images_and_the_plan_warns_of_matches_by_chance() -> None:
    def candidates(recipe):
        return ms_of("candidates", recipe, Corpus.of(1.2e9))

    six, ten = (recipe_of({"dedup": {"perceptual": {"distance": bits}}}) for bits in (6, 10))
    assert candidates(ten) - candidates(six) > 1
    assert candidates(six) - candidates(recipe_of({"dedup": {"perceptual": {"enabled": False}}})) == pytest.approx(
        HashTables.of(6, *2 * [1_200_000_000]).nanoseconds(*2 * [1_200_000_000]) / 1.2e15
    )
    assert chance_pairs(six, 1.2e9) == pytest.approx(0.043, abs=0.001)
    facts = plan(ten, 1.2e9, 110e3, MACHINE, 30)
    assert any("by chance alone" in line for line in warnings(ten.training, facts))
    seed = load_recipe("meta-dinov2-giant-fit")
    assert not any(
        "by chance" in line
        for line in warnings(seed.training, plan(seed, 1.2e9, 110e3, Device("A100", 256, 312e12, "", 0), 30))
    )


def test_a_plan_tells_the_most_memory_of_a_coordinator_and_warns_where_this_machine_has_less() -> None:
    recipe = load_recipe("laptop")
    held = measured()["held"]["stages"]
    assert {"candidates", "dedup", "decontaminate"} <= held.keys()
    assert all(one["bytes"] > 0 and one["date"] and one["images"][0] < one["images"][1] for one in held.values())
    small, large = (coordinator_memory(recipe, images) for images in (1e6, 1e9))
    assert large.bytes - small.bytes == pytest.approx((1e9 - 1e6) * large.image_bytes)
    assert large.image_bytes == held[large.stage]["bytes"]
    unasked = {"dedup": {"near": {"enabled": False}, "perceptual": {"enabled": False}}}
    assert coordinator_memory(recipe_of(unasked), 1e9).stage == "dedup"

    def warned(memory):
        facts = plan(recipe, 1e9, 110e3, MACHINE, 1e9, machine_memory=memory)
        assert f"in one process, in {large.stage}" in "\n".join(lines(facts, recipe.training, []))
        return [one for one in warnings(recipe.training, facts) if "process that orders the work" in one]

    assert warned(0) == warned(1.01 * large.bytes) == []
    assert [f"work of {large.stage} needs about" in one for one in warned(0.99 * large.bytes)] == [True]
