"""Student and teacher: a backbone with its DINO heads, and the EMA (momentum) copy of it that sets the targets.

Shapes: V global crops and S local crops of each of B images, crop-major (row v·B + b is crop v of image b), Q of
both; M masked patches of the whole batch; N patches of a crop; D width; E bottleneck; K prototypes.
"""

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.model.drop_path import DropPathSubsets
from training.model.vit import Backbone
from training.params import PretrainParams


class Outputs(NamedTuple):
    """What student or teacher makes of one batch."""

    crops: Tensor
    """z_QE of the CLS tokens: the global crops, and for the student the local ones too."""
    patches: Tensor
    """z_ME of the masked patches."""
    cls: Tensor
    """cls_RD of the global crops before the head, R = V·B."""
    dense: Tensor | None = None
    """patches_RND of the global crops before the head, where a loss is about all of them."""


class DinoHead(nn.Module):
    """Three linear layers to a bottleneck on the unit sphere (Caron et al. 2021); scores are cosines with K prototypes.

    The prototypes are weight-normed with gain 1, as in DINO: scores stay in [-1, 1], so that their exponentials
    cannot overflow. DINOv2 lets the gain train.
    """

    def __init__(self, width: int, hidden: int, bottleneck: int, prototypes: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(width, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Linear(hidden, bottleneck),
        )
        self.prototypes = nn.Linear(bottleneck, prototypes, bias=False)
        for layer in self.mlp:  # the prototypes keep torch's own start, of length .577: it decides how fast they turn
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)

    def forward(self, x_RD: Tensor) -> Tensor:
        """Return z_RE, of unit length."""
        return F.normalize(self.mlp(x_RD).float(), dim=-1, eps=1e-6)


class FeatureHead(nn.Module):
    """One linear layer to the tokens of another model, of unit length."""

    def __init__(self, width: int, other_width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, other_width)

    def forward(self, x_RD: Tensor) -> Tensor:
        """Return z_RE, of unit length."""
        return F.normalize(self.linear(x_RD).float(), dim=-1, eps=1e-6)


Head = DinoHead | FeatureHead


class Student(nn.Module):
    """Backbone and heads; called once in a step, so that gradients of all crops are exchanged together."""

    def __init__(self, params: PretrainParams, teacher_width: int = 0) -> None:
        super().__init__()
        self.backbone = Backbone(params.model, params.crops.global_size)
        width, hidden = params.model.width, params.objective.head_hidden
        self.dense = params.objective.gram is not None
        heads: list[Head]
        if params.objective.by_features:
            heads = [FeatureHead(width, teacher_width or width) for _ in range(2)]
        else:
            heads = [DinoHead(width, hidden, *shape) for shape in params.objective.head_shapes]
        self.head = heads[0]
        self.patch_head = heads[1] if len(heads) > 1 else None

    def forward(
        self, crops: list[Tensor], mask_RN: Tensor | None, indices_M: Tensor, subsets: DropPathSubsets | None = None
    ) -> Outputs:
        """Run on normalised crops (global, then maybe local), reading the patches at `indices_M` of the global ones.

        Indices count through the flattened (R, N); the teacher gets them without a mask, and drops no path.
        """
        dense_RND = None
        if self.dense:
            count = len(crops[0])
            patches = (crops[0].shape[-1] // self.backbone.vit.patch_embed.proj.kernel_size[0]) ** 2
            everywhere = torch.arange(count * patches, device=indices_M.device)
            cls_QD, all_LD = self.backbone.forward_crops(crops, mask_RN, everywhere, subsets)
            patches_MD, dense_RND = all_LD[indices_M], all_LD.view(count, patches, -1)
        else:
            cls_QD, patches_MD = self.backbone.forward_crops(crops, mask_RN, indices_M, subsets)
        global_RD = cls_QD[: len(crops[0])]
        if self.patch_head is not None:
            return Outputs(self.head(cls_QD), self.patch_head(patches_MD), global_RD, dense_RND)
        z_RE = self.head(torch.cat([cls_QD, patches_MD]))
        return Outputs(z_RE[: len(cls_QD)], z_RE[len(cls_QD) :], global_RD, dense_RND)

    def heads(self) -> list[DinoHead]:
        """Return the one head with prototypes, or both; none where a teacher's features are met."""
        return [head for head in (self.head, self.patch_head) if isinstance(head, DinoHead)]


def make_ema_teacher(student: Student) -> Student:
    """Return an exact copy, heads included, that never trains."""
    teacher = copy.deepcopy(student).requires_grad_(False).eval()
    teacher.dense = False
    return teacher


@torch.no_grad()
def update_ema(teacher: nn.Module, student: nn.Module, momentum: float) -> None:
    """Move the EMA teacher: teacher ← momentum · teacher + (1 - momentum) · student, parameter by parameter."""
    slow, fast = dict(teacher.named_parameters()), dict(student.named_parameters())
    assert slow.keys() == fast.keys()
    torch._foreach_lerp_(list(slow.values()), [fast[name] for name in slow], 1 - momentum)


def initial_student(params: PretrainParams, teacher_width: int = 0) -> Student:
    """Return the untrained student of a run, a function of its seed; on the CPU.

    `teacher_width` is that of the frozen teacher whose features it is to meet, where there is one.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(params.seed)
        return Student(params, teacher_width)
