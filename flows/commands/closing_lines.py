"""The last lines of a command: what was made, where it is, and how good it is."""

from typing import Any

from flows.commands.console import Console
from flows.commands.warnings import dataset_warnings
from shared.dataset_version import Published
from shared.storage import Store
from shared.tables import Output


def tell_table(console: Console, store: Store, output: Output) -> str:
    """Say what a stage dropped and, of balance, how even it made the images; return where its table is."""
    from flows.report.dataset.balance_text import stage_lines

    for reason, count in sorted(output.reasons.items(), key=lambda pair: -pair[1]):
        console.say(f"  {count:>9,} {reason}")
    for line in stage_lines(output.parts[0].facts) if output.stage == "balance" and output.parts else ():
        console.say(f"  {line}")
    where = store.path("stages", output.stage, f"{output.key}.json")
    console.say(f"\nTable: {where}")
    return where


def tell_dataset(console: Console, dataset: Published) -> None:
    """Say how many images were kept, why the others were dropped, and how even the kept ones are."""
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
    console.say(f"\ndataset      {dataset.store.path()}")
    console.say(f"its report   {dataset.store.path('report.html')}")


def tell_scores(console: Console, store: Store, run: str) -> dict[str, Any]:
    """Say and return the scores of a run's last checkpoint."""
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
    """Return what --json tells of a dataset version."""
    counts = dataset.info["counts"]
    return {"dataset": dataset.name, "version": dataset.version, "path": dataset.store.path(), "counts": counts}
