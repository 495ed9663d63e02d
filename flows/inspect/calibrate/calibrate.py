"""`dinoflow calibrate WORKSPACE`: asks about pairs near the limit, and says which limit the answers call for."""

import json
import sys
from pathlib import Path
from typing import Any

from flows.commands.console import Console
from flows.inspect.calibrate.answers import FEWEST, Calibration, prepared
from flows.inspect.calibrate.page import pictures, render
from flows.inspect.calibrate.pairs import Pair
from flows.inspect.calibrate.server import served
from shared.errors import UserError

LOOK_SECONDS = 0.5


def calibrate(
    workspace: str,
    name: str | None,
    count: int,
    port: int,
    page: str | None,
    answers: str | None,
    goal: float,
    as_json: bool,
) -> dict[str, Any]:
    """Ask, or take the answers of a file, and print the verdict; with `page`, only write the page there."""
    console = Console(sys.stderr if as_json else None)
    one = prepared(workspace, name, count, goal)
    title = f"{one.dataset.name} {one.dataset.version}"
    if answers is not None:
        facts = one.finish(_read(answers))
    else:
        html, readable = _page(one, title, served=page is None)
        console.say(f"{len(readable)} pairs of {title}, on both sides of the limit {one.limit:g}")
        if page is not None:
            Path(page).write_text(html)
            console.say(f"Open {Path(page).absolute()} and answer; then dinoflow calibrate {workspace} --answers FILE")
            return {"page": str(Path(page).absolute()), "pairs": len(readable)}
        _ask(one, html, port, console)
        facts = one.finish({"calibration": one.key, "answers": one.kept()})
    for line in facts["lines"]:
        console.say(line)
    return {key: value for key, value in facts.items() if key != "lines"} | {"path": one.store.place(one.path)}


def _page(one: Calibration, title: str, served: bool) -> tuple[str, list[Pair]]:
    drawn = pictures(one.dataset, one.lineage, one.pairs)
    readable = [pair for pair in one.pairs if pair[0] in drawn and pair[1] in drawn]
    if len(readable) < FEWEST:
        raise UserError(
            f"calibrate needs the pictures of its pairs, but only {len(readable)} of {len(one.pairs)} can be read: the "
            "dropped images lie in the sources. Bring them back."
        )
    return render(title, one.key, readable, drawn, one.kept(), served), readable


def _ask(one: Calibration, html: str, port: int, console: Console) -> None:
    with served(html, one.keep, one.finish, port) as (address, done):
        console.say(f"Open {address}")
        console.say(f"Keys y and n answer. Every answer is kept in {one.store.place(one.path)}; Ctrl-C stops.")
        while not done.wait(LOOK_SECONDS):
            pass


def _read(path: str) -> Any:
    try:
        return json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"--answers needs the file that the page wrote, got {path}: {error}.") from error
