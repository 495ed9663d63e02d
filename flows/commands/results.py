"""The last lines that the pipeline's commands print: what came of it, and where it is."""

from typing import Any

from flows.commands.console import Console
from flows.commands.warnings import dataset_warnings
from shared.dataset_version import Published
from shared.storage import Store


def print_dataset(console: Console, dataset: Published) -> None:
    """Print the counts of a version, what to look at, and where it is."""
    from curation.sources.notes import source_lines

    counts = dataset.info["counts"]
    console.say()
    console.say(f"{dataset.name} {dataset.version}: {counts['indexed']:,} indexed, {counts['kept']:,} kept")
    for reason, count in counts["reasons"].items():
        console.say(f"  {count:>9,} dropped: {reason.replace('_', ' ')}")
    for line in dataset_warnings(dataset.info):
        console.say(f"warning      {line}")
    for line in source_lines(dataset.info):
        console.say(line)
    console.say(f"\ndataset      {dataset.store.path()}")
    console.say(f"its report   {dataset.store.path('report.html')}")


def print_sources(console: Console, notes: dict[str, dict[str, Any]]) -> None:
    """Print what each source holds that is no image, and what was guessed of its labels."""
    from curation.sources.notes import note_lines

    for source, facts in notes.items():
        for line in note_lines(facts):
            console.say(f"{source}: {line}")


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
