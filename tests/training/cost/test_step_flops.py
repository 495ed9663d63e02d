"""FLOPs from the params alone equal what PyTorch's own counter sees in a step."""

from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from tests.benchmarks.training_step import batch_of, our_step
from training.cost.step_flops import step_flops
from training.params import PretrainParams

CPU = torch.device("cpu")
UNSEEN: Any = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
"""Attention where no gradient is needed, which the counter does not know on a CPU."""
SEED_RECIPE = {
    "model": {"width": 968, "depth": 40, "heads": 11, "drop_path": 0.4, "drop_path_rule": "uniform"},
    "crops": {"global_count": 2, "local_count": 10},
    "objective": {"prototypes": 131072, "separate_heads": True},
    "optim": {"batch_size": 32768},
}


@pytest.mark.parametrize("ffn", ["mlp", "swiglu"])
@pytest.mark.parametrize("changes", [{"drop_path": 0.0}, {"drop_path": 0.3, "registers": 3}])
@pytest.mark.parametrize("local_count", [0, 3])
def test_the_flops_of_a_step_are_those_that_pytorch_counts(
    tiny: dict[str, Any], ffn: str, changes: dict[str, Any], local_count: int
) -> None:
    prototypes = {"separate_heads": not local_count, "patch_prototypes": 0 if local_count else 96}
    given = tiny | {
        "model": tiny["model"] | changes | {"ffn": ffn, "depth": 3},
        "objective": tiny["objective"] | prototypes,
        "crops": tiny["crops"] | {"local_count": local_count},
        "optim": tiny["optim"] | {"precision": "bf16"},
    }
    params = PretrainParams.model_validate(given)
    step = our_step(params, batch_of(8, params), CPU)
    known = {UNSEEN: lambda q, k, v, *_, **__: sdpa_flop_count(q, k, v)}
    with FlopCounterMode(display=False, custom_mapping=known) as counter:
        step()
    flops = step_flops(params)
    # the counter also sees Sinkhorn's and KoLeo's sums, which are left out
    assert counter.get_total_flops() == pytest.approx(flops.true, rel=2e-3)
    assert flops.true < flops.nominal


def test_the_seed_recipe_takes_3_34_tflops_an_image_and_drop_path_leaves_two_thirds() -> None:
    flops = step_flops(PretrainParams.model_validate(SEED_RECIPE))
    assert flops.nominal / 32768 == pytest.approx(3.34e12, rel=0.01)
    assert flops.true / 32768 == pytest.approx(2.21e12 * (1 - 1 / 40), rel=0.01)  # the last block is hardly computed
