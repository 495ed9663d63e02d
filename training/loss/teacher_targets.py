"""How teacher scores become the targets of the cross-entropies: one rule for CLS, one instance for each loss.

Shapes: B rows of this process, E bottleneck, K prototypes, k of one chunk.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from training.distributed import all_sum
from training.loss.chunked_logits import Chunks, Prototypes
from training.loss.sinkhorn_knopp import sinkhorn

CENTRE_MOMENTUM = 0.9


class Targets(nn.Module):
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
        mean_E = all_sum(z_BE.float().sum(dim=0)) / all_sum(z_BE.new_tensor(float(rows))).clamp_min(1)
        mean_K = torch.cat([score_1k.squeeze(0) for _, score_1k in prototypes.scores(mean_E.unsqueeze(0))])
        self.centre_K = self.centre_K.lerp(mean_K, 1 - CENTRE_MOMENTUM)  # the mean score is the score of the mean
        return Chunks(rows, count, lambda columns, part: centred.make(columns, part).sub_(log_B[part, None]).exp_())
