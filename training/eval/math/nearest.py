"""Exact nearest neighbours by cosine, all at once over the bank and a few queries at a time.

Shapes: Q queries, B rows of the bank, D width, k neighbours, Z classes.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

CELLS = 2**23
"""Cosines in memory at once, a few times over."""


def unit(features_BD: Tensor) -> Tensor:
    """Return the features on the unit sphere, in double precision; zero stays zero."""
    return F.normalize(features_BD.double(), dim=-1, eps=1e-300)


def rounded(cosine: Tensor) -> Tensor:
    """Return cosines on a grid of a billionth: otherwise copies would be ordered by the last bit of a product."""
    return (cosine * 2.0**30).round() * 2.0**-30


def nearest(queries_QD: Tensor, bank_BD: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return cosine_Qk and row_Qk of the k nearest of the bank, nearest first.

    Equal ones, after rounding, come in the order of the bank.
    """
    bank_DB = unit(bank_BD).T.contiguous()
    order_B = torch.arange(len(bank_BD), dtype=torch.float64, device=bank_BD.device) * 2.0**-52
    cosines, rows = [], []
    for part_QD in torch.split(unit(queries_QD), rows_at_once(len(bank_BD))):
        cosine_QB = part_QD @ bank_DB
        row_Qk = (rounded(cosine_QB) - order_B).topk(k, dim=1).indices
        cosines.append(cosine_QB.gather(1, row_Qk))
        rows.append(row_Qk)
    return torch.cat(cosines), torch.cat(rows)


def votes(cosine_Qk: Tensor, label_Qk: Tensor, classes: int, temperature: float) -> Tensor:
    """Return votes_QZ: each neighbour adds exp(cosine / temperature) to its class, but for a factor common to all."""
    weight_Qk = ((cosine_Qk - 1) / temperature).exp()
    return weight_Qk.new_zeros(len(cosine_Qk), classes).scatter_add_(1, label_Qk, weight_Qk)


def rows_at_once(width: int) -> int:
    """Return how many rows of this width fit into memory beside a few copies of them."""
    return max(1, CELLS // width)
