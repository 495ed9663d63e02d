"""Mean and prototypes of a teacher that comes without heads: features of training images, as different as they are.

Published weights have no heads. Their features of some images, less the mean of all, are directions that other images
are told apart by; lightly-train keeps a queue of such features. Here they are drawn once, before the first step.

Shapes: R global crops, N patches of each, F width of the teacher, K prototypes.
"""

from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor
from torch.nn import functional as F

from shared.errors import RecipeError
from training.data.batch import Batch
from training.distributed import DistributedContext
from training.model.frozen import FrozenTeacher
from training.model.vit import normalised
from training.params.resolved import ResolvedParams

MEAN_CROPS = 512
"""Crops that give the mean where no prototypes are drawn: it is known to a twentieth of the features' spread."""
PATCHES = 4
"""Patches of a crop that may become prototypes: neighbours are alike, so not all of them."""


def _needed_steps(teacher: FrozenTeacher, params: ResolvedParams) -> int:
    """Return how many batches have crops enough for the prototypes to be drawn; 0 where the teacher needs none.

    Raises RecipeError where the run is shorter.
    """
    drawn = teacher.drawn()
    if not drawn:
        return 0
    crops = params.optim.batch_size * params.crops.global_count
    counts = [len(head.prototypes.weight) for head in drawn if head.prototypes is not None]
    if not counts:
        return min(-(-MEAN_CROPS // crops), params.optim.steps)
    steps = max(-(-counts[0] // crops), -(-counts[-1] // (PATCHES * crops)))
    if steps > params.optim.steps:
        most = params.optim.steps * crops
        raise RecipeError(
            f"Distillation draws its {counts[0]:,} prototypes among features of {steps:,} batches, got a run of "
            f"{params.optim.steps:,} steps. Set training.objective.prototypes to {most:,} or less."
        )
    return steps


@torch.no_grad()
def draw_prototypes(
    teacher: FrozenTeacher, loader: Iterator[Batch], params: ResolvedParams, context: DistributedContext
) -> None:
    """Set means and prototypes of a teacher without heads from the first batches: whole ones, on every rank."""
    generator = torch.Generator().manual_seed(params.seed)
    kinds: tuple[list[Tensor], list[Tensor]] = [], []
    for batch in islice(loader, _needed_steps(teacher, params)):
        batch = batch.to(context.device)
        count, patches = batch.mask.shape
        places = torch.rand(count, patches, generator=generator).argsort(dim=1)[:, :PATCHES]
        indices_M = (torch.arange(count).unsqueeze(1) * patches + places).flatten().to(context.device)
        with context.autocast(params.optim.precision):
            cls_RF, patches_MF = teacher.tokens(normalised(batch.global_crops), indices_M)
        kinds[0].append(cls_RF.float())
        kinds[1].append(patches_MF.float())
    for head, tokens in zip(teacher.drawn(), kinds, strict=False):
        rows_RF = torch.cat(tokens)
        head.mean_F.copy_(rows_RF.mean(dim=0))
        if head.prototypes is None:
            continue
        wanted = len(head.prototypes.weight)
        chosen = torch.randperm(len(rows_RF), generator=generator)[:wanted]
        head.prototypes.weight.copy_(F.normalize(rows_RF[chosen] - head.mean_F, dim=-1))
