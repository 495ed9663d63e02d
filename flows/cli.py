"""The command line: `dinoflow run laptop --source PHOTOS`, or any single stage.

Only what help needs is imported here; a command imports what it works with.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from cyclopts import App, CycloptsError, Group, Parameter

from curation.stages import STAGES as CURATION
from flows.teach import parameters
from shared.errors import UserError, WorkFailedError
from shared.stage import Stage
from training.stages import evaluate, pretrain

DONE, FAILED, WRONG = 0, 1, 2

app = App(
    name="dinoflow",
    help="Raw image collections in, a trained and evaluated visual backbone out.\n\n"
    "Start with `dinoflow demo`, then `dinoflow run laptop --source YOUR_PHOTOS`.",
    help_format="plaintext",
    version_flags=["--version"],
)
PIPELINE = Group("The pipeline", sort_key=1)
SINGLE = Group("One stage alone", sort_key=2)
LOOKING = Group("Looking at results", sort_key=3)

RecipeArgument = Annotated[
    str | None,
    Parameter(help="A YAML file or a shipped recipe; `single-gpu` where there is a GPU, else `laptop`."),
]


Sources = Annotated[
    tuple[str, ...],
    Parameter(help="Folder or URL of images; repeatable. Replaces the recipe's.", negative=(), show_default=False),
]
Settings = Annotated[
    tuple[str, ...],
    Parameter(name="--set", help="Change the recipe: a.b.c=value; repeatable.", negative=(), show_default=False),
]
Json = Annotated[bool, Parameter(help="Print one JSON object instead of text.", negative=(), show_default=False)]


@Parameter(name="*")
@dataclass(frozen=True)
class Options:
    """What every command takes."""

    source: Sources = ()
    workspace: Annotated[str, Parameter(help="Folder or URL for datasets, runs and the stage cache.")] = "workspace"
    name: Annotated[str | None, Parameter(help="Name of the dataset.")] = None
    settings: Settings = ()
    json: Json = False


@app.command(group=PIPELINE, sort_key=0)
def run(recipe: RecipeArgument = None, /, *, options: Options = Options()) -> None:
    """Curate, pretrain, evaluate: the whole pipeline as one Prefect flow."""
    from flows import commands

    _finish(options, lambda: commands.run(recipe, options))


@app.command(group=PIPELINE)
def curate(recipe: RecipeArgument = None, /, *, options: Options = Options()) -> None:
    """Index … pack: publish a dataset version, as one Prefect flow."""
    from flows import commands

    _finish(options, lambda: commands.curate(recipe, options))


@app.command(group=PIPELINE)
def demo(
    *,
    workspace: Annotated[str, Parameter(help="Folder for the drawn images and all results.")] = "workspace/demo",
    settings: Settings = (),
    json: Json = False,
) -> None:
    """The whole pipeline on a small drawn corpus with planted copies and broken files; minutes on a CPU."""
    from flows.demo import run_demo

    options = Options(workspace=workspace, settings=settings, json=json)
    _finish(options, lambda: run_demo(options))


def _stage_command(stage: Stage, place: int) -> None:
    key = {"pretrain": "training", "evaluate": "evaluation"}.get(stage.name, f"curation.{stage.name}")

    def command(recipe: RecipeArgument = None, /, *, options: Options = Options()) -> None:
        from flows import commands

        _finish(options, lambda: commands.one_stage(stage, recipe, options))

    text = f"{stage.help}\n\n{parameters(stage.params, key)}"
    app.command(command, name=stage.name, group=SINGLE, help=text, sort_key=place)


for _place, _stage in enumerate((*CURATION, pretrain, evaluate)):
    _stage_command(_stage, _place)


@app.command(group=LOOKING)
def explain(
    workspace: Annotated[str, Parameter(help="The workspace.")],
    what: Annotated[str, Parameter(help="Path or URL of an image as indexed, its id, or the beginning of one.")],
    /,
    *,
    name: Annotated[str | None, Parameter(help="Dataset; the only one when there is one.")] = None,
) -> None:
    """Tell everything known about one image: measured, kept or dropped, and why."""
    from flows.looking import explain as tell

    _finish(None, lambda: tell(workspace, what, name))


@app.command(group=LOOKING)
def datasets(
    workspace: Annotated[str, Parameter(help="The workspace.")] = "workspace",
    action: Annotated[Literal["list", "verify"], Parameter(help="verify = read every shard again.")] = "list",
    version: Annotated[str | None, Parameter(help="What to verify: NAME/VERSION, or VERSION.")] = None,
    /,
) -> None:
    """List the published dataset versions, or check every shard of one."""
    from flows.looking import list_datasets, verify_dataset

    _finish(None, lambda: verify_dataset(workspace, version) if action == "verify" else list_datasets(workspace))


@app.command(group=LOOKING)
def report(workspace: Annotated[str, Parameter(help="The workspace.")] = "workspace", /) -> None:
    """Draw the page of a workspace: datasets, curves, scores."""
    from flows.looking import draw_report

    _finish(None, lambda: draw_report(workspace))


@app.command(group=LOOKING)
def serve(
    *,
    workspace: Annotated[str, Parameter(help="Default workspace of the forms.")] = "workspace",
    port: Annotated[int, Parameter(help="Port of the server on 127.0.0.1.")] = 4200,
    cron: Annotated[str, Parameter(help="When re-curation runs, once its schedule is switched on.")] = "0 2 * * *",
) -> None:
    """Start Prefect's server and UI on loopback, with a form for every flow, and run what is triggered."""
    from flows.commands import serve_forever

    _finish(None, lambda: serve_forever(workspace, port, cron))


def _finish(options: Options | None, work: Callable[[], dict[str, Any] | None]) -> None:
    """Do the work; with --json, print its facts as one object."""
    started = time.monotonic()
    facts = work()
    if options is not None and options.json:
        print(json.dumps({**(facts or {}), "seconds": round(time.monotonic() - started, 2)}))


def main() -> None:
    """Run the command; exit with 0 when done, 1 when the work failed, 2 when the request was wrong."""
    try:
        app(exit_on_error=False, result_action="return_value")
    except CycloptsError:
        sys.exit(WRONG)
    except UserError as mistake:
        _fail(str(mistake), WRONG)
    except WorkFailedError as failure:
        _fail(str(failure), FAILED)
    except KeyboardInterrupt:
        _fail("stopped. Run the same command again: finished parts and checkpoints are kept.", 130)
    except BrokenPipeError:
        os._exit(FAILED)


def _fail(text: str, code: int) -> None:
    print(f"dinoflow: {text}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
