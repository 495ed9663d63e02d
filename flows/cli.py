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
STORAGE_CLIENTS = ("aiobotocore", "aiohttp", "azure", "botocore", "gcsfs", "google")
DAMAGES_SHOWN = 50

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

    _finish(options.json, lambda: commands.run(recipe, options))


@app.command(group=PIPELINE)
def curate(recipe: RecipeArgument = None, /, *, options: Options = Options()) -> None:
    """Index … pack: publish a dataset version, as one Prefect flow."""
    from flows import commands

    _finish(options.json, lambda: commands.curate(recipe, options))


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
    _finish(options.json, lambda: run_demo(options))


def _stage_command(stage: Stage, place: int) -> None:
    def command(recipe: RecipeArgument = None, /, *, options: Options = Options()) -> None:
        from flows import commands

        _finish(options.json, lambda: commands.one_stage(stage, recipe, options))

    text = f"{stage.help}\n\n{parameters(stage.params, stage.key)}"
    app.command(command, name=stage.name.replace("_", "-"), group=SINGLE, help=text, sort_key=place)


for _place, _stage in enumerate((*CURATION, pretrain, evaluate)):
    _stage_command(_stage, _place)


@app.command(group=LOOKING)
def explain(
    workspace: Annotated[str, Parameter(help="The workspace.")],
    what: Annotated[str, Parameter(help="An image: path or URL, the beginning of its id, or any image file.")],
    /,
    *,
    name: Annotated[str | None, Parameter(help="Dataset; the only one when there is one.")] = None,
    json: Json = False,
) -> None:
    """Tell everything known about one image: where it was seen, what it measures, why it was kept or dropped.

    A file that was never indexed is measured on the spot, and held against the rules and the kept images.
    """
    from flows.looking.explain import explain as tell

    _finish(json, lambda: tell(workspace, what, name, json))


@app.command(group=LOOKING)
def datasets(
    workspace: Annotated[str, Parameter(help="The workspace.")] = "workspace",
    action: Annotated[
        Literal["list", "diff", "verify"],
        Parameter(help="diff = what changed from one version to another. verify = read every file again."),
    ] = "list",
    version: Annotated[str | None, Parameter(help="NAME/VERSION, or a VERSION of the only dataset.")] = None,
    other: Annotated[str | None, Parameter(help="diff: the later version.")] = None,
    /,
    *,
    json: Json = False,
) -> None:
    """List the published dataset versions, compare two, or check every file of one."""
    from flows.looking.datasets import list_datasets
    from flows.looking.diff import diff
    from flows.looking.verify import verify

    if action == "diff":
        _finish(json, lambda: diff(workspace, version, other, json))
    elif action == "verify":
        _finish(json, lambda: verify(workspace, version, json))
    else:
        _finish(json, lambda: list_datasets(workspace, json))


@app.command(group=LOOKING)
def report(workspace: Annotated[str, Parameter(help="The workspace.")] = "workspace", /) -> None:
    """Draw the page of a workspace: datasets, curves, scores; and reports of datasets whose file was deleted."""
    from flows.looking.page import draw_reports

    _finish(False, lambda: draw_reports(workspace))


@app.command(group=LOOKING)
def serve(
    *,
    workspace: Annotated[str, Parameter(help="Default workspace of the forms.")] = "workspace",
    port: Annotated[int, Parameter(help="Port of the server on 127.0.0.1.")] = 4200,
    cron: Annotated[str, Parameter(help="When re-curation runs, once its schedule is switched on.")] = "0 2 * * *",
) -> None:
    """Start Prefect's server and UI on loopback, with a form for every flow, and run what is triggered."""
    from flows.commands import serve_forever

    _finish(False, lambda: serve_forever(workspace, port, cron))


def _finish(as_json: bool, work: Callable[[], dict[str, Any] | None]) -> None:
    """Do the work; with --json, print its facts as one object. Raises WorkFailedError where something is damaged."""
    started = time.monotonic()
    facts = work() or {}
    if as_json:
        print(json.dumps({**facts, "seconds": round(time.monotonic() - started, 2)}))
    damaged = facts.get("damaged", [])
    if damaged:
        listed = [f"\n  {line}" for line in damaged[:DAMAGES_SHOWN]]
        more = f"\n  and {len(damaged) - DAMAGES_SHOWN:,} more" if len(damaged) > DAMAGES_SHOWN else ""
        raise WorkFailedError(
            f"{facts['dataset']}/{facts['version']} is damaged in {len(damaged):,} places:{''.join(listed)}{more}\n"
            "Delete its folder and `stages/pack` of the workspace, then curate again: the images are packed once more."
        )


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
    except Exception as error:
        if not _of_storage(error):
            raise
        _fail(f"{type(error).__name__}: {error}. Check the URL or path, its permissions and your credentials.", FAILED)


def _of_storage(error: Exception) -> bool:
    """Tell what a disk or an object store refuses from a bug: its clients raise errors of their own."""
    return isinstance(error, OSError) or type(error).__module__.partition(".")[0] in STORAGE_CLIENTS


def _fail(text: str, code: int) -> None:
    print(f"dinoflow: {text}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
