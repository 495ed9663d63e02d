"""How many directions features really use, without labels: RankMe's entropy of singular values (Garrido et al. 2023).

Shapes: B images, D width.
"""

import torch
from torch import Tensor


@torch.no_grad()
def effective_rank(features_BD: Tensor) -> float:
    """Return exp of the entropy of the singular values of centred features: 1 = collapsed, at most min(B, D).

    p = singular / sum(singular); exp(-sum(p · log p)). Features that are all the same give 1.
    """
    x_BD = features_BD.float()
    singular = torch.linalg.svdvals(x_BD - x_BD.mean(dim=0))
    total = singular.sum()
    if total <= 1e-6 * x_BD.norm().clamp_min(1e-12):
        return 1.0
    return float(torch.special.entr(singular / total).sum().exp())
