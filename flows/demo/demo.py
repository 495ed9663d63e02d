"""`dinoflow demo`: draw a corpus with planted copies and broken files, run everything, compare with the truth."""

import json
from pathlib import Path
from typing import Any

from flows.commands.console import Console
from flows.commands.pipeline import console_for, open_workspace, run
from flows.demo.corpus.corpus import LABELS, TRUTH, Truth, draw, draw_questions
from flows.demo.corpus.score import ScoreLine, score
from flows.demo.learned import learned
from flows.recipe.options import Options
from shared.dataset_version import open_version
from shared.errors import WorkspaceError

CORPUS = "corpus"
ORIGINALS = 1000


def run_demo(options: Options) -> dict[str, Any]:
    """Run the demo recipe on a drawn corpus; print what was planted and found. Raises WorkspaceError for a URL."""
    store, console = open_workspace(options.workspace), console_for(options)
    if not store.local:
        raise WorkspaceError(f"The demo draws its images into a folder of this machine, not into {options.workspace}.")
    folder = Path(store.path(CORPUS))
    if not (folder / TRUTH).exists():
        console.say(f"Drawing {ORIGINALS:,} labelled images with planted copies and broken files …")
        draw(folder, images=ORIGINALS, seed=0)
    truth = Truth.load(folder)
    if not (folder / LABELS).exists():
        draw_questions(truth)
    asked = {"kind": "manifest", "url": str(folder / LABELS), "name": "questions"}
    settings = (f"evaluation.sets={json.dumps([asked])}", *options.settings)
    facts = run(
        "demo", Options(**{**vars(options), "source": (str(truth.images),), "name": "demo", "settings": settings})
    )
    dataset = open_version(store, "demo", facts["version"])
    scores = score(truth, dataset.table("manifest", ["uri"]), dataset.table("dropped"))
    _tell(console, scores)
    console.say(f"\nDid it learn? {learned(store, facts['run'])}")
    console.say("\nNow with your own photos:")
    console.say("  dinoflow run laptop --source YOUR_PHOTOS --workspace MY_WORKSPACE")
    console.say(f"  dinoflow explain {options.workspace} {_an_example(dataset.table('dropped', ['uri', 'kept_uri']))}")
    console.say(f"  dinoflow serve --workspace {options.workspace}      (the same from a browser)")
    return facts | {"planted": [line._asdict() for line in scores]}


def _tell(console: Console, scores: list[ScoreLine]) -> None:
    console.say(f"\n{'planted':<22} {'files':>6} {'found':>6}  recall")
    for line in scores:
        if line.precision is None and line.recall is not None:
            console.say(f"{line.kind:<22} {line.planted:>6} {line.found:>6}  {line.recall:.2f}")
    console.say(f"\n{'dropped as':<22} {'files':>6} {'right':>6}  precision")
    for line in scores:
        if line.precision is not None:
            console.say(f"{line.kind.replace('_', ' '):<22} {line.planted:>6} {line.found:>6}  {line.precision:.2f}")


def _an_example(dropped: Any) -> str:
    """Return the uri of one duplicate, to be explained."""
    return next((row["uri"] for row in dropped.to_pylist() if row["kept_uri"]), "IMAGE")
