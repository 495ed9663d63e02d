"""What flow runs are called in the lists of the pages: what is done, with which recipe, in which workspace."""

from collections.abc import Callable

from prefect.runtime import flow_run


def named(act: str) -> Callable[[], str]:
    """Return what names a run of an act when it begins, by the last word of paths and URLs."""

    def name() -> str:
        parameters = flow_run.get_parameters()
        recipe = _last(str(parameters.get("recipe", ""))).removesuffix(".yaml").removesuffix(".yml")
        return " ".join(filter(None, [act, recipe, "→", _last(str(parameters["workspace"]))]))

    return name


def _last(path: str) -> str:
    return path.rstrip("/").rpartition("/")[2]
