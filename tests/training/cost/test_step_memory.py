"""The memory of a step from the params alone is what autograd really keeps."""

import pytest
import torch

from training.cost.step_memory import step_memory
from training.model.drop_path import draw_drop_path
from training.model.student_teacher import initial_student
from training.params import PretrainParams

IMAGES = 8


def kept_bytes(params: PretrainParams) -> int:
    """Count the bytes of all that a student's forward pass leaves for the backward pass, weights left out."""
    backbone = initial_student(params).backbone.train()
    weights = {p.untyped_storage().data_ptr() for p in backbone.parameters()}
    found: dict[int, torch.UntypedStorage] = {}  # held, so that no address is given out twice

    def keep(x: torch.Tensor) -> torch.Tensor:
        found[x.untyped_storage().data_ptr()] = x.untyped_storage()
        return x

    crops = params.crops
    views = [
        torch.randn(count * IMAGES, 3, size, size)
        for count, size in ((crops.global_count, crops.global_size), (crops.local_count, crops.local_size))
    ]
    subsets = draw_drop_path(params, 0, 0, IMAGES, torch.device("cpu"))
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        out = backbone.forward_crops(views, None, torch.arange(4), subsets)
    assert out[0].requires_grad
    return sum(storage.nbytes() for where, storage in found.items() if where not in weights)


@pytest.mark.parametrize("ffn", ["mlp", "swiglu"])
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("drop_path", [0.0, 0.4])
def test_activations_are_what_autograd_keeps(ffn: str, checkpointing: bool, drop_path: float) -> None:
    model = {"width": 96, "depth": 12, "heads": 3, "ffn": ffn, "drop_path": drop_path, "drop_path_rule": "uniform"}
    params = PretrainParams.model_validate(
        {
            "model": model | {"patch_size": 14, "activation_checkpointing": checkpointing},
            "crops": {"global_size": 112, "local_size": 56, "local_count": 4},
            "objective": {"prototypes": 64, "head_hidden": 64, "bottleneck": 32, "koleo_group": IMAGES},
            "optim": {"batch_size": IMAGES, "precision": "fp32"},
        }
    )
    estimate = step_memory(params, parameters=0, images=IMAGES, chunk=64).activations
    assert kept_bytes(params) == pytest.approx(estimate, rel=0.1)
