"""Files of models: missing ones are refused before work starts, and their content, not their path, names results."""

import os
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

from shared.storage import sha256

if TYPE_CHECKING:
    from curation.models.network import Network
    from curation.models.with_torch import Precision

ONNX = ".onnx"


def needs(module: str, extra: str, who: str) -> None:
    """Raise ValueError when an optional module is not installed."""
    if find_spec(module) is None:
        raise ValueError(
            f"{who} needs the Python module {module}, which is not installed; run `pip install 'dinoflow[{extra}]'`"
        )


def _present(path: str) -> str:
    file = Path(path).expanduser()
    if not file.is_file():
        raise ValueError(
            f"needs a file that is there, got {path}; download or export the model and give the file's path"
        )
    return str(file)


def _runnable(path: str) -> str:
    if path.endswith(ONNX):
        needs("onnxruntime", "onnx", "an ONNX file")
    return _present(path)


WeightsFile = Annotated[str, AfterValidator(_present)]
"""A local file of weights."""

ModelFile = Annotated[str, AfterValidator(_runnable)]
"""A local file that holds a whole model: ONNX if its name ends so, else TorchScript."""


def content(path: str) -> str:
    """Return 32 hex digits of what the file holds; it is read again only when its size or time has changed."""
    stat = os.stat(path)
    return _content(path, stat.st_size, stat.st_mtime_ns)


@cache
def _content(path: str, size: int, modified: int) -> str:
    return sha256(path)[:32]


def runs_on_gpu(path: str) -> bool:
    """Tell whether a model in a file is run on a GPU where there is one."""
    if not path.endswith(ONNX):
        return True
    from curation.models.with_onnx import on_gpu

    return on_gpu()


def load_model(path: str, precision: "Precision" = "fp32") -> "Network":
    """Return the model in a file, loaded once in a process as long as the file stays the same."""
    if path.endswith(ONNX):
        from curation.models.with_onnx import load_onnx

        return load_onnx(path, content(path))
    from curation.models.with_torch import load_torchscript

    return load_torchscript(path, content(path), precision)
