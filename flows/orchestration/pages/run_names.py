"""What flow runs are called in the lists of the pages: what is done, with which recipe, in which workspace."""

import re
from collections.abc import Callable
from hashlib import sha256

from prefect.runtime import flow_run

from shared.storage import Store


def named(act: str) -> Callable[[], str]:
    """Return what names a run of an act when it begins, by the last word of paths and URLs."""

    def name() -> str:
        parameters = flow_run.get_parameters()
        recipe = _last(str(parameters.get("recipe", ""))).removesuffix(".yaml").removesuffix(".yml")
        return " ".join(filter(None, [act, recipe, "→", _last(str(parameters["workspace"]))]))

    return name


def called(store: Store) -> tuple[str, str]:
    """Return the last folder of a workspace's place, fit for a link, and what tells it from others of that name."""
    url = store.url.rstrip("/")
    return re.sub(r"[^\w.-]", "-", _last(url)), sha256(url.encode()).hexdigest()[:6]


def _last(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]
