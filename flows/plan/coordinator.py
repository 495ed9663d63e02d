"""What one process will hold of a whole corpus, by the peaks that tests/benchmarks/scale/held.py measured."""

from collections.abc import Iterator
from dataclasses import dataclass

from curation.stages import STAGES
from flows.plan.unit_costs import asked_images, measured
from flows.recipe.recipe import Recipe


@dataclass(frozen=True)
class CoordinatorMemory:
    """The most memory of the process that orders a stage's work, which holds something of every image."""

    stage: str
    bytes: float
    """In all."""
    image_bytes: float
    """What an image more adds."""


def coordinator_memory(recipe: Recipe, images: float) -> CoordinatorMemory:
    """Return the stage of a recipe's curation whose coordinator holds most, and how much."""
    return max(_stages(recipe, images), key=lambda one: one.bytes)


def _stages(recipe: Recipe, images: float) -> Iterator[CoordinatorMemory]:
    held = measured()["held"]["stages"]
    for stage in STAGES:
        if stage.name == "candidates" and not recipe.curation.dedup.verifies:
            continue  # it looks for nothing then
        if stage.name in held and asked_images(stage, recipe, images):
            constant, each = held[stage.name]["constant"], held[stage.name]["bytes"]
            yield CoordinatorMemory(stage.name, constant + each * images, each)
