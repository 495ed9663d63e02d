"""`dinoflow evaluate`: a run's checkpoints, or any models on any labelled sets."""

from typing import Annotated

from cyclopts import Parameter

from curation.stages import STAGES as CURATION
from flows.cli.app import SINGLE, RecipeArgument, app, finish
from flows.cli.param_help import parameters
from flows.recipe.options import DEFAULTS, Options
from training.stages import evaluate as stage

ModelOption = Annotated[
    tuple[str, ...],
    Parameter(
        help="A model to score; repeatable. WORKSPACE/runs/RUN (RUN@STEP, RUN:student), a checkpoint's folder, a "
        "folder that `dinoflow export`, timm or transformers wrote, a file of a ViT's weights, a name of timm's, or "
        "NAME=FILE with its weights.",
        negative=(),
        show_default=False,
    ),
]
DataOption = Annotated[
    tuple[str, ...],
    Parameter(
        help="A set to score on; repeatable. A folder of class folders, or of train/ and test/ with class folders; "
        "a CSV or Parquet file with paths and labels; Hugging Face's Parquet files or save_to_disk; images with "
        "masks; images with pairs.csv of copies. Or a set as in a recipe: '{kind: manifest, url: …}'.",
        negative=(),
        show_default=False,
    ),
]
FollowOption = Annotated[
    bool,
    Parameter(
        help="Score each new checkpoint while training goes on, and end with it; at low priority, and on the CPU "
        "unless compute.device is set.",
        negative=(),
        show_default=False,
    ),
]
PatienceOption = Annotated[float, Parameter(help="Seconds that a followed run may stay without a sign of life.")]
TEXT = f"""Score a run's checkpoints; with --model, any models on any labelled sets, in one table.

For example:

  dinoflow evaluate laptop --workspace work
  dinoflow evaluate laptop --workspace work --follow
  dinoflow evaluate --model work/runs/RUN --model vit_small_patch14_dinov2 --data birds

Each model and raw pixels stand in one table, and in WORKSPACE/evaluations/models/ as JSON, with every protocol.

{parameters(stage.params, stage.key)}"""


@app.command(group=SINGLE, sort_key=len(CURATION) + 1, help=TEXT)
def evaluate(
    recipe: RecipeArgument = None,
    /,
    *,
    model: ModelOption = (),
    data: DataOption = (),
    follow: FollowOption = False,
    patience: PatienceOption = 1800,
    options: Options = DEFAULTS,
) -> None:
    """Score a run's checkpoints, or any models on any labelled sets."""
    if model or data:
        from flows.commands.evaluate import evaluate_models

        finish(options.json, lambda: evaluate_models(recipe, model, data, options))
        return
    from flows.commands import pipeline

    if follow:
        finish(options.json, lambda: pipeline.follow(recipe, options, patience))
        return
    finish(options.json, lambda: pipeline.one_stage(stage, recipe, options))
