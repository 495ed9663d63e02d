"""Measures photographs in a Prefect flow on a cluster, of which one worker is killed: PHOTOS WORKSPACE RUNNER."""

import sys

from prefect import flow

from curation.stages import measure
from flows.orchestration.flows import open_session
from flows.orchestration.serving.temporary_server import temporary_server
from flows.recipe.recipe import load_recipe
from tests.flows.orchestration.clusters.killing import SETTINGS, Deadly


@flow
def curation() -> None:
    session = open_session(RECIPE, workspace)
    session.executor = Deadly(session.executor, "measure", f"{workspace}/killed")
    assert session.make(measure).rows


if __name__ == "__main__":
    photos, workspace, runner = sys.argv[1:]
    settings = (*SETTINGS, f"compute.runner={runner}", "compute.workers=2")
    RECIPE = load_recipe("laptop", settings=settings, sources=(photos,))
    temporary_server(RECIPE.compute)()
    curation()
