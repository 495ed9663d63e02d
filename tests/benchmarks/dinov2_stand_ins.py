"""Packages that dinov2's step imports, as far as it uses them: xformers, fvcore and OmegaConf."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


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


class Config(dict[str, Any]):
    """OmegaConf's tree, as far as dinov2 uses it: keys as attributes."""

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__({k: Config(v) if isinstance(v, dict) else v for k, v in values.items()})

    def __getattr__(self, name: str) -> Any:
        return self[name]

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value


def stand_in_for_packages(checkout: Path) -> None:
    """Put `xformers.ops`, like xformers 0.0.35 without cross_entropy, and fvcore's checkpointer in place."""
    checkpoint = ModuleType("fvcore.common.checkpoint")
    checkpoint.Checkpointer = object  # type: ignore[attr-defined]
    for name in ("fvcore", "fvcore.common"):
        sys.modules[name] = ModuleType(name)
    train = sys.modules["dinov2.train"] = ModuleType("dinov2.train")  # its own start imports all that trains
    train.__path__ = [str(checkout / "dinov2" / "train")]
    sys.modules[checkpoint.__name__] = checkpoint
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
