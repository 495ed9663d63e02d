"""One machine of test_machines: `python -m tests.training.runs.machine WORKSPACE PARAMS COMPUTE` is its command."""

import sys

from shared.dataset_version import open_version
from shared.launch.launch import gang
from shared.launch.progress import ProgressEvent
from shared.params import Compute
from shared.storage import Store
from training.params import PretrainParams
from training.stages import pretrain


class Printed:
    """A reporter that prints lines."""

    def progress(self, event: ProgressEvent) -> None:
        """Leave events out."""

    def line(self, text: str) -> None:
        """Print a line."""
        print(text, flush=True)


if __name__ == "__main__":
    workspace, params, compute = sys.argv[1:]
    store = Store(workspace)
    facts = gang(
        pretrain,
        PretrainParams.model_validate_json(params),
        open_version(store, "tiny"),
        run="machines",
        workspace=store,
        compute=Compute.model_validate_json(compute),
        reporter=Printed(),
    )
    print("done at step", facts["steps"])
