"""An ablation once its datasets are made: which short trainings it takes, and which of them are done."""

from dataclasses import dataclass
from typing import Any

from flows.ablation.variant_datasets import Curated
from flows.recipe.recipe import Recipe
from shared.dataset_version import Published
from shared.launch.launch import run_name
from shared.storage import Store
from shared.storage.checked_json import read_facts
from training.eval.params import EvaluateParams, score_fingerprint
from training.params.resolved import ResolvedParams, resolved
from training.stages import evaluate, pretrain

Scored = dict[str, Any]
"""The file of a scored checkpoint."""


@dataclass(frozen=True)
class Questions:
    """What all variants are asked, beside the sets that the recipe's evaluation names."""

    dataset: Published
    """Queries and bank; the baseline's dataset where the recipe asks about other sets alone."""
    queries: int = 0
    classes: int = 0
    bank: int = 0


@dataclass(frozen=True)
class Proxy:
    """One short training: a variant's images, and a seed."""

    variant: str
    seed: int
    dataset: Published
    params: ResolvedParams

    @property
    def run(self) -> str:
        """The run's name, after what makes it."""
        return run_name(pretrain, self.params, self.dataset)


@dataclass(frozen=True)
class Ablation:
    """Variants with their datasets, the baseline first, and what all are asked."""

    name: str
    store: Store
    recipe: Recipe
    """Of the baseline."""
    curated: tuple[Curated, ...]
    questions: Questions
    seeds: int
    steps: int | None = None
    """Length of a training where it is not the recipe's."""

    @property
    def evaluation(self) -> EvaluateParams:
        """How all are scored: as the recipe says, without pictures."""
        return self.recipe.evaluation.model_copy(update={"pictures": 0})

    def proxy(self, one: Curated, seed: int) -> Proxy:
        """Return a variant's training with a seed; variants that keep the same images train on one dataset."""
        same = next(other for other in self.curated if other.selection == one.selection)
        images = int(self.curated[0].trained.sum())
        params = shortened(resolved(one.variant.recipe.training, images), self.steps)
        params = params.model_copy(update={"seed": self.recipe.training.seed + seed, "keep_checkpoints": 1})
        return Proxy(one.variant.name, seed, same.dataset, params)

    def proxies(self) -> list[Proxy]:
        """Return every training once, seed by seed, so that what is done early can be compared early."""
        by_run: dict[str, Proxy] = {}
        for seed in range(self.seeds):
            for one in self.curated:
                proxy = self.proxy(one, seed)
                by_run.setdefault(proxy.run, proxy)
        return list(by_run.values())

    def scored(self, proxy: Proxy) -> Scored | None:
        """Return the scores of a training that ended, if these questions were asked of it."""
        if not self.store.exists(f"runs/{proxy.run}/pretrain.json"):
            return None
        done = read_facts(self.store, f"runs/{proxy.run}/pretrain.json")
        path = f"evaluations/{proxy.run}/{done['steps']}.json"
        if not self.store.exists(path):
            return None
        scored: Scored = read_facts(self.store, path)
        requested = score_fingerprint(evaluate.version, self.evaluation, self.questions.dataset)
        return {**scored, "seconds": done["seconds"]} if scored["fingerprint"] == requested else None

    def missing(self) -> list[Proxy]:
        """Return the trainings that are still to be done."""
        return [proxy for proxy in self.proxies() if self.scored(proxy) is None]


def shortened(params: ResolvedParams, steps: int | None) -> ResolvedParams:
    """Return the params of a training of so many steps: other lengths in proportion. All lengths are in steps."""
    if steps is None:
        return params
    optim, objective, whole = params.optim, params.objective, params.optim.steps
    lengths = {name: getattr(optim, name) * steps // whole for name in ("warmup_steps", "freeze_prototypes")}
    rise = objective.teacher_temperature_steps * steps // whole
    return params.model_copy(
        update={
            "optim": optim.model_copy(update={"steps": steps, **lengths}),
            "objective": objective.model_copy(update={"teacher_temperature_steps": rise}),
        }
    )
