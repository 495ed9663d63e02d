"""`dinoflow export`: finds the run and the checkpoint that are meant, writes them, says where they are."""

import sys
from pathlib import Path
from typing import Any

from flows.commands.console import Console
from shared.errors import UserError, WorkspaceError
from training.runs.best import best_step
from training.runs.run_folder import RunFolder


def export_run(
    workspace: str,
    run: str | None,
    step: int | None,
    to: str | None,
    formats: str | None,
    image_size: int,
    as_json: bool,
) -> dict[str, Any]:
    """Export a checkpoint of a run."""
    folder = found_run(workspace, run)
    chosen = _chosen(folder, step)
    names = [name.strip() for name in formats.split(",")] if formats else []
    from training.export import FORMATS, export

    unknown = [name for name in names if name not in FORMATS]
    if unknown:
        raise UserError(f"--formats takes {', '.join(FORMATS)} with commas between, got {unknown[0]!r}.")
    facts = export(folder.path, chosen, Path(to).absolute() if to else None, names, image_size)
    _tell(Console(sys.stderr if as_json else None), facts)
    return facts


def found_run(workspace: str, run: str | None) -> RunFolder:
    """Return a run by its folder or its name, or the one that was written last."""
    if "://" in workspace or (run and "://" in run):
        raise WorkspaceError(
            f"Export needs a run on a disk, got {run or workspace}. Copy the run's folder here, and give its path."
        )
    runs = Path(workspace).absolute() / "runs"
    trained = sorted(path for path in runs.glob("*") if RunFolder(path).steps())
    if run is None:
        if not trained:
            raise WorkspaceError(f"There is no run with a checkpoint in {workspace}. Run `dinoflow pretrain` first.")
        return RunFolder(max(trained, key=lambda path: (path / "checkpoints").stat().st_mtime_ns))
    for path in (runs / run, Path(run).absolute()):
        if RunFolder(path).steps():
            return RunFolder(path)
    named = ", ".join(path.name for path in trained) or "none"
    raise WorkspaceError(f"There is no run {run} with a checkpoint. Runs in {workspace}: {named}.")


def _chosen(folder: RunFolder, step: int | None) -> int:
    steps = folder.steps()
    if step is None:
        return best_step(folder) or steps[-1]
    if step not in steps:
        listed = ", ".join(map(str, steps))
        raise UserError(f"{folder.path.name} has no checkpoint of step {step}. Choose one of: {listed}.")
    return step


def _tell(console: Console, facts: dict[str, Any]) -> None:
    console.say(f"{facts['run']}, step {facts['step']:,}, for images of {facts['image_size']} pixels")
    console.say()
    for name, path in facts["formats"].items():
        console.say(f"{name:<14}{path}")
    console.say(f"{'heads':<14}{facts['heads']}")
    console.say(f"{'card':<14}{facts['card']}")
    for name, why in facts["left_out"].items():
        console.say(f"\n{name} was left out: {why}")
    console.say("\nNext: the card has the code that loads each of them; write your licence into it.")
