"""What a run logs: metrics.jsonl, TensorBoard, and one event a second. Rank 0 only."""

import json
import time
from typing import Any, Self

from shared.launch.progress import ProgressEvent, emit
from training.cost.step_flops import step_flops
from training.loop.alarms import Alarms
from training.loop.train_step import StepReport
from training.params.resolved import ResolvedParams
from training.runs.run_folder import RunFolder

EVENT_SECONDS = 1.0
RATE_STEPS = 20
"""Speed and waiting are averaged over so many steps."""


class MetricsLogger:
    """Writes one JSON line for each step; on a resume, steps that will be taken again are struck out."""

    def __init__(self, folder: RunFolder, params: ResolvedParams, *, start: int, ceiling: float) -> None:
        self.steps, self.batch_size, self.ceiling = params.optim.steps, params.optim.batch_size, ceiling
        self.work = {begins: step_flops(params.at(begins)).true for begins in (0, *(p.begins for p in params.phases))}
        path, self.alarms = folder.path / "metrics.jsonl", Alarms(params)
        kept = []
        for line in _lines(path):
            row = json.loads(line)
            if row["step"] <= start:
                kept.append(line)
                self.alarms.add(row)
        folder.store.write(path.name, "".join(kept))
        self.file = path.open("a", buffering=1)
        self.board, self.uploads = _board(folder, start), folder.uploads
        self.recent: list[tuple[float, float]] = []
        self.began, self.sent_at = time.monotonic(), 0.0
        self.knn: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        if self.board:
            self.board.close()

    def write(self, step: int, report: StepReport, seconds: float, waited: float, measured: dict[str, float]) -> None:
        """Record a finished step (counted from 1) that took `seconds`, `waited` of them for data."""
        self.recent = [*self.recent[-RATE_STEPS + 1 :], (seconds, waited)]
        spent = sum(s for s, _ in self.recent)
        speed = self.batch_size * len(self.recent) / spent
        row: dict[str, Any] = {
            "step": step,
            **{f"loss_{name}" if name != "total" else "loss": v for name, v in report.losses.items()},
            **report.values._asdict(),
            "grad_norm": report.grad_norm,
            **_entropies(report),
            "images_per_second": speed,
            "mfu": speed / self.ceiling * self._work_of(step - 1),
            "data_wait": sum(w for _, w in self.recent) / spent,
            "eta_seconds": (self.steps - step) * spent / len(self.recent),
            "taken": report.taken,
            "bad": report.bad,
            **measured,
        }
        alarms = self.alarms.add(row)
        self.file.write(json.dumps(row | ({"alarm": alarms} if alarms else {})) + "\n")
        for name, value in row.items() if self.board else ():
            if name not in ("step", "knn_queries"):
                self.board.add_scalar(name, float(value), step)
        self.knn = measured.get("knn_top1", self.knn)
        if self.uploads:
            self.uploads.logs()
        self._print_line(row)
        for line in alarms.values():
            print(f"alarm: {line}", flush=True)

    def _work_of(self, step: int) -> float:
        """Return the work of a step (counted from 0), in those of the first phase, for which the ceiling is."""
        return self.work[max(begins for begins in self.work if begins <= step)] / self.work[0]

    def summary(self) -> dict[str, Any]:
        """Return what a run's summary says of alarms and k-NN."""
        return {"alarms": list(self.alarms.given.values())} | ({} if self.knn is None else {"knn_top1": self.knn})

    def _print_line(self, row: dict[str, Any]) -> None:
        now = time.monotonic()
        if now - self.sent_at < EVENT_SECONDS and row["step"] < self.steps:
            return
        self.sent_at = now
        emit(
            ProgressEvent(
                "pretrain",
                row["step"],
                self.steps,
                "steps",
                rate=row["images_per_second"] / self.batch_size,
                seconds=now - self.began,
                ended=row["step"] == self.steps,
                fields={"loss": row["loss"]}
                | ({} if self.knn is None else {"k-NN": self.knn})
                | {"images/s": row["images_per_second"], "mfu": row["mfu"], "data wait": row["data_wait"]},
            )
        )


def _entropies(report: StepReport) -> dict[str, float]:
    """Return the entropies of the targets; nothing where these are features."""
    entropies = {"prototype_entropy": report.prototype_entropy, "target_entropy": report.target_entropy}
    return entropies if report.targets_have_entropy else {}


def _board(folder: RunFolder, start: int) -> Any:
    """Return TensorBoard's writer, or None on a machine that trains but does not have it."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder.path / "tensorboard"), purge_step=start + 1)


def _lines(path: Any) -> list[str]:
    """Return the whole lines of a file; a line that a kill cut short does not count."""
    if not path.exists():
        return []
    return [line for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
