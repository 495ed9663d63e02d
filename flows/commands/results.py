"""The last lines that the pipeline's commands print: what came of it, and where it is."""

from collections.abc import Callable, Sequence
from typing import Any

from flows.commands.console import Console
from flows.commands.warnings import dataset_warnings
from shared.dataset_version import Published
from shared.storage import Store
from shared.tables import Output


def print_dataset(console: Console, dataset: Published) -> None:
    """Print the counts of a version, what to look at, and where it is."""
    from curation.sources.notes import source_lines
    from flows.report.dataset.balance_text import balance_lines

    counts = dataset.info["counts"]
    console.say()
    console.say(f"{dataset.name} {dataset.version}: {counts['indexed']:,} indexed, {counts['kept']:,} kept")
    for reason, count in counts["reasons"].items():
        console.say(f"  {count:>9,} dropped: {reason.replace('_', ' ')}")
    for line in balance_lines(dataset.info):
        console.say(f"  {line}")
    for line in dataset_warnings(dataset.info):
        console.say(f"warning      {line}")
    for line in source_lines(dataset.info):
        console.say(line)
    console.say(f"\ndataset      {dataset.store.place()}")
    console.say(f"its report   {dataset.store.place('report.html')}")


def print_table(console: Console, store: Store, output: Output) -> str:
    """Print what a stage dropped, what it says of sources and of evenness, and where its table is; return that."""
    from curation.sources.notes import note_lines
    from flows.report.dataset.balance_text import stage_lines

    for reason, count in sorted(output.reasons.items(), key=lambda pair: -pair[1]):
        console.say(f"  {count:>9,} {reason}")
    for line in stage_lines(output.parts[0].facts) if output.stage == "balance" and output.parts else ():
        console.say(f"  {line}")
    for source, facts in output.facts.get("sources", {}).items():
        for line in note_lines(facts):
            console.say(f"{source}: {line}")
    where = store.place("stages", output.stage, f"{output.key}.json")
    console.say(f"\nTable: {where}")
    return where


def print_scores(console: Console, store: Store, run: str) -> dict[str, Any]:
    """Print the scores of a run's last checkpoint beside the baselines, and whether it learned; return the scores."""
    from flows.report.run.read import facts
    from flows.report.run.score_table import last_scores
    from flows.report.run.scores import evaluations
    from flows.report.run.verdict import learned

    scores = last_scores(store, run)
    if not scores:
        return scores
    scored = [one for one in evaluations(store) if one.run == run]
    columns = list(dict.fromkeys(name for row in scores.values() for name in row))
    heads = ["", *(COLUMNS.get(name, name) for name in columns)]
    heads[1] += f", step {scored[-1].step:,}"
    rows = [
        [name, *(_with_interval(row.get(who), scored[-1].protocols.get(name, {})) for who in columns)]
        for name, row in scores.items()
    ]
    console.say()
    for line in aligned([heads, *rows]):
        console.say(line)
    verdict = learned(scored, facts(store.sub("runs", run), "best.json") or None)
    console.say(f"\nDid it learn?  {verdict.word.capitalize()}. {verdict.text}")
    return scores


COLUMNS = {"trained": "trained", "random_init": "untrained", "pixels": "raw pixels"}


def _with_interval(value: float | None, protocol: dict[str, Any]) -> str:
    """Return a value; half the width of its 95 % interval too where it is a share of so many queries."""
    from training.eval.math.proportions import share_interval

    if value is None:
        return "–"
    queries = protocol.get("queries")
    if "better" in protocol or not queries or not 0 <= value <= 1:
        return f"{value:.3f}"
    low, high = share_interval(value, queries)
    return f"{value:.3f} ± {(high - low) / 2:.3f}"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the rows of a table as lines: the first column to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) if not place else cell.rjust(width) for place, (cell, width) in enumerate(pairs))
        for pairs in ([*zip(row, widths, strict=True)] for row in rows)
    ]


def print_training(console: Console, store: Store, run: str, facts: dict[str, Any]) -> None:
    """Print what a finished training came to: length, speed, and its course from the first step to the last."""
    from flows.report.run.read import column, rows

    table = rows(store, f"runs/{run}/metrics.jsonl")
    console.say(
        f"\n{facts['steps']:,} steps, {facts['images_seen']:,} images in {facts['seconds'] / 60:,.1f} minutes "
        f"({facts['images_per_second']:,.0f} images/s), {facts['skipped_steps']:,} steps left out"
    )
    lines = [["", "first", "best", "last"]]
    for key, (name, best) in COURSE.items():
        values = column(table, key)[1]
        if values:
            lines.append([name, *(f"{value:.4g}" for value in (values[0], best(values), values[-1]))])
    queries = next((int(row["knn_queries"]) for row in table if "knn_queries" in row), 0)
    for line in aligned(lines):
        console.say(line)
    if queries:
        console.say(f"k-NN here is of a sample of {queries:,} queries; `dinoflow evaluate` asks all, beside baselines")
    for alarm in facts.get("alarms", []):
        console.say(f"alarm: {alarm}")


COURSE: dict[str, tuple[str, Callable[[Sequence[float]], float]]] = {
    "loss": ("loss", min),
    "knn_top1": ("k-NN of the teacher", max),
    "teacher_effective_rank": ("effective rank", max),
    "grad_norm": ("gradient norm", min),
}
"""Key in metrics.jsonl → what it is called, and which of its values is the best."""


def dataset_facts(dataset: Published) -> dict[str, Any]:
    """Return what --json says of a version."""
    counts = dataset.info["counts"]
    return {"dataset": dataset.name, "version": dataset.version, "path": dataset.store.place(), "counts": counts}
