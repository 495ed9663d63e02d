"""`dinoflow evaluate`: score a run's checkpoints, once or while its training goes on."""

from typing import Annotated

from cyclopts import Parameter

from flows.cli.app import DEFAULTS, SINGLE, Options, RecipeArgument, app, finish
from flows.teach import parameters
from training.stages import evaluate as stage

Follow = Annotated[
    bool,
    Parameter(
        help="Score each new checkpoint while training goes on; end with the run. At low priority, and on the CPU "
        "unless compute.device=cuda is set.",
        negative=(),
        show_default=False,
    ),
]


def evaluate(
    recipe: RecipeArgument = None,
    /,
    *,
    follow: Follow = False,
    patience: Annotated[float, Parameter(help="Seconds that a followed run may stay without a sign of life.")] = 1800,
    options: Options = DEFAULTS,
) -> None:
    """Score the checkpoints of a run: see the stage."""
    from flows import commands

    if follow:
        finish(options.json, lambda: commands.follow(recipe, options, patience))
    else:
        finish(options.json, lambda: commands.one_stage(stage, recipe, options))


app.command(evaluate, group=SINGLE, help=f"{stage.help}\n\n{parameters(stage.params, stage.key)}", sort_key=99)
