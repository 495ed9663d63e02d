"""Teacher scores to targets by Sinkhorn-Knopp, over the batch of all processes (Caron et al. 2020).

Shapes: B rows of this process, K prototypes.
"""

import torch
from torch import Tensor

from training.device import all_max, all_sum

ITERATIONS = 3
TINY = 1e-30


@torch.no_grad()
def sinkhorn(scores_BK: Tensor, temperature: float) -> Tensor:
    """Return targets_BK: every row sums to 1, and every prototype gets about the same total.

    The slow form, for one process:

        q = exp(scores / temperature)
        for _ in range(3):
            for k: q[:, k] /= q[:, k].sum() * K
            for b: q[b, :] /= q[b, :].sum() * B
        return q * B

    Every process must call it, also one without rows. The greatest score is subtracted first, so that exp
    cannot overflow; in fp32 whatever comes in.
    """
    logits_BK = scores_BK.float() / temperature
    lowest = torch.full((1,), -torch.inf, device=logits_BK.device)
    greatest = all_max(torch.cat([logits_BK.amax(dim=1), lowest]).amax())
    rows = all_sum(torch.tensor(float(len(logits_BK)), device=logits_BK.device))
    q_BK = torch.exp(logits_BK - greatest)
    for _ in range(ITERATIONS):
        q_BK /= all_sum(q_BK.sum(dim=0)).clamp_min(TINY) * q_BK.shape[1]
        q_BK /= q_BK.sum(dim=1, keepdim=True).clamp_min(TINY) * rows
    return q_BK * rows
