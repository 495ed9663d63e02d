"""`dinoflow ablate laptop --source PHOTOS --vary curation.dedup.near=off`: did a rule of curation help?"""

from typing import Annotated

from cyclopts import Parameter

from flows.cli.app import PIPELINE, RecipeArgument, app, finish
from flows.recipe.options import DEFAULTS, Options

Vary = Annotated[
    tuple[str, ...],
    Parameter(
        help="KEY=VALUE,VALUE…: what to try instead of the recipe's value; repeatable. Values are YAML, and commas "
        "inside brackets do not split; `default` is dinoflow's own. `off` and `on` for curation.quality, "
        "curation.dedup, curation.dedup.near, curation.dedup.perceptual and curation.balance. "
        "Any key of curation's decisions or of training.",
        negative=(),
        show_default=False,
    ),
]


@app.command(group=PIPELINE)
def ablate(
    recipe: RecipeArgument = None,
    /,
    *,
    vary: Vary,
    grid: Annotated[
        bool,
        Parameter(
            negative="--each",
            help="--grid: every combination of the values. --each: one change to the recipe at a time.",
        ),
    ] = False,
    seeds: Annotated[int, Parameter(help="Trainings of each variant. One claims nothing; 5 see smaller effects.")] = 3,
    steps: Annotated[
        int | None, Parameter(help="Length of each training; by default the recipe's. Schedules shrink with it.")
    ] = None,
    options: Options = DEFAULTS,
) -> None:
    """Did a rule of curation help? Short trainings at equal compute, with error bars.

    dinoflow ablate laptop --source PHOTOS --vary curation.dedup.near=off

    Every variant is curated from the same measurements, trained for the same
    steps from the same seeds, and asked the same questions: a tenth of the
    labelled images, one of each group of copies. No variant trains on these, nor
    on any copy of them.

    The result is WORKSPACE/ablations/NAME: results.json and report.html. Stopped
    and run again, it goes on where it was; with more seeds it adds to them.
    """
    from flows.ablation.run_ablation import Request
    from flows.commands.ablate import ablate as compare

    request = Request(recipe, options.settings, options.source, options.name, vary, grid, seeds, steps)
    finish(options.json, lambda: compare(request, options))
