"""What a report shows beside the published tables: a sample of all measurements, bytes, pairs, sets, clusters."""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.publish.lineage import Lineage
from flows.report.dataset.look_alikes import VERDICT
from flows.report.dataset.samples import SIGNAL_ROWS
from shared.catalog import SIGNALS, VERIFIED

PAIR = [name for name in VERIFIED.columns if name in ("uri", "other_uri", "set", "score", VERDICT)]
MEASURED = ["width", "height", *SIGNALS]


@dataclass(frozen=True)
class Evidence:
    """Tables from the stage cache; each is None, or empty, when that was deleted."""

    measured: pa.Table | None = None
    """`reason` (null = kept), width, height and signals of a sample of all decodable images."""
    weight: float = 1.0
    """So many images stand behind each row of the sample."""
    sizes: dict[str | None, int] = field(default_factory=dict)
    """Bytes of all images, by the reason for which they were dropped (null = kept)."""
    pairs: pa.Table | None = None
    """Pairs of the corpus whose pixels were compared: uri, other_uri, score, verdict."""
    sets: dict[str, str] = field(default_factory=dict)
    """Uri of an evaluation image → its set."""
    clusters: pa.Table | None = None
    """`before` and `after`, the images of each cluster, largest first."""


def read_evidence(lineage: Lineage) -> Evidence:
    """Read what the stage cache still has."""
    measured, weight, sizes = _measured(lineage)
    return Evidence(measured, weight, sizes, _pairs(lineage), _sets(lineage), _clusters(lineage))


def _measured(lineage: Lineage) -> tuple[pa.Table | None, float, dict[str | None, int]]:
    tables = lineage.measured()
    if tables is None:
        return None, 1.0, {}
    measurements, decisions = tables
    share = min(1.0, SIGNAL_ROWS / max(1, measurements.output.rows))
    sampled: list[pa.Table] = []
    sizes: Counter[str | None] = Counter()
    parts = zip(measurements.tables([*MEASURED, "bytes", "error"]), decisions.tables(["reason"]), strict=True)
    for number, (measured, decided) in enumerate(parts):
        part = measured.append_column("reason", decided["reason"].cast(pa.string()))
        sizes.update(_sum_bytes(part))
        good = part.filter(pc.is_null(part["error"])).select(["reason", *MEASURED])
        rows = np.random.default_rng(number).permutation(good.num_rows)[: int(np.ceil(good.num_rows * share))]
        sampled.append(good.take(np.sort(rows)))
    table = pa.concat_tables(sampled) if sampled else None
    decodable = measurements.output.rows - decisions.output.reasons.get("unreadable", 0)
    return table, decodable / max(1, table.num_rows if table else 1), dict(sizes)


def _sum_bytes(part: pa.Table) -> dict[str | None, int]:
    sums = part.select(["reason", "bytes"]).group_by("reason").aggregate([("bytes", "sum")])
    return dict(zip(sums["reason"].to_pylist(), (n or 0 for n in sums["bytes_sum"].to_pylist()), strict=True))


def _pairs(lineage: Lineage) -> pa.Table | None:
    verified = lineage.rows("verify")
    if verified is None or not verified.output.parts:
        return None
    pairs = pa.concat_tables(verified.tables(PAIR)).unify_dictionaries()
    return pairs.filter(pc.is_null(pairs["set"])).drop_columns("set")


def _sets(lineage: Lineage) -> dict[str, str]:
    references = lineage.rows("references")
    set_of: dict[str, str] = {}
    for part in references.tables(["uri", "source"]) if references else ():
        set_of |= zip(part["uri"].to_pylist(), part["source"].cast(pa.string()).to_pylist(), strict=True)
    return set_of


def _clusters(lineage: Lineage) -> pa.Table | None:
    samples = lineage.rows("balance")
    if samples is None or not samples.output.parts:
        return None
    rows = pa.concat_tables(samples.tables(["cluster", "sampled"]))
    rows = rows.set_column(1, "sampled", rows["sampled"].cast(pa.int64()))
    counted = rows.group_by("cluster").aggregate([("sampled", "count"), ("sampled", "sum")])
    renamed = pa.table({"before": counted["sampled_count"], "after": counted["sampled_sum"]})
    return renamed.sort_by([("before", "descending"), ("after", "descending")])
