"""timm's transformer blocks run over packed crops: norms and linear layers see all tokens, attention each size.

Shapes: L tokens of all crops, K that a branch keeps, R that a loss reads, B images of T tokens of one size,
D width, H heads of E numbers.
"""

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from timm.layers.mlp import GluMlp
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from training.distributed import products_in_onednn
from training.model.drop_path import KeptTokens, Packing
from training.model.some_rows import Add, Take, TakeNormed, add, gather, give_back, take

Branch = Callable[[Any, Tensor, Packing, bool], Tensor]
"""Block, its input, how that lies, whether it has passed the branch's norm already → what is added to it."""


class Branches(NamedTuple):
    """How a block is computed: as it is written below, or compiled."""

    attention: Branch
    mlp: Branch
    add: Callable[[Tensor, Tensor, Tensor, Tensor], None]
    """x_LD, rows_K, factor_K1, change_KD: adds factor · change to rows of x."""
    gather: Callable[[Tensor, Tensor, Tensor, torch.dtype], Tensor]
    """grad_x_LD, rows_K, factor_K1 → factor · rows, in a number format: the gradient of the change."""
    take: Callable[..., tuple[Tensor, Tensor, Tensor]] | None = None
    """Rows through a norm, and what its gradient needs, in one pass; None = the branch does it, in its own."""
    give_back: Callable[..., tuple[Tensor, Tensor]] | None = None
    """Adds that norm's gradient to rows of grad_x_LD; → the gradients of its weight and bias."""


def run_block(
    block: Any, x_LD: Tensor, packing: Packing, kept: list[KeptTokens | None], recompute: bool, branches: Branches
) -> Tensor:
    """Return the tokens after a block; where images are skipped, x_LD itself is overwritten."""
    parts = zip((branches.attention, branches.mlp), (block.norm1, block.norm2), kept, strict=True)
    for branch, norm, part in parts:
        if part is None:
            x_LD = x_LD + _run(branch, block, x_LD, packing, recompute)
            continue
        if branches.take:
            x_LD, x_KD = TakeNormed.apply(x_LD, part.rows, norm.weight, norm.bias, norm.eps, branches)  # type: ignore[no-untyped-call]
        else:
            x_LD, x_KD = Take.apply(x_LD, part.rows)  # type: ignore[no-untyped-call]
        change_KD = _run(branch, block, x_KD, part.packing, recompute, normed=branches.take is not None)
        x_LD = Add.apply(x_LD, part.rows, part.factor, change_KD, branches)  # type: ignore[no-untyped-call]
    return x_LD


def run_last_block(block: Any, x_LD: Tensor, packing: Packing, rows_R: Tensor, kept: list[KeptTokens | None]) -> Tensor:
    """Return x_RD, the tokens at some rows after the last block.

    Attention reads all tokens, but nothing is computed for those that nobody reads.
    """
    attention, mlp = kept
    x_RD = x_LD.index_select(0, rows_R)
    if attention is None:
        change_RD = _scaled(block.attn.proj, block.ls1, _attend(block, x_LD, packing, False).index_select(0, rows_R))
    else:
        attended_KD = _attend(block, x_LD.index_select(0, attention.rows), attention.packing, False)
        among_R, factor_R1 = attention.reading(rows_R, len(x_LD))
        change_RD = _scaled(block.attn.proj, block.ls1, attended_KD.index_select(0, among_R)) * factor_R1
    x_RD = x_RD + change_RD
    change_RD = _mlp(block, x_RD, packing, False)
    return x_RD + (change_RD if mlp is None else change_RD * mlp.reading(rows_R, len(x_LD))[1])


def _run(branch: Branch, block: Any, x_KD: Tensor, packing: Packing, recompute: bool, *, normed: bool = False) -> Any:
    if recompute:
        return checkpoint(branch, block, x_KD, packing, normed, use_reentrant=False, preserve_rng_state=False)
    return branch(block, x_KD, packing, normed)


def _attention(block: Any, x_LD: Tensor, packing: Packing, normed: bool) -> Tensor:
    return _scaled(block.attn.proj, block.ls1, _attend(block, x_LD, packing, normed))


def _mlp(block: Any, x_LD: Tensor, _: Packing, normed: bool) -> Tensor:
    hidden = block.mlp.fc1(x_LD if normed else block.norm2(x_LD))
    if isinstance(block.mlp, GluMlp):
        gate, value = hidden.chunk(2, dim=-1)
        return _scaled(block.mlp.fc2, block.ls2, block.mlp.act(gate) * value)
    return _scaled(block.mlp.fc2, block.ls2, block.mlp.act(hidden))


def _attend(block: Any, x_LD: Tensor, packing: Packing, normed: bool) -> Tensor:
    """Return what attention brings to each token, before the projection."""
    qkv_L3D: Any = block.attn.qkv(x_LD if normed else block.norm1(x_LD))
    sizes = zip(qkv_L3D.split(packing.lengths), packing.images, packing.tokens, strict=True)
    attended = [_attend_within(part.view(B, T, 3, block.attn.num_heads, -1)) for part, B, T in sizes]
    return attended[0] if len(attended) == 1 else torch.cat(attended)


def _attend_within(qkv_BT3HE: Any) -> Tensor:
    """Attend within each image.

    On a CPU the fused kernel's backward pass costs three to ten times that of plain products, wherever oneDNN
    computes these.
    """
    B, T, _, H, E = qkv_BT3HE.shape
    q_BHTE, k_BHTE, v_BHTE = qkv_BT3HE.permute(2, 0, 3, 1, 4)
    one_dnn = qkv_BT3HE.dtype == torch.bfloat16 or products_in_onednn()
    if qkv_BT3HE.is_cpu and qkv_BT3HE.requires_grad and one_dnn:
        attended_BHTE = torch.softmax(q_BHTE * E**-0.5 @ k_BHTE.mT, dim=-1) @ v_BHTE
    else:
        attended_BHTE = F.scaled_dot_product_attention(q_BHTE, k_BHTE, v_BHTE)
    attended_LD: Tensor = attended_BHTE.transpose(1, 2).reshape(B * T, H * E)
    return attended_LD


def _scaled(last: Any, scale: Any, x_LD: Tensor) -> Tensor:
    """Apply a branch's last layer and its LayerScale; inside the weights, where these are the smaller factor.

    Never in fp16, where weights times 1e-5 vanish.
    """
    device = x_LD.device.type
    half = torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device) == torch.float16
    if isinstance(scale, nn.Identity) or half or len(x_LD) < last.in_features:
        scaled_LD: Tensor = scale(last(x_LD))
        return scaled_LD
    return F.linear(x_LD, scale.gamma.unsqueeze(1) * last.weight, scale.gamma * last.bias)


PLAIN = Branches(_attention, _mlp, add, gather)


def compiled(depth: int, phases: int = 1) -> Branches:
    """Return the branches as kernels made for the shapes at hand; each shape costs seconds, once in a process.

    Blocks of equal shapes share them, as parameters are arguments: one shape for the teacher, and for the student one
    for each number of images that a block keeps; as many again in each phase, whose crops have other sizes. What
    happens to some of the tokens are kernels of their own, each one pass over memory, norm included: tokens are updated
    in place, and recomputing works as without. DDP need not split such small graphs to overlap its exchange. Padded
    rows would keep a bias out of its product.
    """
    config: Any = importlib.import_module("torch._dynamo.config")
    config.recompile_limit = max(config.recompile_limit, 2 * phases * (depth + 1))
    config.optimize_ddp = False
    inductor: Any = importlib.import_module("torch._inductor.config")
    inductor.comprehensive_padding = False
    parts = (*PLAIN[:4], take, give_back)
    made: list[Any] = [torch.compile(part, fullgraph=True, dynamic=False) for part in parts]
    return Branches(*made)
