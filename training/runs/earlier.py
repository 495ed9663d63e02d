"""The runs that lie in a workspace already: the one that a request made before, and those that lie near it."""

from typing import NamedTuple

from shared.dataset_version import Published
from shared.errors import DamagedFileError, RecipeError
from shared.storage import Store
from shared.storage.checked_json import read_facts
from training.params import PretrainParams
from training.runs.run_folder import CONFIG, differences

NEAR = 6
"""Settings in which a run may differ and still be one that a person may mean."""


class EarlierRun(NamedTuple):
    """A run on the same dataset version, with a checkpoint."""

    name: str
    params: PretrainParams
    step: int
    steps: int

    def changed(self, params: PretrainParams) -> list[str]:
        """Return in what it differs from a request, as "key was …, now …"."""
        return differences(self.params.model_dump(mode="json"), params.model_dump(mode="json"))


def earlier_runs(store: Store, dataset: Published | None = None) -> list[EarlierRun]:
    """Return the runs that have a checkpoint, on this dataset version or on any."""
    found, wanted = [], f"{dataset.name} {dataset.version}" if dataset else None
    for name in store.names("runs"):
        if not store.exists(f"runs/{name}/{CONFIG}"):
            continue
        try:
            config = read_facts(store, f"runs/{name}/{CONFIG}")
        except DamagedFileError:  # whoever goes on with that run is told
            continue
        folders = store.names(f"runs/{name}/checkpoints")
        taken = [int(folder.removeprefix("step-")) for folder in folders if folder.startswith("step-")]
        if taken and wanted in (None, config.get("dataset")):
            steps = config.get("resolved", {}).get("steps", max(taken))
            found.append(EarlierRun(name, PretrainParams.model_validate(config["params"]), max(taken), steps))
    return found


def run_of_same_request(store: Store, dataset: Published, params: PretrainParams) -> str | None:
    """Return the run that this very request made, where weights that it names are gone and cannot name it any more.

    Raises RecipeError where there are several: the weights changed between them.
    """
    same = [run.name for run in earlier_runs(store, dataset) if run.params == params]
    if len(same) > 1:
        raise RecipeError(
            f"The weights {', '.join(params.weights_named.values())} are gone, and needed to tell which of "
            f"{', '.join(same)} is meant, got runs that differ in nothing else. Put the weights back."
        )
    return same[0] if same else None


def nearest(store: Store, dataset: Published, params: PretrainParams) -> EarlierRun | None:
    """Return the run of one model that differs from a request in the fewest settings, if these are few."""
    candidates = [run for run in earlier_runs(store, dataset) if run.params.model == params.model]
    ranked = sorted(candidates, key=lambda run: (len(run.changed(params)), -run.step))
    return ranked[0] if ranked and 0 < len(ranked[0].changed(params)) <= NEAR else None
