"""`dinoflow export RUN`: a trained model for other programs."""

from typing import Annotated

from cyclopts import Parameter

from flows.cli.app import PIPELINE, app, finish
from flows.recipe.options import JsonOption


@app.command(group=PIPELINE)
def export(
    run: Annotated[str | None, Parameter(help="A run's name in the workspace or its folder; the newest one.")] = None,
    /,
    *,
    step: Annotated[
        int | None, Parameter(help="Which checkpoint; the best one that was scored, or the newest.")
    ] = None,
    to: Annotated[str | None, Parameter(help="Folder to write to; by default RUN/exports/step-STEP.")] = None,
    formats: Annotated[
        str | None, Parameter(help="Of timm, transformers and onnx, with commas between; all that are possible.")
    ] = None,
    image_size: Annotated[
        int, Parameter(help="Side of the images that positions are written for; 0 = those of training.")
    ] = 0,
    workspace: Annotated[str, Parameter(help="The workspace.")] = "workspace",
    json: JsonOption = False,
) -> None:
    """Write a run's teacher for timm, transformers and ONNX, with its heads and a card that says what it is."""
    from flows.commands.export import export_run

    finish(json, lambda: export_run(workspace, run, step, to, formats, image_size, json))
