"""Scores models: the checkpoints of a run beside the same model untrained, or any models that a person names.

Both stand beside raw pixels. The teacher of a checkpoint is scored. What a set has no truth for is left out, and said.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from shared.dataset_version import Published
from shared.errors import WorkFailedError, WorkspaceError
from shared.launch.progress import OnProgress, emit, silent
from shared.params import Compute
from training.distributed import joined
from training.eval.backbone import open_model, vit
from training.eval.inputs import ScoreRow
from training.eval.params import EvaluateParams
from training.eval.score_model import SetScores, read_by, score_models
from training.eval.sets import DatasetSet
from training.eval.visualize.make_snapshots import make_snapshots
from training.model.student_teacher import initial_student
from training.params import PretrainParams
from training.runs.best import mark_best
from training.runs.checkpoint import GoneError
from training.runs.run_folder import RunFolder
from training.runs.scores import PIXELS, UNTRAINED, ScoreFolder, score_label
from training.weights import Weights
from training.weights.run import from_run


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
        weights = {str(step): teacher for step in steps if (teacher := _teacher(folder, step, place.leads))}
        if not weights:
            return
        baselines = scores.baselines() if params.baselines else {}
        params = params.model_copy(update={"baselines": params.baselines and not baselines})
        if params.baselines:
            weights[UNTRAINED] = _untrained(trained)
        weights = {name: one.resampled_by(params.positions) for name, one in weights.items()}
        models = {name: vit(one, place.device) for name, one in weights.items()}
        sets = [one.opened(dataset) for one in params.sets]
        readings = {name: read_by(params, model) for name, model in models.items()}
        by_set = list(
            score_models(readings, sets, params, place, compute, trained.seed, emit if place.leads else silent)
        )
        own = [one.kind == DatasetSet().kind for one in params.sets]
        baselines = baselines or {name: _named(name, by_set, own) for name in (UNTRAINED, PIXELS) if params.baselines}
        note = " · ".join(dict.fromkeys(note for one in by_set for note in one.notes)) or None
        for step in steps if place.leads else []:
            if str(step) not in weights:
                continue
            step_scores = _named(str(step), by_set, own)
            title = f"{dataset.name} {dataset.version}"
            scores.write(step, {"dataset": title, "scores": step_scores, "baselines": baselines, "note": note})
            line = " · ".join(f"{score_label(score)} {score['value']:.3f}" for score in step_scores)
            print(f"evaluated step {step} · {line}" + (f" · {note}" if note else ""), flush=True)
        if place.leads:
            mark_best(folder, scores)
        if params.pictures:
            make_snapshots(dataset, weights, readings, params, place, compute, folder, trained.seed)


def evaluate_models(
    specs: Mapping[str, str],
    params: EvaluateParams,
    compute: Compute,
    dataset: Published | None,
    report: OnProgress = silent,
) -> dict[str, Any]:
    """Return what models (name in tables → what `open_model` takes) are, and their scores on the sets of the params.

    Raises RecipeError or WorkspaceError naming the model or the set that cannot be used.
    """
    with joined(compute) as place:
        sets = [one.opened(dataset) for one in params.sets]
        models = {name: open_model(spec, place.device, params.positions) for name, spec in specs.items()}
        rows: list[dict[str, Any]] = []
        left_out = []
        readings = {name: read_by(params, model) for name, model in models.items()}
        for one in score_models(readings, sets, params, place, compute, report=report):
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


def _teacher(folder: RunFolder, step: int, leads: bool) -> Weights | None:
    """Return a checkpoint's teacher, or None where it is damaged, or training has dropped it meanwhile; say which."""
    file = folder.state(step)
    try:
        weights = from_run(folder.path, step)
        if folder.home:
            file.unlink()  # what was brought for this alone
        return weights
    except (GoneError, WorkspaceError):
        why = "is gone: training has dropped its checkpoint"
    except WorkFailedError as damage:
        why = f"is left out: {damage}"
    if leads:
        print(f"step {step} {why}", flush=True)
    return None


def _untrained(trained: PretrainParams) -> Weights:
    size = trained.crops.global_size
    return Weights(UNTRAINED, trained.model, size, initial_student(trained).backbone.vit.state_dict())


def _named(model: str, by_set: Sequence[SetScores], own: Sequence[bool]) -> list[ScoreRow]:
    """Return the model's scores; those on another set than the published dataset say which."""
    return [
        score if is_own else {**score, "set": one.set}
        for one, is_own in zip(by_set, own, strict=True)
        for score in one.scores[model]
    ]
