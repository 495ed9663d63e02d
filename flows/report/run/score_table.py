"""The scores of a run as a small table: the last checkpoint beside the baselines."""

from typing import Any

from shared.storage import Store
from shared.storage.checked_json import read_facts
from training.runs.scores import score_label


def scored_checkpoints(store: Store, run: str) -> list[dict[str, Any]]:
    """Return what each scored checkpoint of a run got, by step."""
    folder = f"evaluations/{run}"
    checkpoints = [read_facts(store, f"{folder}/{name}") for name in store.names(folder)]
    return sorted(checkpoints, key=lambda scored: int(scored["step"]))


def last_scores(store: Store, run: str) -> dict[str, dict[str, float]]:
    """Return, for each `evaluation metric`, the value of the last checkpoint and of each baseline."""
    scored = scored_checkpoints(store, run)
    if not scored:
        return {}
    last = scored[-1]
    columns = {"trained": last["scores"], **last["baselines"]}
    titles = dict.fromkeys(score_label(score) for scores in columns.values() for score in scores)
    return {
        name: {who: score["value"] for who, scores in columns.items() for score in scores if score_label(score) == name}
        for name in titles
    }
