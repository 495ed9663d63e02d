"""The two training stages: `dinoflow pretrain` and `dinoflow evaluate`. Imports fast: torch comes inside."""

from pathlib import Path
from typing import Any

from shared.dataset_version import Published
from shared.errors import RecipeError, WorkFailedError, WorkspaceError
from shared.params import Compute
from shared.stage import stage
from training.eval.params import EvaluateParams, score_fingerprint
from training.params import PretrainParams
from training.runs.best import best, mark_best
from training.runs.run_folder import RunFolder
from training.runs.scores import ScoreFolder


def content_of_weights(params: PretrainParams) -> dict[str, str]:
    """Return the content of the weights that a run takes from elsewhere: it names the run, wherever they lie."""
    if not params.weights_named:
        return {}
    from training.weights.content import contents

    return contents(params)


def _contents(params: PretrainParams, folder: RunFolder) -> dict[str, str]:
    """Return the content of the weights; where they cannot be read, what the run remembers of them."""
    try:
        return content_of_weights(params)
    except (WorkspaceError, RecipeError):
        recorded = folder.contents(params)
        if recorded is None:
            raise
        return recorded


@stage(shape="gang", key="training", version=4, content=content_of_weights)
def pretrain(
    dataset: Published, *, params: PretrainParams, compute: Compute, workspace: Path, run: str
) -> dict[str, Any]:
    """Pre-train a vision transformer on a published dataset, without labels (DINOv2)."""
    folder = RunFolder.of(workspace, run, dataset.workspace)
    contents = _contents(params, folder)
    folder.check_same(params, dataset, contents)
    done = folder.summary()
    if done is not None and folder.config() is not None:
        return {**done, "checkpoints": folder.steps()}
    from training.loop.pretrain import pretrain as work

    return work(dataset, params, compute, folder, contents)


@stage(shape="gang", key="evaluation", version=4)
def evaluate(
    dataset: Published, *, params: EvaluateParams, compute: Compute, workspace: Path, run: str
) -> dict[str, Any]:
    """Score every checkpoint of a run that has no score yet: k-NN, linear probe, effective rank and more."""
    folder = RunFolder.of(workspace, run, dataset.workspace)
    scores = ScoreFolder(workspace, run, score_fingerprint(evaluate.version, params, dataset))
    trained = folder.params()
    missing = [step for step in folder.steps() if not scores.has(step)]
    if missing:
        from training.eval.evaluate import evaluate as work

        work(dataset, params, compute, folder, scores, trained, missing)
    if best(folder) is None:
        mark_best(folder, scores)
    scored = [step for step in missing if scores.has(step)]
    unread = [folder.checkpoint(step) for step in missing if folder.checkpoint(step).exists()]
    if unread and not scores.all():
        raise WorkFailedError(
            f"Evaluation needs an undamaged checkpoint, got {unread[-1]} and no other that could be read. "
            "Delete it and run `dinoflow pretrain` again: it goes on from the last good one."
        )
    return {"run": run, "scored": scored, "scores": scores.all(), "best": best(folder)}
