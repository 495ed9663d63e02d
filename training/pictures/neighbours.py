"""Which images a model finds most alike.

Shapes: Q queries, B images of the bank, D width, k neighbours.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


@torch.no_grad()
def nearest(queries_QD: Tensor, bank_BD: Tensor, k: int, itself_Q: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return cosine_Qk and row_Qk, the nearest first; a query that lies in the bank, at `itself`, is left out."""
    cosine_QB = F.normalize(queries_QD.float(), dim=1) @ F.normalize(bank_BD.float(), dim=1).T
    if itself_Q is not None:
        cosine_QB.scatter_(1, itself_Q.unsqueeze(1), -torch.inf)
    cosine_Qk, row_Qk = cosine_QB.topk(min(k, len(bank_BD) - (itself_Q is not None)), dim=1)
    return cosine_Qk, row_Qk
