"""Scores models: the checkpoints of a run beside the same model untrained, or any models that a person names.

Both stand beside raw pixels. The teacher of a checkpoint is scored. What a set has no truth for is left out, and said.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from shared.params import Compute
from shared.published import Published
from training.device import joined
from training.evals.judging import PIXELS, Judged, judged
from training.evals.params import EvaluateParams
from training.evals.seen import Score
from training.frozen import open_model, vit
from training.params import PretrainParams
from training.pretraining import initial_student
from training.runs import RunFolder, ScoreFolder, told
from training.sets import DatasetSet
from training.weights import Weights

UNTRAINED = "random_init"


def evaluate(
    dataset: Published,
    params: EvaluateParams,
    compute: Compute,
    folder: RunFolder,
    scores: ScoreFolder,
    trained: PretrainParams,
    steps: list[int],
) -> None:
    """Score the checkpoints of these steps and write a file for each. Raises RecipeError for a wrong size."""
    with joined(compute) as place:
        models = {str(step): open_model(f"{folder.path}@{step}", place.device) for step in steps}
        baselines = [UNTRAINED, PIXELS] if params.baselines else []
        if params.baselines:
            models[UNTRAINED] = vit(_untrained(trained), place.device)
        sets = [one.opened(dataset) for one in params.sets]
        found = list(judged(models, sets, params, place, compute, trained.seed))
        own = [one.kind == DatasetSet().kind for one in params.sets]
        by_model = {name: _named(name, found, own) for name in (*models, *baselines)}
        note = " · ".join(dict.fromkeys(note for one in found for note in one.notes)) or None
        for step in steps if place.leads else []:
            facts = {
                "dataset": f"{dataset.name} {dataset.version}",
                "scores": by_model[str(step)],
                "baselines": {name: by_model[name] for name in baselines},
                "note": note,
            }
            scores.write(step, facts)
            line = " · ".join(f"{told(score)} {score['value']:.3f}" for score in by_model[str(step)])
            print(f"evaluated step {step} · {line}" + (f" · {note}" if note else ""), flush=True)


def evaluate_models(
    specs: Mapping[str, str], params: EvaluateParams, compute: Compute, dataset: Published | None
) -> dict[str, Any]:
    """Return what models (name in tables → what `open_model` takes) are, and their scores on the sets of the params.

    Raises RecipeError or WorkspaceError naming the model or the set that cannot be used.
    """
    with joined(compute) as place:
        sets = [one.opened(dataset) for one in params.sets]
        models = {name: open_model(spec, place.device) for name, spec in specs.items()}
        rows: list[dict[str, Any]] = []
        left_out = []
        for one in judged(models, sets, params, place, compute):
            rows += [
                {"model": name, "set": one.set, **score} for name, scores in one.scores.items() for score in scores
            ]
            left_out += [{"set": one.set, "note": note} for note in one.notes]
    about = [
        {
            "model": name,
            "opened": specs[name],
            "content": model.content,
            "patch_size": model.patch_size,
            "width": model.width,
            "depth": model.depth,
        }
        for name, model in models.items()
    ]
    return {"models": about, "results": rows, "left_out": left_out}


def _untrained(trained: PretrainParams) -> Weights:
    size = trained.crops.large_size
    return Weights(UNTRAINED, trained.model, size, initial_student(trained).backbone.vit.state_dict())


def _named(model: str, found: Sequence[Judged], own: Sequence[bool]) -> list[Score]:
    """Return the model's scores; those on another set than the published dataset say which."""
    return [
        score if is_own else {**score, "set": one.set}
        for one, is_own in zip(found, own, strict=True)
        for score in one.scores[model]
    ]
