"""`dinoflow status`: what of a recipe is done, what would run, and why; in words, or as one object."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from flows.commands.pipeline import begin
from flows.plan.status import StageStatus, Status, facts, status
from flows.session import Session
from shared.launch.executors import Inline

if TYPE_CHECKING:
    from flows.recipe.options import Options


def show_status(recipe: str | None, options: "Options") -> dict[str, Any]:
    """Print, and return, the status of a recipe in a workspace."""
    loaded, store, console = begin(recipe, options)
    current = status(Session(loaded, store, Inline(), console))
    for line in lines(current):
        console.say(line)
    return facts(current)


def lines(current: Status) -> Iterator[str]:
    """Yield the status in words: a line for each stage, its causes below."""
    for one in current.stages:
        yield f"{one.forecast.stage.name:<18} {_state(one)}"
        yield from (f"{'':<18} {cause}" for cause in one.why)
    dataset, training = current.dataset, current.training
    yield f"{'published':<18} " + (f"{dataset.name} {dataset.version}" if dataset else "would be a new version")
    if training is None:
        yield f"{'pretrain':<18} would run on the new version"
        yield f"{'evaluate':<18} would run on the new version"
        return
    of = f"{training.steps:,} steps" if isinstance(training.steps, int) else training.steps
    begun = f"would go on from step {training.step:,} of {of}" if training.step else f"would run: {of}, never begun"
    yield f"{'pretrain':<18} " + (f"done: {of}, {training.run}" if training.done else begun)
    unscored = f"would score {len(training.unscored):,} checkpoints: step {', '.join(map(str, training.unscored))}"
    later = "done" if training.done else "would run as checkpoints come"
    yield f"{'evaluate':<18} " + (unscored if training.unscored else later)


def _state(one: StageStatus) -> str:
    """Return what is done of a stage, or what would be made."""
    output, missing = one.forecast.output, one.forecast.missing
    if one.forecast.done and output is not None:
        if output.key == "idle":
            return "not asked for, or nothing to do"
        return f"done: {output.rows:,} rows in {len(output.parts):,} parts"
    parts, sure = one.forecast.parts, one.forecast.sure
    run = "would run" if sure else "may run"
    if missing is None or parts is None:
        return run
    return f"{run}: {'' if sure else 'at most '}{missing:,} of {parts:,} parts to make"
