"""The three losses of DINOv2 (Oquab et al. 2024), in fp32 whatever comes in.

Shapes: T teacher crops (the large ones) of B images, R = T·B; Q = student crops (the same T first, then the
small ones) times B; M masked patches; k prototypes of one chunk; G groups of P images; D width.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

COPIES_BELOW = 1e-4
"""Two CLS tokens nearer than this, on the unit sphere, are copies: pushing them apart would divide by zero."""


def sums_over_other_views(target_Rk: Tensor, large: int, crops: int) -> Tensor:
    """Return, for each of `crops` student crops, the sum of the targets of all large crops but itself.

    Rows are crop-major: (large, B) in, (crops, B) out.
    """
    target_TBk = target_Rk.view(large, -1, target_Rk.shape[1])
    sum_Bk = target_TBk.sum(dim=0)
    small_Bk = sum_Bk.repeat(crops - large, 1)
    return torch.cat([(sum_Bk - target_TBk).flatten(0, 1), small_Bk])


def dino_loss(entropy_Q: Tensor, large: int, crops: int) -> Tensor:
    """Return the mean cross-entropy over all pairs of a teacher crop and another student crop.

    Each entropy is against the sum of targets above. The slow form:

        for t in range(large):
            for s in range(crops):
                if s != t:
                    loss += mean over b of -(targets[t, b] · log_softmax(student[s, b] / temperature))
        loss /= large * crops - large
    """
    images = len(entropy_Q) // crops
    return entropy_Q.sum() / (images * (large * crops - large))


def ibot_loss(entropy_M: Tensor, weight_M: Tensor, crops: int) -> Tensor:
    """Return the cross-entropy on masked patches: mean in a crop, then over all large crops.

    The slow form:

        for m in range(M):
            loss += weight[m] * -(targets[m] · log_softmax(student[m] / temperature))
        loss /= crops

    Here `weight` is 1 / (masked patches of the crop). Crops without a mask count as 0, as in DINOv2.
    """
    return (entropy_M * weight_M).sum() / crops


def koleo_loss(cls_GPD: Tensor) -> Tensor:
    """Return minus the mean log distance to the nearest neighbour in the group (Sablayrolles et al. 2019).

    The slow form:

    for x in group:
        nearest = min(|x - y| for y in group if y is not x), all on the unit sphere
        loss += -log(nearest), unless y is a copy of x
    loss /= number of x, copies too: so it is the same for any number of processes
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
        return -0.5 * safe_GP.log().mean()
