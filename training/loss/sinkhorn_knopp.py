"""Teacher scores to targets by Sinkhorn-Knopp, over the batch of all processes (Caron et al. 2020).

Shapes: B rows of this process, K prototypes, k of one chunk.
"""

import torch
from torch import Tensor

from training.distributed import all_sum
from training.loss.chunked_logits import Chunks

ITERATIONS = 3
TINY = 1e-30


@torch.no_grad()
def sinkhorn(kernel: Chunks, prototypes: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return row_B and column_K; row · kernel · column are the targets.

    Every row of them sums to 1, and every prototype gets about the same total. The slow form, for one process:

        q = kernel = exp(scores / temperature)
        for _ in range(3):
            for k: q[:, k] /= q[:, k].sum() * K
            for b: q[b, :] /= q[b, :].sum() * B
        return q * B

    That only ever scales rows and columns, so the two scales are all that need be remembered: q is never made.
    Every process must call it, also one without rows.
    """
    rows = all_sum(torch.tensor(float(kernel.rows), device=device))
    row_B = torch.ones(kernel.rows, device=device)
    column_K = torch.empty(prototypes, device=device)
    for _ in range(ITERATIONS):
        sum_B = torch.zeros_like(row_B)
        for columns, q_Bk in kernel:
            column_K[columns] = 1 / (all_sum(row_B @ q_Bk).clamp_min(TINY) * prototypes)
            sum_B += q_Bk @ column_K[columns]
        row_B = 1 / (sum_B.clamp_min(TINY) * rows)
    return row_B * rows, column_K
