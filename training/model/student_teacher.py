"""Student and teacher: a backbone with its heads, and the slow copy that sets the targets.

Shapes: V large crops and S small crops of each of B images, crop-major (row v·B + b is crop v of image b), Q of
both; M masked patches of the whole batch; N patches of a crop; D width; E bottleneck.
"""

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from training.model.dino_head import Head
from training.model.drop_path import Skips
from training.model.vit import Backbone
from training.params import PretrainParams


class Seen(NamedTuple):
    """What a model makes of one batch."""

    crops: Tensor
    """z_QE of the CLS tokens: the large crops, and for the student the small ones too."""
    patches: Tensor
    """z_ME of the masked patches."""
    cls: Tensor
    """cls_RD of the large crops before the head, R = V·B."""


class Student(nn.Module):
    """Backbone and heads; called once in a step, so that gradients of all crops are exchanged together."""

    def __init__(self, params: PretrainParams) -> None:
        super().__init__()
        self.backbone = Backbone(params.model, params.crops.large_size)
        width, hidden = params.model.width, params.objective.head_hidden
        heads = [Head(width, hidden, *shape) for shape in params.objective.head_shapes]
        self.head = heads[0]
        self.patch_head = heads[1] if len(heads) > 1 else None

    def forward(
        self, crops: list[Tensor], mask_RN: Tensor | None, places_M: Tensor, skips: Skips | None = None
    ) -> Seen:
        """Look at normalised crops (large, then maybe small) and at the patches at `places_M` of the large ones.

        Places count through the flattened (R, N); the teacher gets them without a mask, and skips nothing.
        """
        cls_QD, patches_MD = self.backbone.read(crops, mask_RN, places_M, skips)
        large_RD = cls_QD[: len(crops[0])]
        if self.patch_head is not None:
            return Seen(self.head(cls_QD), self.patch_head(patches_MD), large_RD)
        z_RE = self.head(torch.cat([cls_QD, patches_MD]))
        return Seen(z_RE[: len(cls_QD)], z_RE[len(cls_QD) :], large_RD)

    def heads(self) -> list[Head]:
        """Return the one head, or both."""
        return [self.head] if self.patch_head is None else [self.head, self.patch_head]


def teacher_of(student: Student) -> Student:
    """Return an exact copy, heads included, that never trains."""
    return copy.deepcopy(student).requires_grad_(False).eval()


@torch.no_grad()
def follow(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    """Move the teacher: teacher ← momentum · teacher + (1 - momentum) · student, parameter by parameter."""
    slow, fast = dict(teacher.named_parameters()), dict(student.named_parameters())
    assert slow.keys() == fast.keys()
    torch._foreach_lerp_(list(slow.values()), [fast[name] for name in slow], 1 - momentum)


def initial_student(params: PretrainParams) -> Student:
    """Return the untrained student of a run, a function of its seed; on the CPU."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(params.seed)
        return Student(params)
