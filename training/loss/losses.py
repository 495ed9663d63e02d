"""The three losses of DINOv2 (Oquab et al. 2024), in fp32 whatever comes in, and the objective that adds them up.

Shapes: T teacher crops (the global ones) of B images, R = T·B; Q = student crops (the same T first, then the
local ones) times B; M masked patches; K prototypes, k of one chunk; G groups of P images; D width.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.loss.cross_entropy import Chunks, Prototypes, RowTargets, cross_entropy, fixed, product_dtype
from training.loss.features import feature_distance, gram_loss
from training.loss.fused import FusedRows, FusedTargets, fused_cross_entropy, fused_targets
from training.loss.passes import Passes
from training.loss.targets import TeacherTargets, sums_over_other_views
from training.model.frozen import FrozenTeacher
from training.model.student_teacher import Outputs, Student
from training.params import CropParams, ObjectiveParams

Targets = Chunks | FusedTargets
COPIES_BELOW = 1e-4
"""Two CLS tokens nearer than this, on the unit sphere, are copies: pushing them apart would divide by zero."""


def dino_loss(entropy_Q: Tensor, global_count: int, crop_count: int) -> Tensor:
    """Return the mean cross-entropy over all pairs of a teacher crop and another student crop.

    Each entropy is against the sum of targets above. The slow form:

        for t in range(global_count):
            for s in range(crop_count):
                if s != t:
                    loss += mean over b of -(targets[t, b] · log_softmax(student[s, b] / temperature))
        loss /= global_count * crop_count - global_count
    """
    images = len(entropy_Q) // crop_count
    return entropy_Q.sum() / (images * (global_count * crop_count - global_count))


def ibot_loss(entropy_M: Tensor, weight_M: Tensor, crop_count: int) -> Tensor:
    """Return the cross-entropy on masked patches: mean in a crop, then over all global crops.

    The slow form:

        for m in range(M):
            loss += weight[m] * -(targets[m] · log_softmax(student[m] / temperature))
        loss /= crop_count

    Here `weight` is 1 / (masked patches of the crop). Crops without a mask count as 0, as in DINOv2.
    """
    return (entropy_M * weight_M).sum() / crop_count


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


class Losses(NamedTuple):
    """Scalars of one step; `total` is what is minimised: their sum, weighted. KoLeo is a sum over global crops."""

    total: Tensor
    dino: Tensor
    ibot: Tensor
    koleo: Tensor
    gram: Tensor


class Objective(nn.Module):
    """DINO, iBOT and KoLeo, weighted. Holds nothing but the running centres, where the recipe wants them.

    `passes` are compiled ones over balanced targets, where there are any.
    """

    def __init__(self, params: ObjectiveParams, crops: CropParams) -> None:
        super().__init__()
        self.params = params
        self.global_count, self.crop_count = crops.global_count, crops.global_count + crops.local_count
        self.passes: Passes | None = None
        shapes = params.head_shapes
        self.crop_targets = TeacherTargets(params.targets, shapes[0][1])
        self.patch_targets = TeacherTargets(params.targets, shapes[-1][1])

    def forward(
        self,
        outputs: Outputs,
        student: Student,
        targets: tuple[Targets, Targets],
        weight_M: Tensor,
        gram_target_RNF: Tensor | None = None,
    ) -> Losses:
        """Return the losses of the student's outputs on whole groups of images; of it only the prototypes are used.

        Where a teacher's features are met, `dino` and `ibot` are the distances of CLS tokens and of patches.
        """
        p = self.params
        if p.by_features:
            distance_Q, entropy_M = _distances(outputs, targets)
            dino = distance_Q.mean()
        else:
            entropy_Q, entropy_M = self._entropies(outputs, student, targets)
            dino = dino_loss(entropy_Q, self.global_count, self.crop_count)
        ibot = ibot_loss(entropy_M, weight_M, targets[0].rows)
        koleo, gram = torch.zeros_like(dino), torch.zeros_like(dino)
        if p.koleo_weight:  # each crop for itself, as two views of an image may be near; then the sum over crops
            groups_GPD = outputs.cls.reshape(-1, p.koleo_group, outputs.cls.shape[1])
            koleo = self.global_count * koleo_loss(groups_GPD)
        total = p.dino_weight * dino + p.ibot_weight * ibot + p.koleo_weight * koleo
        if p.gram and outputs.dense is not None and gram_target_RNF is not None:
            gram = gram_loss(outputs.dense, gram_target_RNF)
            total = total + p.gram.weight * gram
        return Losses(total, dino.detach(), ibot.detach(), koleo.detach(), gram.detach())

    @torch.no_grad()
    def targets(
        self, outputs: Outputs, teacher: Student | FrozenTeacher, temperature: float
    ) -> tuple[Targets, Targets]:
        """Return the targets of CLS tokens and of masked patches, over the whole batch of all processes."""
        if self.params.by_features:
            return fixed(outputs.crops), fixed(outputs.patches)
        dtype = product_dtype(outputs.crops)
        with torch.autocast(outputs.crops.device.type, enabled=False):
            prototypes = [Prototypes.of(head.prototypes.weight, dtype) for head in teacher.heads()]
            if self.passes and self.params.targets == "sinkhorn":
                of_both = zip((outputs.crops, outputs.patches), (prototypes[0], prototypes[-1]), strict=True)
                crops, patches = (fused_targets(z_BE, of, temperature, self.passes) for z_BE, of in of_both)
                return crops, patches
            crop_targets: Chunks = self.crop_targets(outputs.crops, prototypes[0], temperature)
            patch_targets: Chunks = self.patch_targets(outputs.patches, prototypes[-1], temperature)
        return crop_targets, patch_targets

    def _entropies(self, outputs: Outputs, student: Student, targets: tuple[Targets, Targets]) -> tuple[Tensor, Tensor]:
        """Return entropy_Q of the CLS tokens and entropy_M of the masked patches."""
        n_targets_Q = torch.full_like(outputs.crops[:, 0], float(self.global_count), requires_grad=False)
        n_targets_Q[: self.global_count * len(n_targets_Q) // self.crop_count] -= 1
        n_targets_M, sharpness = torch.ones_like(outputs.patches[:, 0]), self.params.student_temperature
        rows, entropy = self._compared(targets, n_targets_Q, n_targets_M)
        weights = [head.prototypes.weight for head in student.heads()]
        if len(weights) == 1:
            both_RE = torch.cat([outputs.crops, outputs.patches])
            entropy_R = entropy(both_RE, weights[0], rows, sharpness)
            return entropy_R[: len(n_targets_Q)], entropy_R[len(n_targets_Q) :]
        entropy_Q = entropy(outputs.crops, weights[0], rows[:1], sharpness)
        return entropy_Q, entropy(outputs.patches, weights[1], rows[1:], sharpness)

    def _compared(
        self, targets: tuple[Targets, Targets], n_targets_Q: Tensor, n_targets_M: Tensor
    ) -> tuple[list[Any], Callable[..., Tensor]]:
        """Return what the rows of crops and of patches are compared with, and how."""
        of_crops, of_patches = targets
        if isinstance(of_crops, FusedTargets) and isinstance(of_patches, FusedTargets) and self.passes:
            views = self.global_count, self.crop_count
            fused = [FusedRows(of_crops, views, n_targets_Q), FusedRows(of_patches, None, n_targets_M)]
            return fused, partial(fused_cross_entropy, passes=self.passes)
        assert isinstance(of_crops, Chunks)
        assert isinstance(of_patches, Chunks)
        expand = partial(sums_over_other_views, global_count=self.global_count, crop_count=self.crop_count)
        of_patches_alone = RowTargets(of_patches, lambda target_Mk: target_Mk, n_targets_M)
        return [RowTargets(of_crops, expand, n_targets_Q), of_patches_alone], cross_entropy


def _distances(outputs: Outputs, targets: tuple[Targets, Targets]) -> tuple[Tensor, Tensor]:
    """Return distance_Q and distance_M to the features that are the targets."""
    of_crops, of_patches = targets
    assert isinstance(of_crops, Chunks)
    assert isinstance(of_patches, Chunks)
    return feature_distance(outputs.crops, of_crops.at(0)), feature_distance(outputs.patches, of_patches.at(0))
