"""CPU seconds of a curation, stage by stage, in one process and without Prefect."""

import time

from curation.stages import STAGES
from flows.recipe.recipe import Recipe
from flows.session import Session
from shared.launch.executors import Inline
from shared.launch.progress import Silent
from shared.storage import Store


def stage_seconds(root, workspace, curation, publish):
    """Curate a folder by these parameters; return the session, and the seconds of each stage and of `publish`."""
    recipe = Recipe.model_validate({"sources": [{"kind": "folder", "url": str(root)}], "curation": curation})
    session, spent = Session(recipe, Store(str(workspace)), Inline(), Silent()), {}
    for stage in STAGES:
        start = time.process_time()
        session.make(stage)
        spent[stage.name] = time.process_time() - start
    start = time.process_time()
    publish(session)
    return session, spent | {"publish": time.process_time() - start}
