"""Weighted k-NN on frozen features (Wu et al. 2018; DINO's protocol): exact, whatever the batch size.

Shapes: Q queries, B images of the bank, D width, k neighbours, Z classes.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

QUERIES_AT_ONCE = 1024


@torch.no_grad()
def knn_classes(queries_QD: Tensor, bank_BD: Tensor, bank_label_B: Tensor, *, k: int, temperature: float) -> Tensor:
    """Return the class_Q that the k nearest of the bank vote for; k is at most the size of the bank.

    The slow form:

    for q in range(Q):
        cosines = queries[q] · bank, both on the unit sphere
        for b in the k greatest cosines:
            votes[bank_label[b]] += exp(cosines[b] / temperature)
        class[q] = argmax(votes)
    """
    bank_DB = F.normalize(bank_BD.float(), dim=1).T.contiguous()
    classes, k = int(bank_label_B.max()) + 1, min(k, len(bank_label_B))
    found = []
    for part_QD in torch.split(F.normalize(queries_QD.float(), dim=1), QUERIES_AT_ONCE):
        cosine_Qk, row_Qk = (part_QD @ bank_DB).topk(k, dim=1)
        weight_Qk = torch.exp((cosine_Qk - 1).double() / temperature)
        votes_QZ = torch.zeros(len(part_QD), classes, dtype=torch.float64, device=part_QD.device)
        found.append(votes_QZ.scatter_add_(1, bank_label_B[row_Qk], weight_Qk).argmax(dim=1))
    return torch.cat(found)
