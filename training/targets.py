"""How teacher scores become the targets of the cross-entropies: one rule for CLS, one instance for each head.

Shapes: B rows of this process, K prototypes.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from training.device import all_sum
from training.sinkhorn import sinkhorn

CENTRE_MOMENTUM = 0.9


class Targets(nn.Module):
    """Sinkhorn-Knopp, or softmax after subtracting a running centre (Caron et al. 2021)."""

    def __init__(self, rule: Literal["sinkhorn", "centre"], prototypes: int) -> None:
        super().__init__()
        self.rule = rule
        self.centre_K: Tensor
        self.register_buffer("centre_K", torch.zeros(prototypes if rule == "centre" else 0))

    @torch.no_grad()
    def forward(self, scores_BK: Tensor, temperature: float) -> Tensor:
        """Return targets_BK, rows that sum to 1; a running centre takes in these scores afterwards."""
        if self.rule == "sinkhorn":
            return sinkhorn(scores_BK, temperature)
        scores_BK = scores_BK.float()
        targets_BK = torch.softmax((scores_BK - self.centre_K) / temperature, dim=1)
        rows = all_sum(torch.tensor(float(len(scores_BK)), device=scores_BK.device))
        mean_K = all_sum(scores_BK.sum(dim=0)) / rows.clamp_min(1)
        self.centre_K.lerp_(mean_K, 1 - CENTRE_MOMENTUM)
        return targets_BK
