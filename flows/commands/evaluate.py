"""`dinoflow evaluate --model … --data …`: models side by side, as a table and as a file."""

import json
from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from flows.commands.console import Console
from flows.commands.pipeline import console_for, open_workspace
from flows.recipe.errors import explain
from flows.recipe.recipe import load_recipe
from shared.dataset_version import open_version
from shared.errors import RecipeError
from shared.params import fingerprint
from training.eval.params import EvaluateParams
from training.eval.protocols import DEFAULT_EVALUATIONS
from training.eval.protocols.copy_detection import CopyDetection
from training.eval.protocols.linear_segmentation import LinearSegmentation
from training.eval.sets import DatasetSet
from training.eval.sets.detect import set_at
from training.runs.scores import MODELS, title

if TYPE_CHECKING:
    from flows.recipe.options import Options

WHATEVER_THE_SETS_TELL = (*DEFAULT_EVALUATIONS, CopyDetection(), LinearSegmentation())
"""What is measured where the recipe leaves it at its default; what a set has no truth for is left out."""
WIDEST = 28
"""Letters of a model's name in the table."""


def evaluate_models(
    recipe: str | None, models: Sequence[str], data: Sequence[str], options: "Options"
) -> dict[str, Any]:
    """Score the models on the sets, print one table, write one file.

    The recipe says how, by its `evaluation`; without one each model is judged at its own size.
    """
    if not models:
        raise RecipeError("`dinoflow evaluate --data` needs a model to score, got none. Name one with --model.")
    loaded = load_recipe(recipe or "", settings=options.settings, name=options.name)
    params = loaded.evaluation
    if data:
        params = params.model_copy(update={"sets": tuple(_set(text) for text in data)})
    if params.evaluations == DEFAULT_EVALUATIONS:
        params = params.model_copy(update={"evaluations": WHATEVER_THE_SETS_TELL})
    store, console = open_workspace(options.workspace), console_for(options)
    wants_dataset = any(one.kind == DatasetSet().kind for one in params.sets)
    dataset = open_version(store, loaded.name) if wants_dataset else None
    from training.eval.evaluate import evaluate_models as work

    facts = work(_names(models), params, loaded.compute, dataset, console.progress)
    contents = [one.content() for one in params.sets]
    key = fingerprint([model["content"] for model in facts["models"]], params.identity(), contents)
    facts = {**facts, "params": params.model_dump(mode="json"), "sets": contents}
    store.write(f"{MODELS}/{key}.json", json.dumps(facts, indent=1))
    _tell(console, facts)
    path = store.place(MODELS, f"{key}.json")
    console.say(f"scores and protocols  {path}")
    return {**facts, "path": path}


def _set(text: str) -> Any:
    """Return the set that a path or a mapping means. Raises RecipeError as a recipe does."""
    try:
        value = yaml.safe_load(text) if text.lstrip().startswith("{") else set_at(text)
        (one,) = EvaluateParams.model_validate({"sets": [value]}).sets
    except (ValidationError, yaml.YAMLError) as error:
        why = explain(error, EvaluateParams) if isinstance(error, ValidationError) else str(error)
        raise RecipeError(f"--data {text}: {why}") from None
    return one


def _names(specs: Sequence[str]) -> dict[str, str]:
    """Return what tables call each model: the end of its path, or all of what was given where two end alike."""
    given = list(dict.fromkeys(specs))
    names = {_short(spec): spec for spec in given}
    return names if len(names) == len(given) else {spec: spec for spec in given}


def _short(spec: str) -> str:
    name, _, file = spec.partition("=")
    return name if file and "/" not in name else PurePath(spec).name.removesuffix(".safetensors").removesuffix(".pth")


def _tell(console: Console, facts: dict[str, Any]) -> None:
    rows = facts["results"]
    models = list(dict.fromkeys(row["model"] for row in rows))
    heads = [f"  {name if len(name) <= WIDEST else '…' + name[1 - WIDEST :]:>9}" for name in models]
    values = {(row["set"], title(row), row["model"]): f"{row['value']:.3f}" for row in rows}
    for one in dict.fromkeys(row["set"] for row in rows):
        console.say(f"\n{one:<26}{''.join(heads)}")
        for name in dict.fromkeys(title(row) for row in rows if row["set"] == one):
            cells = [values.get((one, name, model), "–") for model in models]
            aligned = (f"{cell:>{len(head)}}" for cell, head in zip(cells, heads, strict=True))
            console.say(f"  {name:<24}{''.join(aligned)}")
    console.say()
    for name, protocol in {row["model"]: row["protocol"] for row in rows}.items():
        positions = f", positions {protocol['positions']}" if "positions" in protocol else ""
        console.say(f"{name}: images of {protocol['image_size']} pixels{positions}")
    for one in dict.fromkeys(lack["set"] for lack in facts["left_out"]):
        notes = [lack["note"] for lack in facts["left_out"] if lack["set"] == one]
        console.say(f"{one}: {' · '.join(notes)}")
