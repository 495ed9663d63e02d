"""Steps that were left out because something was not finite: on which rank and images, and when to go back."""

import json
from collections import Counter

from shared.errors import WorkFailedError
from training.data.index import SampleIndex
from training.distributed import DistributedContext, from_leader, gathered
from training.loop.train_step import StepReport
from training.params.resolved import ResolvedParams
from training.runs import checkpoint
from training.runs.checkpoint import State
from training.runs.run_folder import RunFolder

LOG = "bad_steps.jsonl"
TIMES = 2
"""How often a run goes back to one checkpoint."""
SHOWN = 3
ADVICE = "Lower training.optim.lr, or set training.optim.precision to bf16 or fp32."


class BadStretchError(WorkFailedError):
    """So many steps in a row were not finite that the run must go back."""


class BadSteps:
    """Counts steps that were left out, and writes each to bad_steps.jsonl; every rank calls it after every step."""

    def __init__(
        self, folder: RunFolder, index: SampleIndex, params: ResolvedParams, context: DistributedContext
    ) -> None:
        self.folder, self.index, self.params, self.context = folder, index, params, context
        self.in_a_row = 0

    def add(self, state: State, report: StepReport) -> None:
        """Take in a step. Raises BadStretchError after `optim.bad_steps` bad ones in a row."""
        if report.taken:
            self.in_a_row = 0
        if not report.bad:
            return
        self.in_a_row += 1
        troubles = gathered(report.trouble, self.context.world)
        if self.context.leads:
            self._write(state, report, troubles)
        if self.in_a_row >= self.params.optim.bad_steps:
            raise BadStretchError(
                "Pre-training needs finite losses and gradients, "
                f"got {self.in_a_row} bad steps in a row up to step {state.step}"
            )

    def _write(self, state: State, report: StepReport, troubles: list[str]) -> None:
        """Name the ranks where it began, and the images they had: others have it from these."""
        what = next(kind for kind in ("features", "loss", "gradient", "") if kind in troubles)
        ranks = [rank for rank, trouble in enumerate(troubles) if trouble == what]
        batch, share = self.params.optim.batch_size, self.params.optim.batch_size // self.context.world
        first = (state.order * self.params.optim.steps + state.step - 1) * batch
        numbers = [first + rank * share + image for rank in ranks for image in range(share)]
        uris = self.index.uris([ref.row for ref in self.index.refs(numbers)])
        row = {"step": state.step, "order": state.order, "not_finite": what, "ranks": ranks, "uris": uris}
        with (self.folder.path / LOG).open("a") as file:
            file.write(json.dumps(row) + "\n")
        print(
            f"step {state.step} is left out: {what} not finite on rank {', '.join(map(str, ranks))}, with "
            f"{', '.join(uris[:SHOWN])} and others: see {LOG}",
            flush=True,
        )


def go_back(folder: RunFolder, state: State, context: DistributedContext, why: str, times: Counter[int]) -> None:
    """Bring the state to the last good checkpoint, with another order of samples.

    Raises WorkFailedError where there is none, or the run went back there `TIMES` times already.
    """
    skipped, seconds, order = state.skipped, state.seconds, state.order
    step = from_leader(checkpoint.last_good(folder, print) if context.leads else None)
    if step is None:
        raise WorkFailedError(f"{why}, and no good checkpoint to go back to. {ADVICE}")
    times[step] += 1
    if times[step] > TIMES:
        raise WorkFailedError(
            f"{why}, also after going back {TIMES} times to step {step} with another order of samples. {ADVICE}"
        )
    checkpoint.resume(folder, step, state)
    state.skipped, state.seconds, state.order = skipped, seconds, order + 1
    if context.leads:
        print(f"{why}; goes back to step {step}, with another order of samples", flush=True)
