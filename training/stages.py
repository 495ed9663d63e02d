"""The two training stages: `dinoflow pretrain` and `dinoflow evaluate`. Imports fast: torch comes inside."""

from pathlib import Path
from typing import Any

from shared.params import Compute
from shared.published import Published
from shared.stage import stage
from training import runs
from training.best import best
from training.evals.params import EvaluateParams
from training.params import PretrainParams


@stage(shape="gang", key="training", version=3)
def pretrain(
    dataset: Published, *, params: PretrainParams, compute: Compute, workspace: Path, run: str
) -> dict[str, Any]:
    """Pre-train a vision transformer on a published dataset, without labels (DINOv2)."""
    folder = runs.RunFolder(workspace / "runs" / run)
    folder.check_same(params, dataset)
    done = folder.summary()
    if done is not None:
        return {**done, "checkpoints": folder.steps()}
    from training.pretraining import pretrain as work

    return work(dataset, params, compute, folder)


@stage(shape="gang", key="evaluation", version=2)
def evaluate(
    dataset: Published, *, params: EvaluateParams, compute: Compute, workspace: Path, run: str
) -> dict[str, Any]:
    """Score every checkpoint of a run that has no score yet: k-NN, linear probe, effective rank and more."""
    folder = runs.RunFolder(workspace / "runs" / run)
    scores = runs.ScoreFolder(workspace, run, runs.score_fingerprint(evaluate.version, params, dataset))
    trained = folder.params()
    missing = [step for step in folder.steps() if not scores.has(step)]
    if missing:
        from training.evaluation import evaluate as work

        work(dataset, params, compute, folder, scores, trained, missing)
    scored = [step for step in missing if scores.has(step)]
    return {"run": run, "scored": scored, "scores": scores.all(), "best": best(folder)}
