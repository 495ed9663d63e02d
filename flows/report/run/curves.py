"""The curves of a run: which keys of metrics.jsonl belong together, and how to read them."""

import re
from typing import Any, NamedTuple

from flows.report.kit.charts import Series, lines
from flows.report.run.read import column

LINES = 6


class Curve(NamedTuple):
    """One chart: the keys that match are its lines."""

    title: str
    keys: str
    hint: str
    zero: bool = False
    """Whether the axis starts at 0."""
    left_out: float | None = None
    """A line that has this value throughout says nothing, and is not drawn."""


LOSS = Curve("Loss", r".*loss.*|dino.*|ibot.*|koleo.*", "Lower is better, but only within one recipe.", left_out=0)
RATE = Curve("Learning rate", r"lr|learning_rate", "Warm-up, then decay.", zero=True)
RANK = Curve(
    "Effective rank",
    r".*effective_rank.*|.*rank_me.*",
    "Directions that the features use; one that falls to 1 is a collapse.",
)
KNN = Curve(
    "k-NN while training",
    r"(?!knn_queries$).*knn.*",
    "Share of held-out images whose nearest neighbours name the right class.",
)
NORM = Curve("Gradient norm", r".*grad.*norm.*", "A spike is a step worth a look.")
SPEED = Curve(
    "Images per second", r"images_per_second|images/s|throughput", "Speed; dips are checkpoints or slow storage."
)
WAIT = Curve("Waiting for data", r".*data_wait.*", "Share of the time; near 0 is good.", zero=True)
MOMENTUM = Curve("Teacher's momentum", r"momentum", "Share of itself that the teacher keeps in a step.")
DECAY = Curve("Weight decay", r"weight_decay", "Rises over the run where the recipe says so.", zero=True)
TEMPERATURE = Curve("Teacher's temperature", r"teacher_temperature", "Low = sharp targets.", zero=True)
ENTROPY = Curve(
    "Prototype entropy",
    r"(?:prototype|target)_entropy",
    "Of the mean target, in nats: near 0 = all images in one class. Of single targets: near it = no signal.",
)
MFU = Curve(
    "Use of the hardware", r"mfu", "Model FLOPs utilisation: share of the device's peak that training uses.", True
)

SHORT = (LOSS, RATE, RANK, KNN, NORM, SPEED, WAIT)
"""What a workspace's page shows of each run."""
SCHEDULES = (RATE, DECAY, MOMENTUM, TEMPERATURE)
HEALTH = (LOSS, RANK, ENTROPY, NORM, SPEED, WAIT, MFU)


def draw(table: list[dict[str, Any]], curves: tuple[Curve, ...]) -> list[dict[str, Any]]:
    """Return title, hint and chart of every curve that has a number in the table."""
    keys = dict.fromkeys(key for row in table for key in row if key != "step")
    shown = []
    for curve in curves:
        named = [key for key in keys if re.fullmatch(curve.keys, key, re.IGNORECASE)][:LINES]
        series = [Series(key, *column(table, key)) for key in named]
        series = [line for line in series if any(value != curve.left_out for value in line.y)]
        chart = lines(series, x_name="step", title=curve.title, zero=curve.zero)
        if chart:
            shown.append({"title": curve.title, "hint": curve.hint, "chart": chart})
    return shown
