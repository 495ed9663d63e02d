"""Dask and Ray for real: two worker processes on this machine, of which one is killed in the middle."""

import hashlib
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from flows import pipeline
from flows.orchestration.clusters.machines import machines_for
from flows.recipe.recipe import load_recipe
from flows.session import Session
from shared.errors import UserError
from shared.launch.child_processes import WorkerDiedError
from shared.launch.executors import Inline
from shared.launch.progress import Silent
from shared.params import Compute, Resources
from shared.storage import Store
from tests.flows.orchestration.clusters.killing import SETTINGS, Deadly, killed_always

ROOT = Path(__file__).parents[4]
RUNNERS = [
    pytest.param("dask", marks=pytest.mark.skipif(not find_spec("prefect_dask"), reason="needs dinoflow[dask]")),
    pytest.param("ray", marks=pytest.mark.skipif(not find_spec("prefect_ray"), reason="needs dinoflow[ray]")),
]


@pytest.fixture(scope="module", params=RUNNERS)
def cluster(request):
    """Two workers, for all tests of a runner."""
    made = machines_for(Compute(runner=request.param, workers=2))
    yield made
    made.close()


def curated(photos: Path, workspace: Path, executor, *settings: str) -> Path:
    recipe = load_recipe("laptop", settings=(*SETTINGS, *settings), sources=(str(photos),))
    pipeline.curate(Session(recipe, Store(str(workspace)), executor, Silent()))
    return workspace


def content(workspace: Path) -> dict[str, str]:
    """The digest of every table and every shard, by its path."""
    files = [*workspace.rglob("*.parquet"), *workspace.rglob("*.tar")]
    return {str(file.relative_to(workspace)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def number_and_worker(number: int) -> tuple[int, int]:
    return number, os.getpid()


def fail(number: int) -> None:
    raise UserError(f"{number} is no picture")


def test_a_curation_whose_worker_is_killed_gives_the_bytes_of_one_machine(cluster, photos, tmp_path):
    """In a map, and in a round of the search for candidates; an evaluation set and balance have work, too."""
    images = photos(48)
    (tmp_path / "set.txt").write_text("\n".join(sorted(map(str, images.rglob("*.*")))[:3]))
    source = json.dumps({"kind": "list", "url": str(tmp_path / "set.txt")})
    sets = f'curation.decontaminate.sets=[{{"name": "set", "cap": 1, "source": {source}}}]'
    alone = content(curated(images, tmp_path / "alone", Inline(), sets))
    assert len(alone) > 20
    for stage in ("measure", "candidates: search"):
        killed = tmp_path / f"{stage} was killed"
        on_cluster = curated(images, tmp_path / stage, Deadly(cluster, stage, str(killed)), sets)
        assert killed.exists()
        assert content(on_cluster) == alone
    for table in ("candidates", "decontaminate", "dedup", "balance"):
        assert any(table in name for name in alone)


def test_all_items_come_back_from_other_processes_whatever_they_need(cluster):
    results = dict(cluster.map(number_and_worker, range(40), "number", Resources(gpu=True, memory=10_000)))
    assert sorted(results) == list(range(40))
    assert os.getpid() not in set(results.values())


def test_an_error_comes_back_as_it_was_raised(cluster):
    with pytest.raises(UserError, match=r"^7 is no picture$"):
        list(cluster.map(fail, [7], "fail"))


def test_work_that_kills_every_worker_is_an_error_and_not_a_hang(cluster):
    with pytest.raises(WorkerDiedError, match="killed from outside"):
        list(cluster.map(killed_always, [1], "die"))


@pytest.mark.slow
@pytest.mark.parametrize("runner", RUNNERS)
def test_prefect_measures_on_a_cluster_whose_worker_is_killed(runner, photos, tmp_path):
    images = photos(48)
    command = [sys.executable, "-m", "tests.flows.orchestration.clusters.measure_in_prefect"]
    home = {"PREFECT_HOME": str(tmp_path / "prefect")}
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")} | home
    done = subprocess.run(
        [*command, str(images), str(tmp_path / "w"), runner],
        cwd=ROOT,
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (tmp_path / "w/killed").exists()
    alone = content(curated(images, tmp_path / "alone", Inline()))
    measured = content(tmp_path / "w")
    assert len(measured) > 4
    assert measured.items() <= alone.items()


def test_a_runner_that_is_not_installed_is_refused_with_what_to_install(monkeypatch):
    monkeypatch.setattr("flows.orchestration.clusters.machines.find_spec", lambda _: None)
    for runner in ("dask", "ray"):
        with pytest.raises(UserError, match=rf"pip install 'dinoflow\[{runner}\]'"):
            machines_for(Compute(runner=runner))
