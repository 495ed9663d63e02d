"""In what a recipe differs from DINOv2's published training, setting by setting, with the recipe's own reasons."""

from collections.abc import Iterator, Mapping
from typing import Any

from flows.recipe.recipe import Recipe
from training.params.published import IN_THE_CODE, PUBLISHED, Deviation

PARTS = ("model", "crops", "augment", "objective", "optim")
RESULT_STAYS = {"model.activation_checkpointing", "optim.bad_steps"}
UNSAID = "no reason is given: add it to the recipe's `deviations`"


def deviations(recipe: Recipe) -> list[Deviation]:
    """Return a row for each setting that differs, those of one reason together; then those of the code."""
    theirs, ours = (_leaves(params) for params in (PUBLISHED[recipe.compared_with], recipe.training))
    differing = {key: reason_of(key, recipe.deviations) for key in ours if ours[key] != theirs[key]}
    rows = [
        Deviation(key, _short(theirs[key]), _short(ours[key]), recipe.deviations.get(reason, UNSAID))
        for reason in dict.fromkeys(differing.values())
        for key in differing
        if differing[key] == reason and key not in RESULT_STAYS
    ]
    return [*rows, *IN_THE_CODE]


def reason_of(key: str, reasons: Mapping[str, str]) -> str:
    """Return the longest key with a reason that a setting falls under; empty where there is none."""
    fitting = [prefix for prefix in reasons if f"{key}.".startswith(f"{prefix}.")]
    return max(fitting, key=len, default="")


def _leaves(params: Any) -> dict[str, Any]:
    return {f"{part}.{name}": value for part in PARTS for name, value in _settings(getattr(params, part))}


def _settings(part: Any) -> Iterator[tuple[str, Any]]:
    for name, value in part.model_dump().items():
        if name != "size":  # width, depth and heads say it
            yield name, value


def _short(value: Any) -> str:
    if isinstance(value, tuple):
        return " to ".join(_short(one) for one in value)
    return f"{value:g}" if isinstance(value, float) else f"{value:,}" if type(value) is int else str(value)
