"""How teacher scores become the targets of the cross-entropies: Sinkhorn-Knopp, or a softmax after centring.

One rule for CLS tokens and masked patches, one instance for each loss; both over the batch of all processes.

Shapes: B rows of this process, E bottleneck, K prototypes, k of one chunk.
"""

from collections.abc import Callable, Iterator
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from training.distributed import all_sum
from training.loss.cross_entropy import Chunks, Prototypes

CENTRE_MOMENTUM = 0.9
SINKHORN_ITERATIONS = 3
TINY = 1e-30


class Kernel(Protocol):
    """Chunks of columns of a matrix, visited again and again."""

    rows: int

    def __iter__(self) -> Iterator[tuple[slice, Tensor]]: ...


def sums_over_other_views(target_Rk: Tensor, global_count: int, crop_count: int) -> Tensor:
    """Return, for each of `crop_count` student crops, the sum of the targets of all global crops but itself.

    Rows are crop-major: (global_count, B) in, (crop_count, B) out.
    """
    target_TBk = target_Rk.view(global_count, -1, target_Rk.shape[1])
    sum_Bk = target_TBk.sum(dim=0)
    local_Bk = sum_Bk.repeat(crop_count - global_count, 1)
    return torch.cat([(sum_Bk - target_TBk).flatten(0, 1), local_Bk])


class TeacherTargets(nn.Module):
    """Sinkhorn-Knopp, or softmax after subtracting a running centre (Caron et al. 2021)."""

    def __init__(self, rule: Literal["sinkhorn", "centre"], prototypes: int) -> None:
        super().__init__()
        self.rule = rule
        self.centre_K: Tensor
        self.register_buffer("centre_K", torch.zeros(prototypes if rule == "centre" else 0))

    @torch.no_grad()
    def forward(self, z_BE: Tensor, prototypes: Prototypes, temperature: float) -> Chunks:
        """Return targets_BK, rows that sum to 1, for z of unit length; a running centre takes in z afterwards."""
        scores = prototypes.scores(z_BE / temperature)
        rows, count = len(z_BE), len(prototypes.length)
        if self.rule == "sinkhorn":  # cosines need no shift before exp: params keep temperatures from being too low
            kernel = Chunks(rows, count, lambda columns, part: scores.make(columns, part).exp_())
            return kernel.scaled(*sinkhorn(kernel, count, z_BE.device))
        shift_K = self.centre_K / temperature
        centred = Chunks(rows, count, lambda columns, part: scores.make(columns, part).sub_(shift_K[columns]))
        log_B = torch.stack([x_Bk.logsumexp(dim=1) for _, x_Bk in centred]).logsumexp(dim=0)
        mean_E = all_sum(z_BE.float().sum(dim=0)) / all_sum(z_BE.new_full((), rows)).clamp_min(1)
        mean_K = torch.cat([score_1k.squeeze(0) for _, score_1k in prototypes.scores(mean_E.unsqueeze(0))])
        self.centre_K = self.centre_K.lerp(mean_K, 1 - CENTRE_MOMENTUM)  # the mean score is the score of the mean
        return Chunks(rows, count, lambda columns, part: centred.make(columns, part).sub_(log_B[part, None]).exp_())


def column_sums(_: slice, q_Bk: Tensor, row_B: Tensor) -> Tensor:
    """Return row · q."""
    return row_B @ q_Bk


def row_sums(_: slice, q_Bk: Tensor, column_k: Tensor) -> Tensor:
    """Return q · column."""
    return q_Bk @ column_k


Sums = Callable[[slice, Tensor, Tensor], Tensor]


@torch.no_grad()
def sinkhorn(
    kernel: Kernel, prototypes: int, device: torch.device, of_columns: Sums = column_sums, of_rows: Sums = row_sums
) -> tuple[Tensor, Tensor]:
    """Return row_B and column_K; row · kernel · column are the targets (Caron et al. 2020).

    Every row of them sums to 1, and every prototype gets about the same total. The slow form, for one process:

        q = kernel = exp(scores / temperature)
        for _ in range(3):
            for k: q[:, k] /= q[:, k].sum() * K
            for b: q[b, :] /= q[b, :].sum() * B
        return q * B

    That only ever scales rows and columns, so the two scales are all that need be remembered: q is never made. Nor need
    the kernel be, where both sums are told how to come from what its chunks are made of.
    Every process must call it, also one without rows.
    """
    rows = all_sum(torch.full((), float(kernel.rows), device=device))  # a copy from the host would wait
    row_B = torch.ones(kernel.rows, device=device)
    column_K = torch.empty(prototypes, device=device)
    for _ in range(SINKHORN_ITERATIONS):
        sum_B = torch.zeros_like(row_B)
        for columns, q_Bk in kernel:
            column_K[columns] = 1 / (all_sum(of_columns(columns, q_Bk, row_B)).clamp_min(TINY) * prototypes)
            sum_B += of_rows(columns, q_Bk, column_K[columns])
        row_B = 1 / (sum_B.clamp_min(TINY) * rows)
    return row_B * rows, column_K
