"""dinoflow, its quality rules off: the groups are a kept image and those that were dropped for it.

python dinoflow_groups.py IMAGES OUTPUT [KEY=VALUE…]
"""

import json
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from curation.stages import index, select
from flows.recipe.recipe import load_recipe
from flows.session import Session
from shared.catalog import DECISIONS, IMAGES
from shared.errors import RecipeError
from shared.launch.executors import Inline
from shared.launch.progress import Silent
from shared.storage import Store
from shared.tables import Rows

images, output, *changes = sys.argv[1:]
try:
    recipe = load_recipe("laptop", settings=["curation.quality.rules=[]", *changes], sources=[images])
except RecipeError as error:
    sys.exit(f"this version refuses the recipe: {' '.join(str(error).split())}")

with tempfile.TemporaryDirectory() as workspace:
    session = Session(recipe, Store(workspace), Inline(), Silent())
    decided, indexed = session.make(select), session.make(index)
    uris = Rows(session.store, indexed).table(IMAGES, ["uri"])["uri"].to_pylist()
    kept_uris = Rows(session.store, decided).table(DECISIONS, ["kept_uri"])["kept_uri"].to_pylist()

groups = defaultdict(list)
for uri, kept_uri in zip(uris, kept_uris, strict=True):
    groups[kept_uri or uri].append(uri)
Path(output).write_text(json.dumps({"groups": list(groups.values())}))
