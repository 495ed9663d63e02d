"""The campaign of tests/benchmarks/chaos.py in short: a few real commands are killed, and nothing is lost."""

from pathlib import Path

import pytest

from tests.benchmarks.campaign.command import Aim, dinoflow
from tests.benchmarks.campaign.kill_curation import Curation
from tests.benchmarks.campaign.results import finished, published
from tests.benchmarks.campaign.tally import Tally

AIMS = (
    Aim("start-up", seconds=0.5),
    Aim("commit", "os.rename", r"/stages/measure/[^/]*\.parquet$", 3),
    Aim("commit", "os.rename", r"/stages/dedup/[^/]*\.json$", 1, "before"),
    Aim("publish", "os.rename", r"/datasets/pets/v0001$", 1, "before"),
    Aim("publish", "os.rename", r"/report\.html$", 1, "before"),
)


@pytest.mark.slow
def test_a_curation_killed_at_start_up_at_commits_and_in_publishing_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    one = Curation(tmp_path, Tally(), seed=0)
    before: frozenset[str] = frozenset()
    for aim in AIMS:
        ending = one.run(tmp_path / "w", aim)
        assert ending.killed, aim
        assert ending.orphans == []
        after = finished(tmp_path / "w")
        assert after > before or aim.name == "start-up"
        before = after
    assert dinoflow("pack", one.recipe, "--workspace", tmp_path / "w").code == 0
    assert published(str(tmp_path / "w")) == one.expected


def test_what_is_lost_is_counted_and_shown() -> None:
    tally = Tally()
    row = tally.row("SIGKILL at a commit")
    row.fired, row.tried = 3, 2
    row.lose("the result is another")
    assert (tally.kills, tally.broken) == (2, 1)
    assert "| SIGKILL at a commit | 3 | 2 | 0 | 1 |" in list(tally.table())
