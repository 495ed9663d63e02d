"""dinov2's own training step, from a checkout of its repository: the peer of `training_step.py` and `gpu/steps.py`.

Model, head, losses, optimizer groups and `SSLMetaArch.forward_backward` are dinov2's, unchanged. Stood in for
are only xformers (its attention by PyTorch's, its index kernels by PyTorch's), fvcore and OmegaConf, of which the
step needs a name and a dictionary, FSDP's wrappers, which one process does without, and on a CPU `.cuda()`.

dinov2 trains under FSDP's mixed precision: weights in half precision, and so all between them, beside fp32 masters.
`half_weights` does the same in one process; without it, autocast casts where it must, as PyTorch users mostly do.
"""

import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import yaml
from torch import nn

from tests.benchmarks.dinov2_stand_ins import Config, stand_in_for_packages
from training.data.batch import Batch
from training.model.vit import normalised
from training.params import PretrainParams

CPU = torch.device("cpu")
CLIP, LR, WEIGHT_DECAY, MOMENTUM, TEACHER_TEMPERATURE = 3.0, 1e-4, 0.04, 0.992, 0.04


def dinov2_step(
    checkout: Path,
    batch: Batch,
    params: PretrainParams,
    *,
    half_weights: bool = False,
    device: torch.device = CPU,
) -> Callable[[], dict[str, float]]:
    """Return dinov2's step of these params on a batch; each call is one step and returns its losses."""
    warnings.filterwarnings("ignore")
    stand_in_for_packages(checkout)
    sys.path.insert(0, str(checkout))
    if device.type == "cpu":
        torch.Tensor.cuda = lambda self, *_, **__: self  # type: ignore[assignment]
    if not dist.is_initialized():  # its Sinkhorn asks for a process group
        rendezvous = f"file://{tempfile.gettempdir()}/dinov2-step-{os.getpid()}"
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, init_method=rendezvous, rank=0, world_size=1)
    from dinov2.train.ssl_meta_arch import SSLMetaArch

    torch.manual_seed(0)
    with device:
        model: Any = SSLMetaArch(_config(checkout, params))
    model.need_to_synchronize_fsdp_streams = False
    for name in model.student:
        model.teacher[name].load_state_dict(model.student[name].state_dict())
    model.train()
    half = params.optim.precision == "bf16"
    weights = Weights(model, masters=half and half_weights)
    images = _collated(batch, torch.bfloat16 if half and half_weights else torch.float32)

    def step() -> dict[str, float]:
        with torch.autocast(device.type, torch.bfloat16, enabled=half and not half_weights):
            masked = torch.full((1,), len(batch.mask_indices), device=device)  # all-reduced in place
            losses = model.forward_backward(images | {"n_masked_patches": masked}, TEACHER_TEMPERATURE)
        weights.update()
        return {name: float(loss.detach()) for name, loss in losses.items()}

    return step


class Weights:
    """Clip, AdamW and the teacher's update, of fp32 weights or, with `masters`, of copies that the model gets in half.

    Of dinov2's are parameter groups and rules; its `update_teacher` looks for FSDP's modules, and so stands here.
    """

    def __init__(self, model: Any, *, masters: bool) -> None:
        groups = model.get_params_groups()
        self.half = [list(part.parameters()) for part in (model.student, model.teacher)] if masters else []
        self.parts = [list(part.parameters()) for part in model.student.values()]
        self.student, self.teacher = (list(part.parameters()) for part in (model.student, model.teacher))
        if masters:
            masters_of = {weight: nn.Parameter(weight.detach().clone()) for weight in self.student}
            groups = [group | {"params": [masters_of[weight] for weight in group["params"]]} for group in groups]
            self.parts = [[masters_of[weight] for weight in part] for part in self.parts]
            self.student = [masters_of[weight] for weight in self.student]
            self.teacher = [weight.detach().clone() for weight in self.teacher]
            model.to(torch.bfloat16)
        self.optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.999))
        for group in self.optimizer.param_groups:
            group["lr"] = LR * group["lr_multiplier"]
            group["weight_decay"] = WEIGHT_DECAY * group["wd_multiplier"]

    @torch.no_grad()
    def update(self) -> None:
        """Use the gradient, and forget it."""
        for master, weight in zip(self.student, self.half[0], strict=True) if self.half else ():
            master.grad = None if weight.grad is None else weight.grad.float()
            weight.grad = None
        for part in self.parts:
            nn.utils.clip_grad_norm_(part, CLIP)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        torch._foreach_mul_(self.teacher, MOMENTUM)
        torch._foreach_add_(self.teacher, self.student, alpha=1 - MOMENTUM)
        for weights, fp32 in zip(self.half, (self.student, self.teacher), strict=True) if self.half else ():
            torch._foreach_copy_(weights, fp32)


def _config(checkout: Path, params: PretrainParams) -> Config:
    """Return dinov2's configuration of the same step; a ViT of another shape is entered among its own."""
    from dinov2.models import vision_transformer

    model, objective, crops = params.model, params.objective, params.crops
    shape = {"embed_dim": model.width, "depth": model.depth, "num_heads": model.heads, "mlp_ratio": model.mlp_ratio}
    block = partial(vision_transformer.Block, attn_class=vision_transformer.MemEffAttention)
    vision_transformer.vit_of_params = partial(vision_transformer.DinoVisionTransformer, block_fn=block, **shape)
    config = Config(yaml.safe_load((checkout / "dinov2/configs/ssl_default_config.yaml").read_text()))
    config.student.update(arch="vit_of_params", patch_size=model.patch_size, drop_path_rate=model.drop_path)
    (_, of_crops), (patch_bottleneck, of_patches) = objective.head_shapes[0], objective.head_shapes[-1]
    config.dino.update(head_n_prototypes=of_crops, head_bottleneck_dim=objective.bottleneck)
    config.ibot.update(head_n_prototypes=of_patches, head_bottleneck_dim=patch_bottleneck)
    config.ibot.separate_head = objective.separate_heads
    config.train.centering, config.compute_precision.grad_scaler = "sinkhorn_knopp", False
    config.crops.update(global_crops_size=crops.global_size, local_crops_size=crops.local_size)
    config.crops.local_crops_number = crops.local_count
    return config


def _collated(batch: Batch, dtype: torch.dtype) -> dict[str, Any]:
    """Return what dinov2's collate function does, of the same crops and masks; its buffers without padding."""
    return {
        "collated_global_crops": normalised(batch.global_crops).to(dtype),
        "collated_local_crops": normalised(batch.local_crops).to(dtype),
        "collated_masks": batch.mask,
        "mask_indices_list": batch.mask_indices,
        "masks_weight": batch.mask_weight,
        "upperbound": len(batch.mask_indices),
    }
