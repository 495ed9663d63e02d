"""A run's report in short, for a page that is not ours: two answers and one picture."""

import base64
import io

from PIL import Image

from flows.report.kit.arrays import inline
from flows.report.run.read import facts, rows
from flows.report.run.scores import evaluations
from flows.report.run.snapshots import seen
from flows.report.run.verdict import healthy, learned
from shared.storage import Store

SIDE = 110
GAP = 4


def summary(workspace: Store, run: str) -> tuple[list[tuple[str, str]], str | None]:
    """Return questions with their answers, and a sheet of images above their components, as a data URI."""
    store = workspace.sub("runs", run)
    best, config = facts(store, "best.json") or None, facts(store, "config.json")
    scored = [one for one in evaluations(workspace) if one.run == run]
    verdicts = {
        "Did it learn?": learned(scored, best),
        "Is it healthy?": healthy(rows(store, "metrics.jsonl"), bool(facts(store, "pretrain.json"))),
    }
    answers = [(question, f"{verdict.word.capitalize()}. {verdict.text}") for question, verdict in verdicts.items()]
    snapshots = seen(workspace, run, str(config.get("dataset", "")), best["step"] if best else None)
    return answers, _sheet(
        [[row["picture"], *row["mosaics"]] for row in snapshots["components"]]
    ) if snapshots else None


def _sheet(columns: list[list[str | None]]) -> str:
    """Return the pictures as one, a column for each image."""
    step = SIDE + GAP
    sheet = Image.new("RGB", (len(columns) * step, len(columns[0]) * step), "white")
    for x, column in enumerate(columns):
        for y, picture in enumerate(column):
            if picture:
                with Image.open(io.BytesIO(base64.b64decode(picture.partition(",")[2]))) as small:
                    sheet.paste(
                        small.convert("RGB").resize((SIDE, SIDE), Image.Resampling.NEAREST), (x * step, y * step)
                    )
    return inline(sheet, "JPEG", quality=82)
