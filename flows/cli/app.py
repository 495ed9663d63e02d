"""What all commands share: the app, its groups, the options that most of them take, and how they end."""

import json
import time
from collections.abc import Callable
from typing import Annotated, Any

from cyclopts import App, Group, Parameter

from shared.errors import WorkFailedError
from shared.errors.secrets import redacted_tree

DAMAGES_SHOWN = 50

app = App(
    name="dinoflow",
    help="Raw image collections in, a trained and evaluated visual backbone out.\n\n"
    "Start with `dinoflow demo`, then `dinoflow run laptop --source YOUR_PHOTOS`.",
    help_format="plaintext",
    version_flags=["--version"],
    suppress_keyboard_interrupt=False,  # or it ends with 130 and without a word, whichever signal asked
)
PIPELINE = Group("The pipeline", sort_key=1)
SINGLE = Group("One stage alone", sort_key=2)
LOOKING = Group("Looking at results", sort_key=3)

RecipeArgument = Annotated[
    str | None,
    Parameter(help="A YAML file or a shipped recipe; `single-gpu` where there is a GPU, else `laptop`."),
]


def finish(as_json: bool, work: Callable[[], dict[str, Any] | None]) -> None:
    """Do the work; with --json, print its facts as one object. Raises WorkFailedError for what failed or is damaged."""
    started = time.monotonic()
    facts = work() or {}
    if as_json:
        print(json.dumps(redacted_tree({**facts, "seconds": round(time.monotonic() - started, 2)})))
    failed = facts.get("failed", [])
    if failed:
        raise WorkFailedError("\n".join(["Not all of it worked. Run the same command again for the rest:", *failed]))
    damaged = facts.get("damaged", [])
    if damaged:
        listed = [f"\n  {line}" for line in damaged[:DAMAGES_SHOWN]]
        more = f"\n  and {len(damaged) - DAMAGES_SHOWN:,} more" if len(damaged) > DAMAGES_SHOWN else ""
        what = f"{facts['dataset']}/{facts['version']}" if "dataset" in facts else "The workspace"
        raise WorkFailedError(
            f"{what} is damaged in {len(damaged):,} places:{''.join(listed)}{more}\n{facts['advice']}"
        )
