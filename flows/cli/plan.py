"""What a recipe will take, and what of it is done.

dinoflow plan meta-dinov2-giant --images 1.2e9 --devices 256 --device A100
dinoflow status laptop --source PHOTOS
"""

from typing import Annotated

from cyclopts import Parameter

from flows.cli.app import LOOKING, RecipeArgument, app, finish
from flows.recipe.options import DEFAULTS, Options


@app.command(group=LOOKING)
def plan(
    recipe: RecipeArgument = None,
    /,
    *,
    images: Annotated[float | None, Parameter(help="Images, as 1.2e9; those of the published dataset if any.")] = None,
    image_kb: Annotated[float, Parameter(help="Kilobytes of an image file; its pixels are guessed from it.")] = 110,
    pairs_per_image: Annotated[
        float | None, Parameter(help="Pairs to verify, an image; those of the measured photographs if left out.")
    ] = None,
    devices: Annotated[int, Parameter(help="Training processes, one on each device.")] = 1,
    device: Annotated[str | None, Parameter(help="A100, H100, RTX 4090 …; this machine's own if left out.")] = None,
    days: Annotated[float, Parameter(help="Days that training may take.")] = 30,
    price: Annotated[float | None, Parameter(help="Price of a device for an hour.")] = None,
    options: Options = DEFAULTS,
) -> None:
    """Tell what a recipe will take before anything is spent: hours, storage, memory, MFU, rates; and warnings."""
    from flows.commands.plan import show_plan

    finish(
        options.json,
        lambda: show_plan(
            recipe,
            options,
            images=images,
            image_kb=image_kb,
            pairs_per_image=pairs_per_image,
            devices=devices,
            device=device,
            deadline=days,
            price=price,
        ),
    )


@app.command(group=LOOKING)
def status(recipe: RecipeArgument = None, /, *, options: Options = DEFAULTS) -> None:
    """Tell what of a recipe is done in a workspace, what would run, and why: which input or parameter changed.

    Sources are listed, nothing else runs. Differences are told against the newest
    output of each stage in the workspace.
    """
    from flows.commands.status import show_status

    finish(options.json, lambda: show_status(recipe, options))
