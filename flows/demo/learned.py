"""Whether the demo's model learned: its k-NN beside what can be had without learning, with what chance allows."""

from math import sqrt
from typing import Any

from flows.report.run.score_table import scored_checkpoints
from shared.storage import Store
from training.runs.best import KNN
from training.runs.scores import PIXELS, UNTRAINED, measured, score_label

NAMES = {UNTRAINED: "the untrained model", PIXELS: "raw pixels"}
SURE = 2.0
"""Standard errors of the difference of two shares."""


def learned(store: Store, run: str) -> str:
    """Return "yes" and why, where the last checkpoint is above every baseline by more than two standard errors."""
    last = scored_checkpoints(store, run)[-1]
    scores = {who: _by_label(scores) for who, scores in {"trained": last["scores"], **last["baselines"]}.items()}
    name = measured(KNN, scores["trained"])
    if name is None:
        return f"not known: {KNN} was not measured."
    value, count = scores["trained"][name]["value"], scores["trained"][name]["protocol"]["queries"]
    sentences, sure = [], True
    for who, of in scores.items():
        if who == "trained":
            continue
        bar = of[name]["value"]
        error = sqrt((value * (1 - value) + bar * (1 - bar)) / count)
        errors = (value - bar) / error if error else 0.0
        sure = sure and errors > SURE
        sentences.append(f"{NAMES.get(who, who)} {bar:.3f} ({errors:+.1f} standard errors)")
    against = ", ".join(sentences)
    return f"{'yes' if sure else 'not clearly'}: k-NN {value:.3f} on {count:,} pictures that it never saw; {against}."


def _by_label(scores: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {score_label(score): score for score in scores}
