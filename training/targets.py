"""How teacher scores become the targets of the cross-entropies: one rule for CLS, one instance for each loss.

Shapes: B rows of this process, E bottleneck, K prototypes, k of one chunk.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from training.chunks import Chunks, products
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
    def forward(self, z_BE: Tensor, prototypes_KE: Tensor, temperature: float) -> Chunks:
        """Return targets_BK, rows that sum to 1; both arguments are of unit length, their products the scores.

        A running centre takes in these scores afterwards.
        """
        scores = products((z_BE / temperature).to(prototypes_KE.dtype), prototypes_KE)
        rows, prototypes = len(z_BE), len(prototypes_KE)
        if self.rule == "sinkhorn":  # cosines need no shift before exp: params keep temperatures from being too low
            kernel = Chunks(rows, prototypes, lambda columns: scores.make(columns).exp_())
            return kernel.scaled(*sinkhorn(kernel, prototypes, z_BE.device))
        shift_K = self.centre_K / temperature
        centred = Chunks(rows, prototypes, lambda columns: scores.make(columns).sub_(shift_K[columns]))
        log_B = torch.stack([x_Bk.logsumexp(dim=1) for _, x_Bk in centred]).logsumexp(dim=0)
        mean_E = all_sum(z_BE.float().sum(dim=0)) / all_sum(z_BE.new_tensor(float(rows))).clamp_min(1)
        self.centre_K = self.centre_K.lerp(prototypes_KE.float() @ mean_E, 1 - CENTRE_MOMENTUM)
        return Chunks(rows, prototypes, lambda columns: centred.make(columns).sub_(log_B.unsqueeze(1)).exp_())
