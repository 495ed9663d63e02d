"""Two commands at once in one workspace: of one request, of two, and of one training."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.benchmarks.campaign import inputs
from tests.benchmarks.campaign.command import dinoflow
from tests.benchmarks.campaign.kill_curation import Curation
from tests.benchmarks.campaign.results import all_versions, published, trained
from tests.benchmarks.campaign.tally import Tally


def curations(one: Curation, tally: Tally, times: int) -> None:
    """Curate twice at once: the same sources, and other ones under the same name."""
    other_sources = inputs.draw(one.home / "other")
    inputs.change(other_sources)
    other = inputs.recipe(one.home / "other.json", str(other_sources))
    fresh = one.fresh()
    assert dinoflow("pack", other, "--workspace", fresh).code == 0
    expected = published(str(fresh))
    for second, wanted, title in (
        (one.recipe, [one.expected], "two commands at once, one request"),
        (other, [one.expected, expected], "two commands at once, two requests"),
    ):
        row = tally.row(title)
        for _ in range(times):
            workspace = one.fresh()
            with ThreadPoolExecutor(2) as threads:
                endings = list(
                    threads.map(lambda recipe: dinoflow("pack", recipe, "--workspace", workspace), (one.recipe, second))  # noqa: B023
                )
            row.fired += 1
            row.tried += 1
            for ending in endings:
                if ending.code or not ending.clear:
                    row.fail("one of them", ending)
            versions = all_versions(str(workspace))
            if any(version not in wanted for version in versions) or any(one not in versions for one in wanted):
                row.lose("a version that neither of them asked for, or none of what one asked for")
            shutil.rmtree(workspace)


def trainings(whole: Path, recipe: Path, home: Path, tally: Tally, times: int) -> None:
    """Train one run twice at once."""
    row, expected = tally.row("two trainings of one run at once"), trained(str(whole))
    for number in range(times):
        workspace = shutil.copytree(whole, home / f"both{number}", ignore=shutil.ignore_patterns("runs"))
        with ThreadPoolExecutor(2) as threads:
            endings = list(threads.map(lambda _: dinoflow("pretrain", recipe, "--workspace", workspace), range(2)))  # noqa: B023
        row.fired += 1
        row.tried += 1
        for ending in endings:
            if ending.code or not ending.clear:
                row.fail("one of them", ending)
        if trained(str(workspace)) != expected:
            row.lose("weights or losses are not equal to the bit")
        shutil.rmtree(workspace)
