"""What curation will take, stage by stage, from the table of unit costs that tests/benchmarks/scale writes."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from pathlib import Path
from typing import Any

from curation.dedup.hash_tables import BITS, ORIENTATIONS, HashTables, ball
from curation.stages import STAGES
from flows.recipe.recipe import Recipe
from shared.stage import Stage

TABLE = Path(__file__).with_name("unit_costs.json")
EVALUATION_IMAGES = 100_000
"""Assumed of the evaluation sets of a recipe that names some: two of ImageNet's size."""
PUBLISH = "publish"
"""No stage: what comes after the last one."""
MS_PER_HOUR = 3.6e6


@dataclass(frozen=True)
class UnitCost:
    """CPU milliseconds an image, as measured at so many images, and how they grow with the corpus."""

    ms: float
    at: int
    exponent: float = 1.0
    """Of the whole cost: 1 = an image costs the same in every corpus."""
    until: float | None = None
    """Images from which on it grows no more."""

    def of(self, images: float) -> float:
        """Return milliseconds an image in a corpus of so many."""
        grown = min(images, self.until) if self.until else images
        return float(self.ms * (grown / self.at) ** (self.exponent - 1))


@dataclass(frozen=True)
class StageCost:
    """What a stage will take."""

    stage: str
    ms: float
    """CPU milliseconds an image."""
    images: float
    """How many it works on; 0 where the recipe does not ask for it."""

    @property
    def core_hours(self) -> float:
        """Of one core."""
        return self.ms * self.images / MS_PER_HOUR


@lru_cache
def measured() -> dict[str, Any]:
    """Return the table: hardware, date, megapixels, and the unit cost of each stage."""
    table: dict[str, Any] = json.loads(TABLE.read_text())
    return table | {"stages": {name: UnitCost(**one) for name, one in table["stages"].items()}}


def stage_costs(recipe: Recipe, images: float) -> Iterator[StageCost]:
    """Yield what every stage of a recipe's curation will take, then what publishing will."""
    units: dict[str, UnitCost] = measured()["stages"]
    for stage in STAGES:
        hashes = _hash_ms(recipe, images) if stage.name == "candidates" else 0.0
        yield StageCost(stage.name, units[stage.name].of(images) + hashes, _images(stage, recipe, images))
    yield StageCost(PUBLISH, units[PUBLISH].of(images), images)


def _images(stage: Stage, recipe: Recipe, images: float) -> float:
    params = attrgetter(stage.key)(recipe)
    if stage.name in ("references", "measure_references"):
        return EVALUATION_IMAGES if recipe.curation.decontaminate.sets else 0.0
    if stage.name == "verify":
        return images if recipe.curation.dedup.verifies else 0.0
    return images if stage.name == "index" or not params.idle else 0.0


def _hash_ms(recipe: Recipe, images: float) -> float:
    """Return what an image's hashes cost to be compared with all others."""
    perceptual = recipe.curation.dedup.perceptual
    if not perceptual.enabled:
        return 0.0
    return HashTables.of(perceptual.distance, round(images)).nanoseconds(round(images)) / images / 1e6


def chance_pairs(recipe: Recipe, images: float) -> float:
    """Return how many hashes an image's own meets by chance, if hashes are random."""
    perceptual = recipe.curation.dedup.perceptual
    return ORIENTATIONS * images * ball(perceptual.distance) / 2**BITS if perceptual.enabled else 0.0
