"""Exact nearest neighbours by cosine, all at once over the bank and a few queries at a time.

Shapes: Q queries, B rows of the bank, D width, k neighbours.
"""

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

CELLS = 2**23
"""Cosines in memory at once, a few times over."""


def unit(features_BD: Tensor) -> Tensor:
    """Return the features on the unit sphere, in double precision; zero stays zero."""
    return F.normalize(features_BD.double(), dim=-1, eps=1e-300)


def nearest(queries_QD: Tensor, bank_BD: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return cosine_Qk and row_Qk of the k nearest of the bank, nearest first.

    Cosines that differ by less than a billionth count as equal, and equal ones come in the order of the bank:
    otherwise copies in the bank would be ordered by the last bit of a product, which depends on the batch.
    """
    bank_DB = unit(bank_BD).T.contiguous()
    order_B = torch.arange(len(bank_BD), dtype=torch.float64, device=bank_BD.device) * 2.0**-52
    cosines, rows = [], []
    for part_QD in _parts(unit(queries_QD), len(bank_BD)):
        cosine_QB = part_QD @ bank_DB
        row_Qk = ((cosine_QB * 2.0**30).round() * 2.0**-30 - order_B).topk(k, dim=1).indices
        cosines.append(cosine_QB.gather(1, row_Qk))
        rows.append(row_Qk)
    return torch.cat(cosines), torch.cat(rows)


def _parts(queries_QD: Tensor, bank: int) -> Iterator[Tensor]:
    yield from torch.split(queries_QD, max(1, CELLS // bank))
