"""A file that onnxruntime and other engines run, for batches and images of any size."""

import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from shared.errors import RecipeError
from training.weights import Weights

LOADING = """\
import numpy as np
import onnxruntime
from PIL import Image, ImageOps

image = Image.open("image.jpg").convert("RGB")
image = ImageOps.fit(image, ({size}, {size}), Image.Resampling.BICUBIC, bleed=1 / 16)
pixels = np.asarray(image, dtype=np.float32) / 255
images = ((pixels - {mean}) / {std}).transpose(2, 0, 1)[None].astype(np.float32)
session = onnxruntime.InferenceSession("onnx/model.onnx")
cls, patches = session.run(None, {{"images": images}})
"""
LARGEST = 1 << 30
"""Bytes of weights up to which they are in the file itself, whose format ends at 2 GB; else they are beside it."""


class ClsAndPatches(nn.Module):
    """timm's model, returning what evaluations use: cls_BD and patches_BND."""

    def __init__(self, vit: Any) -> None:
        super().__init__()
        self.vit = vit

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the tokens of normalised images_BCHW."""
        tokens_BTD: Tensor = self.vit.forward_features(images)
        return tokens_BTD[:, 0], tokens_BTD[:, self.vit.num_prefix_tokens :]


def loading(weights: Weights) -> str:
    """Return the code that runs the file."""
    return LOADING.format(size=weights.image_size, mean=list(weights.mean), std=list(weights.std))


def missing() -> list[str]:
    """Return the modules that export needs and that are not installed."""
    return [name for name in ("onnx", "onnxscript") if find_spec(name) is None]


def write_onnx(weights: Weights, folder: Path) -> None:
    """Write model.onnx; of a large model the weights beside it, in model.onnx.data. Raises RecipeError."""
    if missing():
        raise RecipeError(
            f"ONNX export needs the Python module {missing()[0]}, which is not installed. "
            "Run `pip install 'dinoflow[export]'`, or leave it out: --formats timm,transformers."
        )
    model = ClsAndPatches(weights.backbone().vit).eval()
    side = weights.image_size + weights.model.patch_size  # sizes that the graph must not take for fixed
    example = torch.zeros(2, 3, side, side + weights.model.patch_size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program: Any = torch.onnx.export(
            model,
            (example,),
            dynamo=True,
            input_names=["images"],
            output_names=["cls", "patches"],
            dynamic_shapes=({0: "batch", 2: "height", 3: "width"},),
            verbose=False,
        )
    _forget_sources(program.model)
    bytes_of_weights = sum(tensor.numel() * tensor.element_size() for tensor in weights.vit.values())
    program.save(folder / "model.onnx", external_data=bytes_of_weights > LARGEST)


def _forget_sources(model: Any) -> None:
    """Take out what the exporter says of this machine's source files, so that equal weights give equal bytes."""
    for node in model.graph.all_nodes():
        node.metadata_props.clear()
        node.doc_string = None
