"""What the page says of one training run: its curves, its facts and its pictures."""

import json
from typing import Any

from flows.report.kit.thumbnails import data_uri
from flows.report.run import curves
from flows.report.run.read import facts, is_number, rows
from shared.storage import Store

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
        "page": f"runs/{run}/report.html" if store.exists("report.html") else None,
        "steps": int(last["step"]) if is_number(last.get("step")) else None,
        "facts": {key: value for key, value in result.items() if is_number(value) or isinstance(value, str | bool)},
        "finished": bool(result),
        "last": {key: value for key, value in last.items() if is_number(value)},
        "curves": curves.draw(table, curves.SHORT),
        "pictures": pictures(store),
        "config": json.dumps(config, indent=2, ensure_ascii=False) if config else "",
    }


def pictures(store: Store) -> list[dict[str, Any]]:
    """Return the run's own pictures, `views.png` (what the crops look like) first."""
    names = sorted((name for name in store.names("") if name.endswith(".png")), key=lambda name: name != "views.png")
    shown = []
    for name in names[:PICTURES]:
        picture = data_uri(store.read(name), PICTURE_SIDE, PICTURE_BYTES)
        if picture:
            shown.append({"name": name.removesuffix(".png"), "picture": picture})
    return shown
