"""A run among others: the best row of every run and every other model that was scored on the same dataset."""

from typing import Any

from flows.report.scores import Evaluated

MOST = 30


def compared(everything: list[Evaluated], run: str) -> list[dict[str, Any]]:
    """Return a table for each dataset that the run was scored on: its columns, and one row for each run or model."""
    tables = []
    for dataset in dict.fromkeys(one.dataset for one in everything if one.run == run):
        newest = {one.run: one for one in everything if one.dataset == dataset}
        columns = list(dict.fromkeys(key for one in newest.values() for key in one.scores))
        told: list[tuple[str, int | None, dict[str, float]]] = []
        told += [(one.run, one.step, one.scores) for one in list(newest.values())[:MOST]]
        told += [(name, None, values) for name, values in newest[run].baselines.items()]
        highest = [max((scores[key] for _, _, scores in told if key in scores), default=None) for key in columns]
        rows = [
            {"name": name, "step": step, "mine": name == run, "values": [scores.get(key) for key in columns]}
            for name, step, scores in sorted(told, key=lambda row: -row[2].get(columns[0], -1.0))
        ]
        tables.append({"dataset": dataset, "columns": columns, "rows": rows, "highest": highest})
    return tables
