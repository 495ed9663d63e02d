"""Params whose lengths are all in steps: what a request comes to on a dataset, and what a run works with."""

from itertools import pairwise
from typing import Any, Self

from shared.errors import RecipeError
from training.params import ObjectiveParams, OptimParams, PhaseParams, Positions, PretrainParams
from training.params.duration import WrittenLength, in_steps


class ResolvedOptimParams(OptimParams):
    """OptimParams with lengths in steps."""

    steps: int
    warmup_steps: int
    freeze_prototypes: int
    freeze_backbone: int


class ResolvedObjectiveParams(ObjectiveParams):
    """ObjectiveParams with lengths in steps."""

    teacher_temperature_steps: int


class ResolvedPhaseParams(PhaseParams):
    """PhaseParams with a step to begin at."""

    begins: int


class ResolvedParams(PretrainParams):
    """PretrainParams with lengths in steps. A request of the same numbers has the same name."""

    optim: ResolvedOptimParams
    objective: ResolvedObjectiveParams
    phases: tuple[ResolvedPhaseParams, ...] = ()
    checkpoint_every: int
    knn_every: int

    def placed(self, rule: Positions) -> Self:
        """Return the params with this rule for positions where the request leaves it open."""
        if self.model.positions != "auto":
            return self
        return self.model_copy(update={"model": self.model.model_copy(update={"positions": rule})})

    def identity(self) -> dict[str, Any]:
        """Return the identity of a request for these very numbers."""
        return PretrainParams.model_validate(self.model_dump()).identity()

    def at(self, step: int) -> "ResolvedParams":
        """Return the params of a step (counted from 0): with the crops of the phase it lies in."""
        sizes = [{"global_size": p.global_size, "local_size": p.local_size} for p in self.phases if p.begins <= step]
        return self.model_copy(update={"crops": self.crops.model_copy(update=sizes[-1])}) if sizes else self

    def spans(self, start: int) -> list[tuple[int, int]]:
        """Return first and end of the stretches of steps of one phase each, from a step to the run's last."""
        edges = [start, *(phase.begins for phase in self.phases if phase.begins > start), self.optim.steps]
        return list(pairwise(edges))


def resolved(params: PretrainParams, images: int) -> ResolvedParams:
    """Return the params with every length in steps. Raises RecipeError when the warm-up outlasts the run."""
    optim, batch = params.optim, params.optim.batch_size

    def steps(length: int | WrittenLength) -> int:
        return in_steps(length, batch, images)

    run, warmup = steps(optim.steps), steps(optim.warmup_steps)
    if warmup >= run:
        raise RecipeError(
            f"optim.warmup_steps must be below optim.steps, got {optim.warmup_steps} and {optim.steps}: "
            f"{warmup:,} and {run:,} steps of {batch:,} samples, with {images:,} images to train "
            "on. Make training.optim.warmup_steps shorter, or the run longer."
        )
    of_optim = {"steps": run, "warmup_steps": warmup}
    of_optim |= {"freeze_prototypes": steps(optim.freeze_prototypes), "freeze_backbone": steps(optim.freeze_backbone)}
    phases = [dict(phase) | {"begins": steps(phase.begins)} for phase in params.phases]
    begins = [0, *(phase["begins"] for phase in phases), run]
    if begins != sorted(set(begins)):
        raise RecipeError(
            f"phases must begin one after the other within the run, got steps {', '.join(map(str, begins[1:-1]))} of "
            f"{run:,}. Change training.phases, or training.optim.steps."
        )
    of_objective = {"teacher_temperature_steps": steps(params.objective.teacher_temperature_steps)}
    return ResolvedParams.model_validate(
        {
            **dict(params),
            "optim": dict(optim) | of_optim,
            "objective": dict(params.objective) | of_objective,
            "phases": phases,
            "checkpoint_every": steps(params.checkpoint_every),
            "knn_every": steps(params.knn_every),
        }
    )
