"""Alarms that speak while a run still costs little: what was seen, over which steps, what it means, what to try.

They read what metrics.jsonl records and nothing else, so a resumed run remembers them by reading it again. Each kind
speaks once. In self-supervised runs the loss tells little: a loss that falls to nothing is a collapse, and one that
rises while k-NN rises is health. Thresholds lie well below what healthy runs did: their effective rank never fell
below 0.75 of its maximum, nor the entropy of their mean target below 0.6 of what the batch allows.
"""

import math
from collections import deque
from collections.abc import Callable, Mapping
from itertools import pairwise
from statistics import NormalDist, fmean, median
from typing import Any

from training.params.resolved import ResolvedParams

WINDOW = 50
"""Steps that a judgement is about."""
RANKS = 5
"""Measurements of the effective rank that a judgement is about."""
PATIENCE = 100
"""Steps in which a run may look like a failing one; at least half of its warm-up."""
FALLEN_RANK, LEAST_RANK = 0.4, 2.0
FALLEN_KNN = 0.75
FALSE_ALARMS = 0.05
"""Share of runs, at most, in which k-NN seems to fall by the chance of its few queries alone."""
FEW_PROTOTYPES = 0.3
"""Share of the entropy that the prototypes or the batch allow."""
UNIFORM = 0.98
"""Share of the greatest entropy of a single target."""
START, STUCK, NOISE = 10, 0.01, 1.1
"""A loss has not moved if it lies within this share of its mean over the first steps; or, where it varies more, within
three standard errors, which is so many times the median jump from step to step."""
VANISHED = 1e-5
"""Share of the greatest gradient norm."""
SKIPPED = 10

SLOWER = "halve training.optim.lr, drop path 0.1, betas [0.9, 0.99]"
ADVICE = {
    "rank": (
        "features collapse to few directions: too high a learning rate, or a teacher that follows too fast",
        f"{SLOWER}, momentum nearer 1 (0.996), a longer warm-up",
    ),
    "prototypes": (
        "collapse: all images get the same target, and a loss near 0 is no success",
        "targets: sinkhorn, momentum nearer 1 (0.996), a lower learning rate",
    ),
    "uniform": (
        "nothing is asked of the student: targets are the same for all prototypes, and so their gradient vanishes",
        "a lower teacher_temperature (0.04 to 0.07), a larger batch, layer_scale nearer 1 in short runs",
    ),
    "loss": (
        "the student does not learn: steps too small or too large, or a batch too small for its prototypes",
        f"{SLOWER}; where lr is tiny, raise it; a batch of 256 and more, or fewer prototypes",
    ),
    "gradient": (
        "no signal reaches the weights: uniform targets, a collapse, or an underflow in fp16",
        "precision bf16, a lower teacher_temperature, layer_scale nearer 1",
    ),
    "knn": (
        "features get worse: a learning rate too high for these weights, or a collapse on its way",
        f"go back to the best checkpoint; {SLOWER}; a longer warm-up where the run started from given weights",
    ),
    "skipped": (
        "numbers overflow: fp16, too high a learning rate, or copies in a batch that KoLeo pushes apart",
        "precision bf16, a lower learning rate, and remove near-duplicates (curation.dedup)",
    ),
}
"""Kind → what it usually means, and what to try."""

MetricsRow = Mapping[str, Any]
"""A line of metrics.jsonl."""
Check = Callable[[MetricsRow], str | None]


class Recent:
    """The last values of one column, and the steps they are from."""

    def __init__(self, column: str, length: int) -> None:
        self.column = column
        self.rows: deque[tuple[int, float]] = deque(maxlen=length)

    def add(self, row: MetricsRow) -> bool:
        """Take in a step's value, if it has one; say whether that fills the window."""
        if self.column not in row:
            return False
        self.rows.append((row["step"], row[self.column]))
        return len(self.rows) == self.rows.maxlen

    @property
    def values(self) -> list[float]:
        """The values, the oldest first."""
        return [value for _, value in self.rows]

    @property
    def steps(self) -> str:
        """The steps in words."""
        return f"steps {self.rows[0][0]} to {self.rows[-1][0]}"


class Alarms:
    """Looks at a run step by step."""

    def __init__(self, params: ResolvedParams) -> None:
        self.patience = max(PATIENCE, params.optim.warmup_steps // 2)
        self.most = math.log(params.objective.prototypes)
        self.allowed = min(self.most, math.log(params.optim.batch_size))
        self.given: dict[str, str] = {}
        self.first_losses: list[float] = []
        self.moved = False
        self.best_rank = self.best_knn = self.greatest_norm = 0.0
        self.rank = Recent("teacher_effective_rank", RANKS)
        self.mean_target = Recent("prototype_entropy", WINDOW)
        self.target = Recent("target_entropy", WINDOW)
        self.loss = Recent("loss_dino", WINDOW)
        self.norm = Recent("grad_norm", WINDOW)
        self.knn = Recent("knn_top1", 2)
        looks = params.optim.steps // params.knn_every + 2 if params.knn_every else 2
        self.knn_errors = NormalDist().inv_cdf(1 - FALSE_ALARMS / looks)  # Bonferroni, over the looks of a run
        self.left_out = Recent("left_out", 2 * WINDOW)
        self.checks: dict[str, Check] = {"rank": self._rank, "prototypes": self._prototypes, "uniform": self._uniform}
        self.checks |= {"loss": self._loss, "gradient": self._gradient, "knn": self._knn}

    def add(self, row: MetricsRow) -> dict[str, str]:
        """Take in a line of metrics.jsonl; return the alarms it sets off: kind → all there is to say."""
        sentences = {"skipped": self._skipped(row)}
        if row["taken"]:
            sentences |= {kind: check(row) for kind, check in self.checks.items()}
        new = {
            kind: self._line(kind, sentence)
            for kind, sentence in sentences.items()
            if sentence and kind not in self.given
        }
        self.given |= new
        return new

    def _line(self, kind: str, sentence: str) -> str:
        return f"{sentence} · usually {ADVICE[kind][0]} · try {ADVICE[kind][1]}"

    def _rank(self, row: MetricsRow) -> str | None:
        if not self.rank.add(row):
            return None
        now = median(self.rank.values)
        self.best_rank = max(self.best_rank, now)
        if row["step"] <= self.patience or now >= max(FALLEN_RANK * self.best_rank, LEAST_RANK):
            return None
        return f"effective rank of the teacher's CLS {now:.1f} in {self.rank.steps}, {self.best_rank:.1f} at its best"

    def _prototypes(self, row: MetricsRow) -> str | None:
        if not self.mean_target.add(row) or (now := fmean(self.mean_target.values)) >= FEW_PROTOTYPES * self.allowed:
            return None
        return f"entropy of the mean target {now:.2f} in {self.mean_target.steps}, where {self.allowed:.2f} is possible"

    def _uniform(self, row: MetricsRow) -> str | None:
        if not self.target.add(row) or row["step"] <= self.patience:
            return None
        now = fmean(self.target.values)
        if now <= UNIFORM * self.most:
            return None
        return f"entropy of single targets {now:.2f} in {self.target.steps}, where {self.most:.2f} is uniform"

    def _loss(self, row: MetricsRow) -> str | None:
        if len(self.first_losses) < START:
            self.first_losses.append(row["loss_dino"])
        if not self.loss.add(row):
            return None
        values, now = self.loss.values, fmean(self.loss.values)
        start, jumps = fmean(self.first_losses), [abs(b - a) for a, b in pairwise(values)]
        self.moved |= abs(now - start) > max(STUCK * start, NOISE * median(jumps))
        if row["step"] <= self.patience:
            return None
        if not self.moved:
            return f"DINO loss {now:.3f} in {self.loss.steps}, as in the first {START} steps"
        if max(abs(value - self.most) for value in values) < STUCK * self.most:
            return f"DINO loss {now:.3f} in {self.loss.steps}, as for a guess among all prototypes"
        return None

    def _gradient(self, row: MetricsRow) -> str | None:
        self.greatest_norm = max(self.greatest_norm, row["grad_norm"])
        if not self.norm.add(row) or (now := max(self.norm.values)) > VANISHED * self.greatest_norm:
            return None
        return f"gradient norm at most {now:.1e} in {self.norm.steps}, {self.greatest_norm:.1e} at its greatest"

    def _knn(self, row: MetricsRow) -> str | None:
        full = self.knn.add(row)
        self.best_knn = max(self.best_knn, row.get(self.knn.column, 0.0))
        if not full or (now := max(self.knn.values)) >= FALLEN_KNN * self.best_knn:
            return None
        queries, mean = row.get("knn_queries", 0), (now + self.best_knn) / 2
        if not queries or self.best_knn - now <= self.knn_errors * math.sqrt(2 * mean * (1 - mean) / queries):
            return None
        return f"k-NN {now:.1%} or less of {queries:,} queries in {self.knn.steps}, {self.best_knn:.1%} at its best"

    def _skipped(self, row: MetricsRow) -> str | None:
        if not self.left_out.add({"step": row["step"], "left_out": not row["taken"]}):
            return None
        count = sum(self.left_out.values)
        return f"{count:.0f} steps left out of {self.left_out.steps}" if count >= SKIPPED else None
