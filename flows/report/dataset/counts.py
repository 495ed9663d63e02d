"""Counts by reason and by source, as one table."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flows.report.kit import reason_text
from flows.report.kit.reason_text import Checks

SOURCES = 6
"""More sources than this are told together."""


def matrix(kept: pa.Table, dropped: pa.Table, reasons: list[str], checks: Checks) -> dict[str, Any]:
    """Return sources as columns; found, kept and each reason as rows."""
    counts = _counts(kept.append_column("reason", pa.nulls(kept.num_rows, pa.string())), dropped)
    sources = sorted({source for source, _ in counts}, key=lambda s: -sum(n for (o, _), n in counts.items() if o == s))
    shown, others = sources[:SOURCES], sources[SOURCES:]

    def row(wanted: list[str | None]) -> list[int]:
        cells = [sum(counts.get((source, reason), 0) for reason in wanted) for source in shown]
        rest = sum(counts.get((source, reason), 0) for source in others for reason in wanted)
        return [*cells, rest] if others else cells

    return {
        "sources": [*shown, f"{len(others)} others"] if others else shown,
        "found": row([None, *reasons]),
        "kept": row([None]),
        "reasons": [
            {
                "name": reason,
                "title": reason_text.title(reason),
                "meaning": reason_text.meaning(reason, checks),
                "group": reason_text.group(reason),
                "count": sum(row([reason])),
                "cells": row([reason]),
            }
            for reason in reasons
        ],
    }


def _counts(kept: pa.Table, dropped: pa.Table) -> dict[tuple[str, str | None], int]:
    columns = ["source", "reason"]
    plain = [
        pa.table({name: table[name].cast(pa.string()) for name in columns}) for table in (kept, dropped)
    ]  # dictionaries of different parts would be different keys
    both = pa.concat_tables(plain)
    both = both.set_column(0, "source", pc.fill_null(both["source"], "(unnamed)"))
    counted = both.group_by(columns).aggregate([([], "count_all")])
    names = zip(counted["source"].to_pylist(), counted["reason"].to_pylist(), strict=True)
    return dict(zip(names, counted["count_all"].to_pylist(), strict=True))
