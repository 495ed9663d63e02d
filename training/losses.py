"""The three losses of DINOv2 (Oquab et al. 2024), in fp32 whatever comes in.

Shapes: T teacher crops (the large ones), S student crops (the same T first, then the small ones), B images,
M masked patches, K prototypes, G groups of P images, D width.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

COPIES_BELOW = 1e-4
"""Two CLS tokens nearer than this, on the unit sphere, are copies: pushing them apart would divide by zero."""


def dino_loss(student_SBK: Tensor, targets_TBK: Tensor, temperature: float) -> Tensor:
    """Return the mean cross-entropy over all pairs of a teacher crop and another student crop.

    The slow form:

    for t in range(T):
        for s in range(S):
            if s != t:
                loss += mean over b of -(targets[t, b] · log_softmax(student[s, b] / temperature))
    loss /= T * S - T
    """
    log_SBK = F.log_softmax(student_SBK.float() / temperature, dim=-1)
    pairs_TS = -torch.einsum("tbk,sbk->ts", targets_TBK, log_SBK) / student_SBK.shape[1]
    teachers, students = pairs_TS.shape
    same_view_TS = torch.eye(teachers, students, dtype=torch.bool, device=pairs_TS.device)
    return pairs_TS.masked_fill(same_view_TS, 0).sum() / (teachers * students - teachers)


def ibot_loss(student_MK: Tensor, targets_MK: Tensor, weight_M: Tensor, crops: int, temperature: float) -> Tensor:
    """Return the cross-entropy on masked patches: mean in a crop, then over all large crops.

    The slow form:

        for m in range(M):
            loss += weight[m] * -(targets[m] · log_softmax(student[m] / temperature))
        loss /= crops

    Here `weight` is 1 / (masked patches of the crop). Crops without a mask count as 0, as in DINOv2.
    """
    log_MK = F.log_softmax(student_MK.float() / temperature, dim=-1)
    return -((targets_MK * log_MK).sum(dim=-1) * weight_M).sum() / crops


def koleo_loss(cls_GPD: Tensor) -> Tensor:
    """Return minus the mean log distance to the nearest neighbour in the group (Sablayrolles et al. 2019).

    The slow form:

    for x in group:
        nearest = min(|x - y| for y in group if y is not x), all on the unit sphere
        loss += -log(nearest), unless y is a copy of x
    loss /= number of x that count
    """
    with torch.autocast(cls_GPD.device.type, enabled=False):
        x_GPD = F.normalize(cls_GPD.float(), dim=-1)
        with torch.no_grad():
            cosine_GPP = x_GPD @ x_GPD.mT
            cosine_GPP.diagonal(dim1=1, dim2=2).fill_(-2)
            nearest_GP = cosine_GPP.argmax(dim=-1)
        neighbour_GPD = x_GPD.gather(1, nearest_GP.unsqueeze(-1).expand_as(x_GPD))
        squared_GP = (x_GPD - neighbour_GPD).square().sum(dim=-1)
        counts_GP = squared_GP.detach() > COPIES_BELOW**2
        safe_GP = torch.where(counts_GP, squared_GP, torch.ones_like(squared_GP))
        return -0.5 * safe_GP.log().sum() / counts_GP.sum().clamp_min(1)
