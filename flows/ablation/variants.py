"""From `--vary KEY=VALUE,VALUE…` to variants of a recipe: one change at a time, or every combination."""

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple

from pydantic import BaseModel

from flows.recipe.recipe import Recipe
from shared.errors import RecipeError

BASELINE = "baseline"
MAY_VARY = (
    "curation.quality",
    "curation.dedup",
    "curation.decontaminate",
    "curation.balance",
    "training",
)
"""Sources and layout are common to all variants, and evaluation judges them alike."""
PERCEPTUAL, NEAR = "curation.dedup.perceptual", "curation.dedup.near"
SWITCHES: dict[str, dict[str, tuple[str, ...]]] = {
    "curation.quality": {"off": ("curation.quality.rules=[]",), "on": ("curation.quality.rules=default",)},
    "curation.dedup": {
        "off": (f"{PERCEPTUAL}.enabled=false", f"{NEAR}.enabled=false"),
        "on": (f"{PERCEPTUAL}.enabled=true", f"{NEAR}.enabled=true"),
    },
    PERCEPTUAL: {"off": (f"{PERCEPTUAL}.enabled=false",), "on": (f"{PERCEPTUAL}.enabled=true",)},
    NEAR: {"off": (f"{NEAR}.enabled=false",), "on": (f"{NEAR}.enabled=true",)},
    "curation.balance": {"off": ("curation.balance.enabled=false",), "on": ("curation.balance.enabled=true",)},
}
"""What off and on mean. Images of equal bytes or pixels are always found as copies."""
COSTS = (
    "training.model",
    "training.crops",
    "training.optim.steps",
    "training.optim.batch_size",
    "training.objective",
)
"""A variant that changes one of these does not cost the same."""

Load = Callable[[Sequence[str]], Recipe]
"""Settings → the recipe with these on top."""


@dataclass(frozen=True)
class Variant:
    """A recipe, and what sets it apart from the baseline."""

    name: str
    settings: tuple[str, ...]
    recipe: Recipe

    @property
    def equal_compute(self) -> bool:
        """Whether its trainings cost what the baseline's do."""
        return not any(setting.startswith(COSTS) for setting in self.settings)


class Change(NamedTuple):
    """One value of one key, as it was asked for."""

    key: str
    value: str

    @property
    def name(self) -> str:
        """The change without what all keys share."""
        return f"{self.key.removeprefix('curation.').removeprefix('training.')}={self.value}"

    def settings(self) -> Iterator[str]:
        """Give what it sets in a recipe."""
        for setting in SWITCHES.get(self.key, {}).get(self.value, (f"{self.key}={self.value}",)):
            key, _, value = setting.partition("=")
            yield f"{key}={_default(key)}" if value == "default" else setting


def variants(load: Load, vary: Sequence[str], grid: bool) -> list[Variant]:
    """Return the baseline and its variants, no recipe twice. Raises RecipeError for a key or value that cannot be."""
    factors = [changes(text) for text in vary]
    if not factors:
        raise RecipeError("ablate needs something to vary, got no --vary. Example: --vary curation.dedup.near=off")
    chosen: list[tuple[Change, ...]] = [(change,) for factor in factors for change in factor]
    for (change,) in chosen:
        load(tuple(change.settings()))  # each alone, so that an error names it
    if grid:
        picks = itertools.product(*([None, *factor] for factor in factors))
        chosen = [tuple(change for change in pick if change) for pick in picks]
    different = [Variant(BASELINE, (), load(()))]
    for combination in chosen:
        settings = tuple(setting for change in combination for setting in change.settings())
        recipe = load(settings)
        if all(recipe != other.recipe for other in different):
            different.append(Variant(", ".join(change.name for change in combination), settings, recipe))
    if len(different) == 1:
        raise RecipeError(
            f"ablate needs a variant that differs from the recipe, got only its own values: {', '.join(vary)}. "
            "Name another value."
        )
    return different


def changes(text: str) -> list[Change]:
    """Read one `KEY=VALUE,VALUE…`."""
    key, _, values = (part.strip() for part in text.partition("="))
    if not key or not values:
        raise RecipeError(f"--vary needs KEY=VALUE,VALUE…, got {text!r}. Example: --vary {NEAR}.threshold=0.8,0.9")
    if not any(key == group or key.startswith(f"{group}.") for group in MAY_VARY) or key == "training.seed":
        raise RecipeError(
            f"--vary {key}: this cannot vary. What can: keys below {', '.join(MAY_VARY)}; the seed by --seeds."
        )
    return [Change(key, value) for value in split(values)]


def split(text: str) -> list[str]:
    """Split at the commas that stand outside brackets and quotes."""
    pieces, depth, quote = [""], 0, ""
    for letter in text:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        depth += (letter in "[{(") - (letter in ")}]") if not quote else 0
        if letter == "," and depth == 0 and not quote:
            pieces.append("")
        else:
            pieces[-1] += letter
    if depth or quote or not all(piece.strip() for piece in pieces):
        raise RecipeError(f"--vary: the values {text!r} have an open bracket or quote, or an empty place.")
    return list(dict.fromkeys(piece.strip() for piece in pieces))


def _default(key: str) -> str:
    """Return dinoflow's own value of a key as YAML; of an unknown key the word, so that loading says what is wrong."""
    try:
        value: Any = attrgetter(key)(Recipe())
    except AttributeError:
        return "default"
    return json.dumps(_plain(value))


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value
