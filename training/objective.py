"""The whole objective: targets from the teacher's scores, the three losses, their weighted sum.

Shapes: V large crops of B images, crop-major; M masked patches; K prototypes.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from training.losses import dino_loss, ibot_loss, koleo_loss
from training.params import ObjectiveParams
from training.student import Scores
from training.targets import Targets


class Losses(NamedTuple):
    """Scalars of one step; `total` is what is minimised."""

    total: Tensor
    dino: Tensor
    ibot: Tensor
    koleo: Tensor


class Objective(nn.Module):
    """Holds nothing but the running centres, where the recipe wants them."""

    def __init__(self, params: ObjectiveParams, large_count: int) -> None:
        super().__init__()
        self.params = params
        self.large_count = large_count
        self.crop_targets = Targets(params.targets, params.prototypes)
        self.patch_targets = Targets(params.targets, params.prototypes)

    def forward(self, student: Scores, teacher: Scores, weight_M: Tensor, temperature: float) -> tuple[Losses, Tensor]:
        """Return the losses, and the mean target_K of this process's large crops."""
        p, V = self.params, self.large_count
        images = len(teacher.crops) // V
        targets_RK = self.crop_targets(teacher.crops, temperature)
        dino = dino_loss(
            student.crops.view(-1, images, p.prototypes),
            targets_RK.view(V, images, p.prototypes),
            p.student_temperature,
        )
        patch_targets_MK = self.patch_targets(teacher.patches, temperature)
        ibot = ibot_loss(student.patches, patch_targets_MK, weight_M, V * images, p.student_temperature)
        koleo = torch.zeros_like(dino)
        if p.koleo_weight:  # each crop for itself: two views of an image may be near
            koleo = koleo_loss(student.cls.reshape(-1, p.koleo_group, student.cls.shape[1]))
        total = p.dino_weight * dino + p.ibot_weight * ibot + p.koleo_weight * koleo
        return Losses(total, dino.detach(), ibot.detach(), koleo.detach()), targets_RK.mean(dim=0)
