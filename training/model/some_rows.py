"""Some rows of the tokens, taken, normed and added back in place, with gradients that are added in place too.

Shapes: L tokens of all crops, K that a branch keeps, D width. `branches` are training/model/blocks.py's.
"""

from typing import Any

import torch
from torch import Tensor


class Take(torch.autograd.Function):
    """x_LD, rows_K → x_LD itself and x_KD. Its gradient is added in place, not into fresh zeros and then again."""

    @staticmethod
    def forward(ctx: Any, x_LD: Tensor, rows_K: Tensor) -> tuple[Tensor, Tensor]:
        """Return x_LD, changed in place, and what else comes of it."""
        ctx.save_for_backward(rows_K)
        ctx.mark_dirty(x_LD)
        return x_LD, x_LD.index_select(0, rows_K)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Return the gradient of each input."""
        grad_x_LD, grad_x_KD = gradients
        (rows_K,) = ctx.saved_tensors
        return grad_x_LD.index_add_(0, rows_K, grad_x_KD), None


def add(x_LD: Tensor, rows_K: Tensor, factor_K1: Tensor, change_KD: Tensor) -> None:
    """Add factor · change to rows of x."""
    x_LD.index_add_(0, rows_K, (change_KD * factor_K1).to(x_LD.dtype))


def gather(grad_x_LD: Tensor, rows_K: Tensor, factor_K1: Tensor, dtype: torch.dtype) -> Tensor:
    """Return factor · rows in a number format: the gradient of the change."""
    return (grad_x_LD.index_select(0, rows_K) * factor_K1).to(dtype)


def take(
    x_LD: Tensor, rows_K: Tensor, weight_D: Tensor, bias_D: Tensor, eps: float, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """Return rows after a layer norm, and what its gradient needs: before weight and bias, and 1 / deviation."""
    x_KD = x_LD.index_select(0, rows_K)
    variance_K1, mean_K1 = torch.var_mean(x_KD, dim=1, correction=0, keepdim=True)
    scale_K1 = torch.rsqrt(variance_K1 + eps)
    unit_KD = (x_KD - mean_K1) * scale_K1
    return (unit_KD * weight_D + bias_D).to(dtype), unit_KD.to(dtype), scale_K1


def give_back(
    grad_x_LD: Tensor, rows_K: Tensor, grad_normed_KD: Tensor, unit_KD: Tensor, scale_K1: Tensor, weight_D: Tensor
) -> tuple[Tensor, Tensor]:
    """Add the gradient of `take` to rows of grad_x_LD; return those of weight and bias."""
    grad_KD, unit_KD = grad_normed_KD.float(), unit_KD.float()
    weighted_KD = grad_KD * weight_D
    along_K1 = (weighted_KD * unit_KD).mean(dim=1, keepdim=True)
    grad_x_KD = (weighted_KD - weighted_KD.mean(dim=1, keepdim=True) - unit_KD * along_K1) * scale_K1
    grad_x_LD.index_add_(0, rows_K, grad_x_KD)
    return (grad_KD * unit_KD).sum(dim=0), grad_KD.sum(dim=0)


class TakeNormed(torch.autograd.Function):
    """x_LD, rows_K → x_LD itself and these rows after a norm. Its gradient is added in place."""

    @staticmethod
    def forward(
        ctx: Any, x_LD: Tensor, rows_K: Tensor, weight_D: Tensor, bias_D: Tensor, eps: float, branches: Any
    ) -> tuple[Tensor, Tensor]:
        """Return x_LD, changed in place, and what else comes of it."""
        device = x_LD.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x_LD.dtype
        assert branches.take
        normed_KD, *saved = branches.take(x_LD.detach(), rows_K, weight_D.detach(), bias_D.detach(), eps, dtype)
        ctx.save_for_backward(rows_K, *saved, weight_D)
        ctx.mark_dirty(x_LD)
        ctx.give_back = branches.give_back
        return x_LD, normed_KD

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient of each input."""
        grad_x_LD, grad_normed_KD = gradients
        rows_K, *saved, weight_D = ctx.saved_tensors
        of_weight_D, of_bias_D = ctx.give_back(grad_x_LD, rows_K, grad_normed_KD, *saved, weight_D.detach())
        return grad_x_LD, None, of_weight_D, of_bias_D, None, None


class Add(torch.autograd.Function):
    """x_LD, with factor_K1 · change_KD added at rows_K. `index_add_` would keep the change for the backward pass."""

    @staticmethod
    def forward(ctx: Any, x_LD: Tensor, rows_K: Tensor, factor_K1: Tensor, change_KD: Tensor, branches: Any) -> Tensor:
        """Return x_LD, changed in place, and what else comes of it."""
        ctx.save_for_backward(rows_K, factor_K1)
        ctx.mark_dirty(x_LD)
        ctx.dtype, ctx.gather = change_KD.dtype, branches.gather
        branches.add(x_LD.detach(), rows_K, factor_K1, change_KD.detach())
        return x_LD

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, Tensor, None]:
        """Return the gradient of each input."""
        (grad_x_LD,) = gradients
        rows_K, factor_K1 = ctx.saved_tensors
        return grad_x_LD, None, None, ctx.gather(grad_x_LD, rows_K, factor_K1, ctx.dtype), None
