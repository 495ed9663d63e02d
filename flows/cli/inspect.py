"""The commands that look at results: explain, calibrate, datasets, doctor, metrics, report, replay, serve."""

from typing import Annotated, Literal

from cyclopts import Parameter

from flows.cli.app import LOOKING, app, finish
from flows.recipe.options import JsonOption


@app.command(group=LOOKING)
def explain(
    workspace: Annotated[str, Parameter(help="The workspace.")],
    what: Annotated[str, Parameter(help="An image: path or URL, the beginning of its id, or any image file.")],
    /,
    *,
    name: Annotated[str | None, Parameter(help="Dataset; the only one when there is one.")] = None,
    json: JsonOption = False,
) -> None:
    """Tell everything known about one image: where it was seen, what it measures, why it was kept or dropped.

    A file that was never indexed is measured on the spot, and held against the rules and the kept images.
    """
    from flows.inspect.explain import explain as tell

    finish(json, lambda: tell(workspace, what, name, json))


@app.command(group=LOOKING)
def calibrate(
    workspace: Annotated[str, Parameter(help="The workspace.")] = "workspace",
    /,
    *,
    name: Annotated[str | None, Parameter(help="Dataset; the only one when there is one.")] = None,
    pairs: Annotated[int, Parameter(help="How many pairs to ask about. More make the intervals narrower.")] = 30,
    precision: Annotated[float, Parameter(help="Share of the dropped that must be copies.")] = 0.99,
    port: Annotated[int, Parameter(help="Port of the page on 127.0.0.1; 0 = a free one.")] = 0,
    page: Annotated[
        str | None, Parameter(help="Write the page to this file instead, to be answered elsewhere.")
    ] = None,
    answers: Annotated[str | None, Parameter(help="The file of answers that such a page wrote.")] = None,
    json: JsonOption = False,
) -> None:
    """Yes or no for some thirty pairs near the limit: how right the copies are, and which limit to set.

    Opens a page on this machine that shows pairs from both sides of the limit.
    Out come precision and recall over the limit, with 95 % intervals, and the
    line for the recipe.
    """
    from flows.inspect.calibrate.calibrate import calibrate as ask

    finish(json, lambda: ask(workspace, name, pairs, port, page, answers, precision, json))


@app.command(group=LOOKING)
def datasets(
    workspace: Annotated[str, Parameter(help="The workspace.")] = "workspace",
    action: Annotated[
        Literal["list", "diff", "verify", "shards", "compact", "gc"],
        Parameter(
            help="diff = what changed from one version to another. verify = read every file again. shards = the tars "
            "of a version. compact = pack anew what is mostly of images that the newest version does not keep. "
            "gc = what no version needs: tell how much, and with --yes delete it; delete folders of old versions first."
        ),
    ] = "list",
    version: Annotated[
        str | None, Parameter(help="NAME/VERSION, or a VERSION of the only dataset; compact: NAME.")
    ] = None,
    other: Annotated[str | None, Parameter(help="diff: the later version.")] = None,
    /,
    *,
    every: Annotated[
        bool,
        Parameter(name="--all", help="diff: every image that changed, as a table.", negative=(), show_default=False),
    ] = False,
    to: Annotated[
        str | None, Parameter(help="shards: a new folder for tars that hold just the images of the version.")
    ] = None,
    dead: Annotated[float, Parameter(help="compact: share of a shard's bytes that may be of other images.")] = 0.3,
    yes: Annotated[bool, Parameter(help="gc: delete it.", negative=(), show_default=False)] = False,
    hours: Annotated[float, Parameter(help="gc: what was written since then stays.")] = 1.0,
    json: JsonOption = False,
) -> None:
    """List the published dataset versions, compare or check them, list or repack shards, free what none needs."""
    from flows.inspect.compact import compact_dataset
    from flows.inspect.datasets import list_datasets
    from flows.inspect.diff import diff
    from flows.inspect.shards import list_shards
    from flows.inspect.upkeep.gc import collect_garbage
    from flows.inspect.verify import verify

    if action == "diff":
        finish(json, lambda: diff(workspace, version, other, json, every))
    elif action == "verify":
        finish(json, lambda: verify(workspace, version, json))
    elif action == "shards":
        finish(json, lambda: list_shards(workspace, version, to, json))
    elif action == "compact":
        finish(json, lambda: compact_dataset(workspace, version, dead, json))
    elif action == "gc":
        finish(json, lambda: collect_garbage(workspace, yes, hours, json))
    else:
        finish(json, lambda: list_datasets(workspace, json))


@app.command(group=LOOKING)
def doctor(
    workspace: Annotated[str, Parameter(help="The workspace.")] = "workspace", /, *, json: JsonOption = False
) -> None:
    """Check every file of a workspace, and mend what can be made again.

    Damaged files of the stage cache are deleted, and made again when they are
    needed. Damaged versions and checkpoints are named.
    """
    from flows.inspect.upkeep.doctor import examine

    finish(json, lambda: examine(workspace, json))


@app.command(group=LOOKING)
def metrics(
    workspace: Annotated[str, Parameter(help="The workspace.")] = "workspace",
    /,
    *,
    host: Annotated[str, Parameter(help="Address to listen on; metrics are not secret, but have no password.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, Parameter(help="Port; 0 = a free one.")] = 9108,
) -> None:
    """Tell Prometheus what a workspace holds and how far its training is.

    Images kept and dropped by reason, parts of each curation stage, and of each
    run step, losses, images a second, MFU, wait for data and k-NN; with
    PREFECT_API_URL also flow runs by state. A dashboard for Grafana is in
    infra/monitoring.
    """
    from flows.inspect.exporter import serve_metrics

    finish(False, lambda: serve_metrics(workspace, host, port))


@app.command(group=LOOKING)
def report(workspace: Annotated[str, Parameter(help="The workspace.")] = "workspace", /) -> None:
    """Draw the pages of a workspace and of its runs: datasets, curves, scores, what each run sees.

    Reports of datasets are drawn again where their file was deleted.
    """
    from flows.inspect.report import draw_reports

    finish(False, lambda: draw_reports(workspace))


@app.command(group=LOOKING)
def replay(
    run: Annotated[str | None, Parameter(help="A run's name in the workspace or its folder; the newest one.")] = None,
    /,
    *,
    step: Annotated[int, Parameter(help="A step that was taken, counted from 1 as in metrics.jsonl.")],
    device: Annotated[
        Literal["auto", "cpu", "cuda"], Parameter(help="Where to take it; auto = cuda if there.")
    ] = "auto",
    workspace: Annotated[str, Parameter(help="The workspace.")] = "workspace",
    json: JsonOption = False,
) -> None:
    """Rebuild the very batch of a past step: its images, views, masks, losses and gradient norm beside those recorded.

    Steps since the last checkpoint before it are taken again too; nothing of
    the run is changed.
    """
    from flows.commands.replay import replay_step

    finish(json, lambda: replay_step(workspace, run, step, device, json))


@app.command(group=LOOKING)
def serve(
    file: Annotated[str | None, Parameter(help="YAML file of deployments; one form for every flow without.")] = None,
    /,
    *,
    workspace: Annotated[str, Parameter(help="Default workspace of the forms, where no file says so.")] = "workspace",
    host: Annotated[
        str, Parameter(help="Address to listen on. Elsewhere than on this machine alone it asks for a password.")
    ] = "127.0.0.1",
    port: Annotated[int, Parameter(help="Port of the server.")] = 4200,
) -> None:
    """Start Prefect's server and UI on loopback, with a form for every flow, and run what is triggered or scheduled.

    With --host others reach it, and the page asks for a password. Pages of other
    origins can start nothing. What is changed on the pages outlasts a restart.
    """
    from flows.commands.serve import serve_forever

    finish(False, lambda: serve_forever(file, workspace, host, port))


@app.command(group=LOOKING)
def deploy(file: Annotated[str, Parameter(help="YAML file of deployments.")], /) -> None:
    """Make the deployments of a file on the Prefect server of PREFECT_API_URL, for the workers of its work pool."""
    from flows.commands.serve import deploy as deploy_file

    finish(False, lambda: deploy_file(file))
