"""The last lines that the pipeline's commands print: what came of it, and where it is."""

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
    console.say(f"\ndataset      {dataset.store.path()}")
    console.say(f"its report   {dataset.store.path('report.html')}")


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
    where = store.path("stages", output.stage, f"{output.key}.json")
    console.say(f"\nTable: {where}")
    return where


def print_scores(console: Console, store: Store, run: str) -> dict[str, Any]:
    """Print, and return, the scores of a run's last checkpoint beside the baselines."""
    from flows.report.run.score_table import last_scores

    scores = last_scores(store, run)
    if scores:
        console.say()
        width = max(20, *map(len, scores))
        for title, values in scores.items():
            row = " · ".join(f"{who.replace('_', ' ')} {value:.3f}" for who, value in values.items())
            console.say(f"{title:<{width}} {row}")
    return scores


def dataset_facts(dataset: Published) -> dict[str, Any]:
    """Return what --json says of a version."""
    counts = dataset.info["counts"]
    return {"dataset": dataset.name, "version": dataset.version, "path": dataset.store.path(), "counts": counts}
