"""The whole objective: targets from the teacher's view, the three losses, their weighted sum.

Shapes: V large crops of B images, crop-major; Q = all crops of B images; M masked patches; K prototypes.
"""

from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn

from training.loss.chunked_logits import Chunks, Prototypes
from training.loss.cross_entropy import Goal, cross_entropy, product_dtype
from training.loss.losses import dino_loss, ibot_loss, koleo_loss, sums_over_other_views
from training.loss.teacher_targets import Targets
from training.model.student_teacher import Seen, Student
from training.params import CropParams, ObjectiveParams


class Losses(NamedTuple):
    """Scalars of one step; `total` is what is minimised."""

    total: Tensor
    dino: Tensor
    ibot: Tensor
    koleo: Tensor


class Objective(nn.Module):
    """Holds nothing but the running centres, where the recipe wants them."""

    def __init__(self, params: ObjectiveParams, crops: CropParams) -> None:
        super().__init__()
        self.params = params
        self.large, self.crops = crops.large_count, crops.large_count + crops.small_count
        shapes = params.head_shapes
        self.crop_targets = Targets(params.targets, shapes[0][1])
        self.patch_targets = Targets(params.targets, shapes[-1][1])

    def forward(self, seen: Seen, student: Student, targets: tuple[Chunks, Chunks], weight_M: Tensor) -> Losses:
        """Return the losses of what the student sees in whole groups of images; it only lends its prototypes."""
        p = self.params
        entropy_Q, entropy_M = self._entropies(seen, student, targets)
        dino = dino_loss(entropy_Q, self.large, self.crops)
        ibot = ibot_loss(entropy_M, weight_M, targets[0].rows)
        koleo = torch.zeros_like(dino)
        if p.koleo_weight:  # each crop for itself: two views of an image may be near
            koleo = koleo_loss(seen.cls.reshape(-1, p.koleo_group, seen.cls.shape[1]))
        total = p.dino_weight * dino + p.ibot_weight * ibot + p.koleo_weight * koleo
        return Losses(total, dino.detach(), ibot.detach(), koleo.detach())

    @torch.no_grad()
    def targets(self, seen: Seen, teacher: Student, temperature: float) -> tuple[Chunks, Chunks]:
        """Return the targets of CLS tokens and of masked patches, over the whole batch of all processes."""
        dtype = product_dtype(seen.crops)
        with torch.autocast(seen.crops.device.type, enabled=False):
            directions = [Prototypes.of(head.prototypes.weight, dtype) for head in teacher.heads()]
            crop_targets: Chunks = self.crop_targets(seen.crops, directions[0], temperature)
            patch_targets: Chunks = self.patch_targets(seen.patches, directions[-1], temperature)
        return crop_targets, patch_targets

    def _entropies(self, seen: Seen, student: Student, targets: tuple[Chunks, Chunks]) -> tuple[Tensor, Tensor]:
        """Return entropy_Q of the CLS tokens and entropy_M of the masked patches."""
        mass_Q = torch.full_like(seen.crops[:, 0], float(self.large), requires_grad=False)
        mass_Q[: self.large * len(mass_Q) // self.crops] -= 1
        of_crops = Goal(targets[0], partial(sums_over_other_views, large=self.large, crops=self.crops), mass_Q)
        of_patches = Goal(targets[1], lambda target_Mk: target_Mk, torch.ones_like(seen.patches[:, 0]))
        weights = [head.prototypes.weight for head in student.heads()]
        sharpness = self.params.student_temperature
        if len(weights) == 1:
            both_RE = torch.cat([seen.crops, seen.patches])
            entropy_R = cross_entropy(both_RE, weights[0], [of_crops, of_patches], sharpness)
            return entropy_R[: len(mass_Q)], entropy_R[len(mass_Q) :]
        entropy_Q = cross_entropy(seen.crops, weights[0], [of_crops], sharpness)
        return entropy_Q, cross_entropy(seen.patches, weights[1], [of_patches], sharpness)
