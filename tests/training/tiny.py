"""The smallest training that has every part of a large one: steps of it take milliseconds."""

from typing import Any


def tiny_training(steps: int, **fields: Any) -> dict[str, Any]:
    """Return its parameters as a recipe has them, with further fields of the training."""
    return {
        "model": {"patch_size": 8, "width": 32, "depth": 2, "heads": 2, "layer_scale": 0.1, "drop_path": 0.1},
        "crops": {"global_size": 32, "local_size": 16, "local_count": 2, "shrink": 40},
        "objective": {"prototypes": 64, "head_hidden": 48, "bottleneck": 16, "koleo_group": 4},
        "optim": {"steps": steps, "batch_size": 8, "warmup_steps": 1, "precision": "fp32", "freeze_prototypes": 1},
        **fields,
    }
