"""What Prefect's pages show of a run: a table for each stage, the dataset with pictures, the scores."""

import base64
import io
from typing import Any

import numpy as np
from PIL import Image
from prefect.artifacts import create_markdown_artifact

from flows.orchestration.pages.report_links import report_line
from flows.report.run.score_table import scored_checkpoints
from flows.report.run.summary import summary
from shared.dataset_version import Published
from shared.images.decode import UndecodableError, decode
from shared.stage import Stage
from shared.storage import Store
from shared.tables import Output
from training.runs.scores import score_label

THUMBNAIL = 96
SHEET = (8, 4)
"""Columns and rows of the contact sheet: about 100 kB, far below the 1 MB that the server stores well."""


def stage_artifact(stage: Stage, output: Output) -> None:
    """Publish what a stage made, on the run that called it."""
    lines = [stage.help, "", f"**{output.rows:,} rows** in {len(output.parts)} parts"]
    if output.reasons:
        lines += ["", "| reason | images |", "|---|--:|"]
        lines += [f"| {reason.replace('_', ' ')} | {n:,} |" for reason, n in _most_first(output.reasons)]
    lines += ["", f"`{stage.name}/{output.key}` in the workspace's stage cache."]
    create_markdown_artifact(
        "\n".join(lines), key=stage.name.replace("_", "-"), description=f"{stage.name}: {output.rows:,} rows"
    )


def rows_text(output: Output) -> str:
    """Return in words how many rows a stage made, and why images were dropped."""
    reasons = [f"{n:,} {reason.replace('_', ' ')}" for reason, n in _most_first(output.reasons)]
    return f"{output.rows:,} rows" + (f", dropped: {', '.join(reasons)}" if reasons else "")


def dataset_artifact(workspace: Store, dataset: Published, new: bool) -> None:
    """Publish a dataset version, or that there is no new one: counts, reasons, and what its images look like."""
    info = dataset.info
    counts = info["counts"]
    lines = [
        f"# {dataset.name} {dataset.version}",
        *([] if new else ["**Nothing new**: this version, published before, is what the sources give still.", ""]),
        f"**{counts['indexed']:,} images indexed → {counts['kept']:,} kept**, {counts['dropped']:,} dropped.",
        "",
        f"![some of the kept images]({_contact_sheet(dataset)})",
        "",
        "| dropped because | images |",
        "|---|--:|",
        *(f"| {reason.replace('_', ' ')} | {n:,} |" for reason, n in _most_first(counts["reasons"])),
        "",
        "| source | indexed | kept | dropped |",
        "|---|--:|--:|--:|",
        *(f"| {s} | {n['indexed']:,} | {n['kept']:,} | {n['dropped']:,} |" for s, n in counts["sources"].items()),
        "",
        report_line(workspace, "datasets", dataset.name, dataset.version, "report.html"),
    ]
    what = f"{dataset.name} {dataset.version}: {counts['kept']:,} images"
    create_markdown_artifact("\n".join(lines), key="dataset", description=what if new else f"nothing new: {what}")


def run_artifact(store: Store, run: str) -> None:
    """Publish what became of a run: the report's answers, scores beside the baselines, what it sees, and where."""
    answers, sheet = summary(store, run)
    scored = scored_checkpoints(store, run)
    columns = _columns(scored)
    lines = [f"# {run}", *(f"**{question}** {answer}\n" for question, answer in answers)]
    lines += ["", "| step | " + " | ".join(columns) + " |", "|--:|" + "--:|" * len(columns)]
    lines += [_row(f"{s['step']:,}", s["scores"], columns) for s in scored]
    if scored:
        lines += [_row(name.replace("_", " "), s, columns) for name, s in scored[-1]["baselines"].items()]
    if sheet:
        lines += ["", f"![images, and the principal components of their patches]({sheet})"]
    lines += ["", report_line(store, "runs", run, "report.html")]
    create_markdown_artifact("\n".join(lines), key="evaluation", description=f"scores of {run}")


def _columns(scored: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(score_label(score) for one in scored for score in one["scores"]))


def _row(name: str, scores: list[dict[str, Any]], columns: list[str]) -> str:
    values = {score_label(score): f"{score['value']:.3f}" for score in scores}
    return f"| {name} | " + " | ".join(values.get(column, "") for column in columns) + " |"


def _most_first(counts: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: -pair[1])


def _contact_sheet(dataset: Published) -> str:
    """Return a JPEG of evenly spaced kept images, as a data URI."""
    columns, rows = SHEET
    table = dataset.table("manifest", ["shard", "offset", "length"])
    picked = np.unique(np.linspace(0, max(0, table.num_rows - 1), min(columns * rows, table.num_rows), dtype=int))
    sheet = Image.new("RGB", (columns * THUMBNAIL, max(1, -(-len(picked) // columns)) * THUMBNAIL), "white")
    for place, row in enumerate(table.take(picked).to_pylist()):
        try:
            image = decode(dataset.read(**row)).image
        except UndecodableError:
            continue
        image.thumbnail((THUMBNAIL - 4, THUMBNAIL - 4))
        sheet.paste(image, (place % columns * THUMBNAIL, place // columns * THUMBNAIL))
    sink = io.BytesIO()
    sheet.save(sink, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(sink.getvalue()).decode()
