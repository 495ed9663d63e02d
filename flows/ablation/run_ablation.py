"""Runs an ablation: curate every variant, train what is not trained yet, ask all the same. It knows no Prefect."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from flows.ablation import eta
from flows.ablation.ground_truth import Open, find_ground_truth
from flows.ablation.queries import check_size
from flows.ablation.trainings import Ablation, Proxy, Questions
from flows.ablation.variant_datasets import curate, publish_test
from flows.ablation.variants import Variant, variants
from flows.recipe.recipe import Recipe, load_recipe
from flows.session import Session
from shared.errors import RecipeError, UserError, WorkFailedError
from shared.launch.launch import gang
from shared.params import fingerprint
from training.eval.sets import DatasetSet
from training.stages import evaluate, pretrain


@dataclass(frozen=True)
class Request:
    """What was asked for."""

    recipe: str | None
    settings: Sequence[str]
    sources: Sequence[str]
    name: str | None
    vary: Sequence[str]
    grid: bool = False
    seeds: int = 3
    steps: int | None = None

    def variants(self) -> list[Variant]:
        """Return the baseline and its variants. Raises RecipeError for what cannot be."""
        if self.seeds < 1:
            raise RecipeError(f"--seeds must be at least 1, got {self.seeds}.")
        if self.steps is not None and self.steps < 1:
            raise RecipeError(f"--steps must be at least 1, got {self.steps}.")
        return variants(self.load, self.vary, self.grid)

    def load(self, more: Sequence[str] = ()) -> Recipe:
        """Return the recipe with settings on top."""
        return load_recipe(self.recipe, settings=[*self.settings, *more], sources=self.sources, name=self.name)


class Teller(Protocol):
    """Where a person follows an ablation."""

    def say(self, text: str = "") -> None:
        """Tell a line that stays."""


Each = Callable[[Proxy, Callable[[], None]], None]
"""Wraps a training and its scoring: Prefect makes a task run of it."""


def forecast(request: Request, chosen: Sequence[Variant]) -> str:
    """Return what is going to be done, and about how long it takes."""
    optim, length = chosen[0].recipe.training.optim, request.steps or chosen[0].recipe.training.optim.steps
    spans = [_seconds(one, request.steps) for one in chosen]
    timed = [span for span in spans if span is not None]
    whole = f"about {eta.clock(request.seeds * sum(timed))}" if len(timed) == len(spans) else "the first tells how long"
    many, steps = "variant" if len(chosen) == 2 else "variants", " steps" if isinstance(length, int) else ""
    return (
        f"{len(chosen) - 1} {many} and the baseline × {request.seeds} seeds: up to {len(chosen) * request.seeds} "
        f"trainings of {length}{steps} × {optim.batch_size} images; {whole}, after curation."
    )


def _seconds(one: Variant, steps: int | None) -> float | None:
    training = one.recipe.training
    whole = training.optim.steps
    return eta.seconds(training, steps if steps and isinstance(whole, int) else whole, one.recipe.compute)


def prepare(request: Request, chosen: Sequence[Variant], open_session: Open, teller: Teller) -> Ablation:
    """Curate every variant, and publish what all are asked. Raises UserError where that is too little."""
    teller.say("\nmeasuring, and looking for copies of what will be asked")
    base = open_session(chosen[0].recipe)
    truth = find_ground_truth(open_session, request.load, base)
    own_questions = any(one.kind == DatasetSet().kind for one in chosen[0].recipe.evaluation.sets)
    queries = truth.queries() if own_questions else truth.order[:0]
    classes = len(set(truth.label[queries].tolist()))
    if own_questions:
        check_size(len(queries), classes, len(truth.uri))
    curated = []
    for one in chosen:
        teller.say(f"\ncuration: {one.name}")
        curated.append(curate(truth, open_session(one.recipe), one, queries))
    questions = Questions(curated[0].dataset)
    if own_questions:
        teller.say(f"\nquestions: {len(queries):,} queries of {classes} classes")
        dataset, bank = publish_test(truth, queries, curated)
        check_size(len(queries), classes, len(bank))
        questions = Questions(dataset, len(queries), classes, len(bank))
    facts = [one.recipe.model_dump(mode="json", exclude={"compute"}) for one in chosen]
    return Ablation(
        name=f"{chosen[0].recipe.name}-{fingerprint(request.steps, *facts)[:8]}",
        store=base.store,
        recipe=chosen[0].recipe,
        curated=tuple(curated),
        questions=questions,
        seeds=request.seeds,
        steps=request.steps,
    )


def train_all(ablation: Ablation, session: Session, each: Each, teller: Teller) -> list[str]:
    """Train and score what is missing; return what failed, in words: one failure does not lose the others."""
    missing, failed, started = ablation.missing(), [], time.monotonic()
    for done, proxy in enumerate(missing):
        left = (time.monotonic() - started) / done * (len(missing) - done) if done else None
        ends = "" if left is None else f", about {eta.clock(left)} left"
        teller.say(f"training {done + 1} of {len(missing)}: seed {proxy.seed}, {proxy.variant}{ends}")
        try:
            each(proxy, partial(_train, ablation, session, proxy))
        except (WorkFailedError, UserError) as error:
            failed.append(f"{proxy.variant}, seed {proxy.seed}, run {proxy.run}: {error}")
            teller.say(f"  failed: {error}")
    return failed


def _train(ablation: Ablation, session: Session, proxy: Proxy) -> None:
    """Train a proxy, or go on where it was stopped; then ask the questions."""
    compute = session.recipe.compute
    common: dict[str, Any] = {"run": proxy.run, "workspace": ablation.store, "reporter": session.reporter}
    gang(pretrain, proxy.params, proxy.dataset, compute=compute, **common)
    alone = compute.model_copy(update={"processes": 1})
    gang(evaluate, ablation.evaluation, ablation.questions.dataset, compute=alone, **common)
