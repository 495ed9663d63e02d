"""dinov2's own training step, from a checkout of its repository: the peer of `training_step.py` and `gpu_step.py`.

Model, head, losses, optimizer groups and `SSLMetaArch.forward_backward` are dinov2's, unchanged. Stood in for
are only xformers (its attention by PyTorch's, its index kernels by PyTorch's), FSDP's wrappers, which one process
does without, and on a CPU `.cuda()`.
"""

import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F

from training.data.batch import Batch
from training.model.vit import normalised

CLIP, LR, WEIGHT_DECAY, MOMENTUM, TEACHER_TEMPERATURE = 3.0, 1e-4, 0.04, 0.992, 0.04


class Blocks:
    """xformers' BlockDiagonalMask, as far as dinov2 uses it: which tokens of a packed sequence belong together."""

    def __init__(self, lengths: list[int]) -> None:
        self.lengths, self._batch_sizes = lengths, [1] * len(lengths)

    @classmethod
    def from_seqlens(cls, lengths: list[int]) -> "Blocks":
        return cls(list(lengths))

    @classmethod
    def from_tensor_list(cls, tensors: list[Tensor]) -> tuple["Blocks", Tensor]:
        blocks = cls([x.shape[1] for x in tensors for _ in range(len(x))])
        blocks._batch_sizes = [len(x) for x in tensors]
        return blocks, torch.cat([x.reshape(1, -1, *x.shape[2:]) for x in tensors], dim=1)

    def split(self, x: Tensor) -> list[Tensor]:
        parts, token, image = [], 0, 0
        for images in self._batch_sizes:
            tokens = self.lengths[image]
            parts.append(x[:, token : token + images * tokens].reshape(images, tokens, *x.shape[2:]))
            token, image = token + images * tokens, image + images
        return parts


def attention(q: Tensor, k: Tensor, v: Tensor, attn_bias: Blocks | None = None) -> Tensor:
    """xformers' memory_efficient_attention: one call of PyTorch's for each crop size."""
    if attn_bias is None:
        return F.scaled_dot_product_attention(*(x.transpose(1, 2) for x in (q, k, v))).transpose(1, 2)
    sizes = zip(*(attn_bias.split(x) for x in (q, k, v)), strict=True)
    return torch.cat([attention(*size).flatten(0, 1).unsqueeze(0) for size in sizes], dim=1)


def index_select_cat(sources: list[Tensor], indices: list[Tensor]) -> Tensor:
    return torch.cat([source[index].flatten() for source, index in zip(sources, indices, strict=True)])


def scaled_index_add(
    x: Tensor, index: Tensor, source: Tensor, scaling: Tensor | None = None, alpha: float = 1
) -> Tensor:
    return torch.index_add(x, 0, index, source if scaling is None else source * scaling, alpha=alpha)


def stand_in_for_xformers() -> None:
    """Put the module `xformers.ops` in place; like xformers 0.0.35, without cross_entropy."""
    ops = ModuleType("xformers.ops")
    ops.fmha = ModuleType("xformers.ops.fmha")  # type: ignore[attr-defined]
    ops.fmha.BlockDiagonalMask = Blocks  # type: ignore[attr-defined]
    for name, thing in {
        "unbind": torch.unbind,
        "memory_efficient_attention": attention,
        "index_select_cat": index_select_cat,
        "scaled_index_add": scaled_index_add,
        "SwiGLU": nn.Module,
    }.items():
        setattr(ops, name, thing)
    sys.modules["xformers"], sys.modules["xformers.ops"] = ModuleType("xformers"), ops


def dinov2_step(
    checkout: Path,
    batch: Batch,
    *,
    drop_path: float,
    precision: str,
    arch: str = "vit_small",
    prototypes: int = 65536,
    device: torch.device | None = None,
) -> Callable[[], dict[str, float]]:
    """Return dinov2's step on a batch; each call is one step and returns its losses."""
    device = device or torch.device("cpu")
    warnings.filterwarnings("ignore")
    stand_in_for_xformers()
    sys.path.insert(0, str(checkout))
    if device.type == "cpu":
        torch.Tensor.cuda = lambda self, *_, **__: self  # type: ignore[assignment]
    if not dist.is_initialized():  # its Sinkhorn asks for a process group
        rendezvous = f"file://{tempfile.gettempdir()}/dinov2-step-{os.getpid()}"
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, init_method=rendezvous, rank=0, world_size=1)
    from dinov2.train.ssl_meta_arch import SSLMetaArch
    from omegaconf import OmegaConf

    config = OmegaConf.load(checkout / "dinov2/configs/ssl_default_config.yaml")
    config.student |= {"arch": arch, "patch_size": 14, "drop_path_rate": drop_path}
    config.dino.head_n_prototypes = config.ibot.head_n_prototypes = prototypes
    config.train.centering, config.compute_precision.grad_scaler = "sinkhorn_knopp", False
    config.crops.local_crops_size = batch.local_crops.shape[-1]
    config.crops.local_crops_number = 2 * len(batch.local_crops) // len(batch.global_crops)
    torch.manual_seed(0)
    model: Any = SSLMetaArch(config)
    model.need_to_synchronize_fsdp_streams = False
    for name in model.student:
        model.teacher[name].load_state_dict(model.student[name].state_dict())
    model.to(device)
    model.train()
    optimizer = torch.optim.AdamW(model.get_params_groups(), betas=(0.9, 0.999))
    for group in optimizer.param_groups:
        group["lr"] = LR * group["lr_multiplier"]
        group["weight_decay"] = WEIGHT_DECAY * group["wd_multiplier"]
    student, teacher = (list(part.parameters()) for part in (model.student, model.teacher))
    images = _collated(batch)

    def step() -> dict[str, float]:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            images["n_masked_patches"] = torch.full(
                (1,), len(batch.mask_indices), device=device
            )  # all-reduced in place
            losses = model.forward_backward(images, TEACHER_TEMPERATURE)
        for part in model.student.values():
            nn.utils.clip_grad_norm_(part.parameters(), CLIP)
        optimizer.step()
        with torch.no_grad():  # its update_teacher, which looks for FSDP's modules
            torch._foreach_mul_(teacher, MOMENTUM)
            torch._foreach_add_(teacher, student, alpha=1 - MOMENTUM)
        return {name: float(loss.detach()) for name, loss in losses.items()}

    return step


def _collated(batch: Batch) -> dict[str, Any]:
    """Return what dinov2's collate function does, of the same crops and masks; its buffers without padding."""
    return {
        "collated_global_crops": normalised(batch.global_crops),
        "collated_local_crops": normalised(batch.local_crops),
        "collated_masks": batch.mask,
        "mask_indices_list": batch.mask_indices,
        "masks_weight": batch.weight,
        "upperbound": len(batch.mask_indices),
    }
