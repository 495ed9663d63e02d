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
    """At the megapixels of the table; of verify a pair's, not an image's."""
    at: int
    exponent: float = 1.0
    """Of the whole cost: 1 = an image costs the same in every corpus."""
    until: float | None = None
    """Images from which on it grows no more."""
    megapixel_ms: float = 0.0
    """What every megapixel more adds."""

    def of(self, images: float, megapixels_more: float = 0.0) -> float:
        """Return milliseconds an image in a corpus of so many, so much larger than those that were measured."""
        grown = min(images, self.until) if self.until else images
        return float(self.ms * (grown / self.at) ** (self.exponent - 1) + self.megapixel_ms * megapixels_more)


@dataclass(frozen=True)
class Corpus:
    """What there is to curate."""

    images: float
    megapixels: float
    """Of an image."""
    pairs: float
    """Of candidates, an image, beside those whose hashes are close by chance."""

    @classmethod
    def of(cls, images: float, image_bytes: float | None = None, pairs: float | None = None) -> "Corpus":
        """Return the corpus of so many files; what is left out is taken as in the table."""
        table = measured()
        each = image_bytes / 1e3 / table["kilobytes"] if image_bytes else 1.0
        return cls(images, table["megapixels"] * each, table["pairs_per_image"] if pairs is None else pairs)


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
    """Return the table: hardware, date, what the images were, and the unit cost of each stage."""
    table: dict[str, Any] = json.loads(TABLE.read_text())
    units = {name: UnitCost(**one) for name, one in table["stages"].items()}
    return table | {"stages": units, "network_search": UnitCost(**table["network_search"])}


def stage_costs(recipe: Recipe, corpus: Corpus) -> Iterator[StageCost]:
    """Yield what every stage of a recipe's curation will take, then what publishing will."""
    table, images = measured(), corpus.images
    units: dict[str, UnitCost] = table["stages"]
    for stage in STAGES:
        ms = units[stage.name].of(images, corpus.megapixels - table["megapixels"])
        if stage.name == "candidates":
            ms = _search_ms(recipe, images)
        elif stage.name == "verify":
            ms *= pairs_per_image(recipe, corpus)
        yield StageCost(stage.name, ms, asked_images(stage, recipe, images))
    yield StageCost(PUBLISH, units[PUBLISH].of(images), images)


def pairs_per_image(recipe: Recipe, corpus: Corpus) -> float:
    """Return how many pairs are verified, an image, those whose hashes are close by chance included."""
    return corpus.pairs + chance_pairs(recipe, corpus.images) / 2


def asked_images(stage: Stage, recipe: Recipe, images: float) -> float:
    """Return how many images a stage works on, 0 where a recipe does not ask for it."""
    params = attrgetter(stage.key)(recipe)
    if stage.name in ("references", "measure_references"):
        return EVALUATION_IMAGES if recipe.curation.decontaminate.sets else 0.0
    if stage.name == "verify":
        return images if recipe.curation.dedup.verifies else 0.0
    return images if stage.name == "index" or not params.idle else 0.0


def _search_ms(recipe: Recipe, images: float) -> float:
    """Return what an image's candidates cost: by the descriptor, by a network's vectors, by hashes."""
    table, near = measured(), recipe.curation.dedup.near
    searches = near.enabled and near.verify == "geometric"
    described = searches and (near.layout or near.embedder.sees_layout)
    own: UnitCost = table["stages"]["candidates"]
    network: UnitCost = table["network_search"]
    ms = own.of(images) if described else 0.0
    if not described or not near.embedder.sees_layout:
        ms += network.of(images)
    return ms + _hash_ms(recipe, images)


def _hash_ms(recipe: Recipe, images: float) -> float:
    """Return what an image's hashes cost to be compared with all others."""
    perceptual = recipe.curation.dedup.perceptual
    if not perceptual.enabled:
        return 0.0
    count = round(images)
    return HashTables.of(perceptual.distance, count, count).nanoseconds(count, count) / images / 1e6


def chance_pairs(recipe: Recipe, images: float) -> float:
    """Return how many hashes an image's own meets by chance, if hashes are random."""
    perceptual = recipe.curation.dedup.perceptual
    return ORIENTATIONS * images * ball(perceptual.distance) / 2**BITS if perceptual.enabled else 0.0
