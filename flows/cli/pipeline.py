"""The pipeline's commands: `dinoflow run laptop --source PHOTOS`, or any single stage."""

from typing import Annotated

from cyclopts import Parameter

from curation.stages import STAGES as CURATION
from flows.cli.app import PIPELINE, SINGLE, RecipeArgument, app, finish
from flows.cli.param_help import parameters
from flows.recipe.options import DEFAULTS, JsonOption, Options, SetOption
from shared.params import Compute
from shared.stage import Stage
from training.stages import pretrain


@app.command(group=PIPELINE, sort_key=0)
def run(recipe: RecipeArgument = None, /, *, options: Options = DEFAULTS) -> None:
    """Curate, pretrain, evaluate: the whole pipeline as one Prefect flow."""
    from flows.commands import pipeline

    finish(options.json, lambda: pipeline.run(recipe, options))


@app.command(group=PIPELINE)
def curate(recipe: RecipeArgument = None, /, *, options: Options = DEFAULTS) -> None:
    """Index … pack: publish a dataset version, as one Prefect flow."""
    from flows.commands import pipeline

    finish(options.json, lambda: pipeline.curate(recipe, options))


@app.command(group=PIPELINE)
def demo(
    *,
    workspace: Annotated[str, Parameter(help="Folder for the drawn images and all results.")] = "workspace/demo",
    settings: SetOption = (),
    json: JsonOption = False,
) -> None:
    """The whole pipeline on a small drawn corpus with planted copies and broken files; minutes on a CPU."""
    from flows.demo.demo import run_demo

    options = Options(workspace=workspace, settings=settings, json=json)
    finish(options.json, lambda: run_demo(options))


def _stage_command(stage: Stage, place: int) -> None:
    def command(recipe: RecipeArgument = None, /, *, options: Options = DEFAULTS) -> None:
        from flows.commands import pipeline

        finish(options.json, lambda: pipeline.one_stage(stage, recipe, options))

    text = f"{stage.help}\n\n{parameters(stage.params, stage.key)}"
    if stage.shape == "gang":
        text += f"\n\nWhere and how it runs, which changes no result. {parameters(Compute, 'compute')}"
    app.command(command, name=stage.name.replace("_", "-"), group=SINGLE, help=text, sort_key=place)


for _place, _stage in enumerate((*CURATION, pretrain)):
    _stage_command(_stage, _place)
