"""`dinoflow replay RUN --step N`: a past step once more, its numbers beside those that were recorded."""

import sys
from typing import Any, Literal

from flows.commands.console import Console
from flows.commands.find_run import found_run, where
from shared.params import Compute

SHOWN = 8


def replay_step(
    workspace: str, run: str | None, step: int, device: Literal["auto", "cpu", "cuda"], as_json: bool
) -> dict[str, Any]:
    """Take a step of a run again and show what comes of it."""
    from training.loop.replay import TOLERANCE, replay

    with found_run(workspace, run) as folder:
        facts = replay(folder, step, Compute(device=device, processes=1))
    facts["picture"] = where(folder, facts["picture"])
    console = Console(sys.stderr if as_json else None, quiet=as_json)
    console.say(f"{facts['run']}, step {step:,}, taken again from step {facts['from_step']:,} on")
    for uri in facts["images"][:SHOWN]:
        console.say(f"  {uri}")
    console.say(f"  {len(facts['images']):,} images, {facts['masked_patches']:,} masked patches")
    console.say(f"\n{'':<14}{'recorded':>14}{'replayed':>14}")
    for name, pair in facts["numbers"].items():
        console.say(f"{name:<14}{pair['recorded']:>14.6g}{pair['replayed']:>14.6g}")
    apart = f"they differ by {facts['difference']:.2g} of their size"
    within = f"{apart}, within the {TOLERANCE:g} of another machine"
    verdict = (
        "equal to the bit" if facts["equal"] else within if facts["within_tolerance"] else f"{apart}: not this step"
    )
    console.say(f"\n{verdict}\nviews and masks  {facts['picture']}")
    return facts
