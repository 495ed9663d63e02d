"""Takes the README's pictures of the pages from the real thing: a small corpus, `dinoflow serve`, Chromium.

    python infra/screenshots/take.py [--folder FOLDER]

The corpus is drawn, curated and trained on through the pages, as a person would; some ten minutes on two cores.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from browser import Page, browser

from tests.ports import free_port
from tests.prefect_api import Api

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LIMIT_SECONDS = 1800
RECIPE = """extends: demo
name: birds
sources: [{kind: folder, url: corpus/images}]
training: {knn_every: 20}
"""
DEPLOYMENTS = """workspace: work
deployments:
- {name: curate every night, does: curate, recipe: birds.yaml, cron: "0 2 * * *", timezone: Europe/Berlin}
- {name: train on what is new, does: pretrain, recipe: birds.yaml, after_publish: true}
- {name: whole pipeline, does: run, recipe: birds.yaml}
- {name: score checkpoints, does: evaluate, recipe: birds.yaml}
- {name: does a rule help, does: ablate, recipe: birds.yaml}
"""
CHOSEN = """[...document.querySelectorAll('[role=tab][data-state=active]')].some(one => one.innerText === '{tab}')"""
SCROLL = """[...document.querySelectorAll('*')].find(one => !one.children.length && one.innerText &&
  one.innerText.startsWith('Near (Optional)')).scrollIntoView({block: 'start'})"""


def artifact(api: Api, key: str) -> Any:
    """Return the latest artifact of a key, or None."""
    [found] = api.post("/artifacts/latest/filter", {"artifacts": {"key": {"any_": [key]}}}) or [None]
    return found


def pages(api: Api) -> str:
    """Return the address of the pages."""
    return api.url.removesuffix("/api")


def wait(condition: Any, what: str) -> Any:
    """Return what the condition gives once it gives something. Raises TimeoutError."""
    end = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < end:
        try:
            if result := condition():
                return result
        except OSError:
            pass
        time.sleep(1)
    raise TimeoutError(f"{what} in vain")


@contextmanager
def served(folder: Path) -> Iterator[Api]:
    """`dinoflow serve` of the five deployments, until the block ends."""
    if not (folder / "corpus").exists():
        draw = [sys.executable, "-m", "flows.demo.corpus", str(folder / "corpus"), "--images", "1000"]
        subprocess.run(draw, cwd=ROOT, check=True)
    (folder / "birds.yaml").write_text(RECIPE.replace("corpus/images", str(folder / "corpus/images")))
    (folder / "dinoflow.yaml").write_text(DEPLOYMENTS)
    port = free_port()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PREFECT_")}
    environment |= {"PREFECT_HOME": str(folder / "prefect"), "PREFECT_RUNNER_POLL_FREQUENCY": "2"}
    command = [sys.executable, "-m", "flows.cli", "serve", str(folder / "dinoflow.yaml"), "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, env=environment) as process:
        try:
            api = Api(port)
            wait(lambda: len(api.post("/automations/filter")) == 2, "the deployments are registered")
            yield api
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(120)


def take(page: Page, api: Api) -> None:
    """Take all of them."""
    page.size(1280, 620)
    page.open(f"{pages(api)}/v2/deployments?tags=%5B%22dinoflow%22%5D", "whole pipeline")
    page.photograph(HERE / "deployments.png")
    curate = api.deployments()["curate/curate every night"]
    fill(page, api, curate["id"])
    if not artifact(api, "dataset"):
        api.post(f"/deployments/{curate['id']}/create_flow_run", {"state": {"type": "SCHEDULED"}})
    dataset = wait(lambda: artifact(api, "dataset"), "the corpus is curated")
    page.size(1280, 900)
    page.open(pages(api) + dataset["data"].partition("[Open the report](")[2].partition(")")[0], "Why and where from")
    page.photograph(HERE / "report.png")
    wait(lambda: (it := artifact(api, "training")) and it["data"].count("data:image") == 3 and halfway(it), "training")
    page.size(1280, 1000)
    page.open(f"{pages(api)}/v2/artifacts/artifact/{artifact(api, 'training')['latest_id']}", "Reload the page")
    page.holds("[...document.images].filter(one => one.naturalWidth > 300).length === 3", "the curves are drawn")
    page.photograph(HERE / "training.png")


def halfway(page: Any) -> bool:
    """Tell whether a training's page shows a curve worth a look."""
    done = int(page["description"].partition("step ")[2].partition(" of ")[0].replace(",", ""))
    return done >= 300


def fill(page: Page, api: Api, deployment: str) -> None:
    """Open the form of a curation, and choose another embedder for near copies."""
    page.open(f"{pages(api)}/v2/deployments/deployment/{deployment}/run", "Parameters")
    for tab in ("Curation", "Dedup", "Near duplicates", "Timm"):
        page.click(tab, tag="[role=tab]")
        page.holds(CHOSEN.format(tab=tab), f"{tab} is chosen")
    page.size(1280, 900)
    page.run(SCROLL)
    page.photograph(HERE / "form.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="where to work, and go on from")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, browser() as opened:
        chosen = (given.folder or Path(temporary)).absolute()
        chosen.mkdir(parents=True, exist_ok=True)
        with served(chosen) as running:
            take(opened, running)
