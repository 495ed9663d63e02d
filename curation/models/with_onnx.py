"""Models that onnxruntime runs."""

from functools import cache

import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import (
    Fail,
    InvalidArgument,
    InvalidGraph,
    InvalidProtobuf,
    RuntimeException,
)

from curation.arrays import Array
from curation.models.network import Network, RefusedError
from shared.errors import RecipeError

GPU_BATCH = 64
CUDA = "CUDAExecutionProvider"


def on_gpu() -> bool:
    """Tell whether the onnxruntime that is installed can use a GPU."""
    return CUDA in onnxruntime.get_available_providers()


@cache
def load_onnx(path: str, content: str) -> Network:
    """Return the ONNX model at the path; its first output counts. Raises RecipeError when the file holds none."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1  # there is a worker for each core
    settings.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            path, settings, [CUDA, "CPUExecutionProvider"] if on_gpu() else ["CPUExecutionProvider"]
        )
    except (Fail, InvalidArgument, InvalidGraph, InvalidProtobuf, RuntimeException) as error:
        raise RecipeError(f"{path} needs to be an ONNX file, got {error}. Export the model again.") from None
    (first, *_), (output, *_) = session.get_inputs(), session.get_outputs()

    def forward(batch: Array) -> Array:
        try:
            values: Array = session.run([output.name], {first.name: batch})[0]
            return values
        except (Fail, InvalidArgument, RuntimeException) as error:
            raise RefusedError(str(error).splitlines()[0]) from error

    return Network(path, forward, GPU_BATCH if session.get_providers()[0] == CUDA else 1)
