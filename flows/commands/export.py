"""`dinoflow export`: finds the run and the checkpoint that are meant, writes them, says where they are."""

import sys
from pathlib import Path
from typing import Any

from flows.commands.console import Console
from flows.commands.find_run import found_run, where
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
    names = [name.strip() for name in formats.split(",")] if formats else []
    if to and "://" in to:
        raise WorkspaceError(f"Export needs a folder on a disk for --to, got {to}. Leave it out.")
    with found_run(workspace, run) as folder:
        chosen = _chosen(folder, step)
        from training.export import FORMATS, export

        unknown = [name for name in names if name not in FORMATS]
        if unknown:
            raise UserError(f"--formats takes {', '.join(FORMATS)} with commas between, got {unknown[0]!r}.")
        folder.state(chosen)
        facts = export(folder.path, chosen, Path(to).absolute() if to else None, names, image_size)
    for name in ("export", "heads", "card"):
        facts[name] = where(folder, facts[name])
    facts["formats"] = {name: where(folder, path) for name, path in facts["formats"].items()}
    _tell(Console(sys.stderr if as_json else None), facts)
    return facts


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
