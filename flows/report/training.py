"""What the page says of one training run: its curves, its facts and its pictures."""

import json
import re
from typing import Any

from curation.report.charts import Series, lines
from curation.report.thumbnails import data_uri
from flows.report.reading import column, facts, is_number, rows
from shared.storage import Store

CURVES: tuple[tuple[str, str, str], ...] = (
    ("Loss", r"(?:.*loss.*|dino.*|ibot.*|koleo.*)", "Lower is better, but only within one recipe."),
    ("Learning rate", r"(?:lr|learning_rate)", "Warm-up, then decay."),
    (
        "Effective rank",
        r".*effective_rank.*|.*rank_me.*",
        "Directions that the features use; one that falls to 1 is a collapse.",
    ),
    ("k-NN while training", r".*knn.*", "Share of held-out images whose nearest neighbours name the right class."),
    ("Gradient norm", r".*grad.*norm.*", "A spike is a step worth a look."),
    ("Images per second", r"(?:images_per_second|images/s|throughput)", "Speed; dips are checkpoints or slow storage."),
    ("Waiting for data", r".*data_wait.*", "Share of the time; near 0 is good."),
)
"""Title, which keys belong to it, and how to read it."""
FROM_ZERO = ("Learning rate", "Waiting for data")
LINES = 6
PICTURES = 4
PICTURE_SIDE, PICTURE_BYTES = 1000, 160_000


def training(workspace: Store, run: str) -> dict[str, Any]:
    """Return everything that the page shows of a run."""
    store = workspace.sub("runs", run)
    table = rows(store, "metrics.jsonl")
    result, config = facts(store, "pretrain.json"), facts(store, "config.json")
    last = table[-1] if table else {}
    return {
        "name": run,
        "steps": int(last["step"]) if is_number(last.get("step")) else None,
        "facts": {key: value for key, value in result.items() if is_number(value) or isinstance(value, str | bool)},
        "finished": bool(result),
        "last": {key: value for key, value in last.items() if is_number(value)},
        "curves": list(_curves(table)),
        "pictures": _pictures(store),
        "config": json.dumps(config, indent=2, ensure_ascii=False) if config else "",
    }


def _curves(table: list[dict[str, Any]]) -> list[dict[str, Any]]:
    keys = dict.fromkeys(key for row in table for key in row if key != "step")
    shown = []
    for title, pattern, hint in CURVES:
        named = [key for key in keys if re.fullmatch(pattern, key, re.IGNORECASE)][:LINES]
        series = [Series(key, *column(table, key)) for key in named]
        chart = lines(series, x_name="step", title=title, zero=title in FROM_ZERO)
        if chart:
            shown.append({"title": title, "hint": hint, "chart": chart})
    return shown


def _pictures(store: Store) -> list[dict[str, Any]]:
    """Return the run's own pictures, `views.png` (what the crops look like) first."""
    names = sorted((name for name in store.names("") if name.endswith(".png")), key=lambda name: name != "views.png")
    found = []
    for name in names[:PICTURES]:
        picture = data_uri(store.read(name), PICTURE_SIDE, PICTURE_BYTES)
        if picture:
            found.append({"name": name.removesuffix(".png"), "picture": picture})
    return found
