"""One training step: forward, backward, look before stepping, step, let the teacher follow.

Shapes: as in data.py; K prototypes.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from training.checkpoint import State
from training.data import Batch
from training.device import Place, all_sum
from training.model import normalised
from training.optim import apply
from training.params import PretrainParams
from training.schedules import Values, values
from training.skipping import draw_skips
from training.student import Seen, follow


@dataclass(frozen=True)
class Report:
    """What one step came to, the same on every rank."""

    losses: dict[str, float]
    grad_norm: float
    prototype_entropy: float
    """Entropy of the mean target, in nats; log(prototypes) when all are used alike."""
    values: Values
    taken: bool
    """False when something was not finite and the update was left out."""
    stop: bool
    """Whether any rank was asked to stop."""
    teacher_cls: Tensor
    """cls_RD, the teacher's CLS tokens of this process's large crops."""


def take_step(
    state: State, wrapped: nn.Module, batch: Batch, params: PretrainParams, place: Place, stop: bool
) -> Report:
    """Do one step. `wrapped` is the student, inside DDP where there are several processes."""
    now = values(state.step, params)
    apply(now, state.optimizer)
    images = params.optim.batch_size // place.world
    skips = draw_skips(params, state.step, place.rank * images, images, place.device)
    crops = [normalised(batch.large)]
    with place.autocast(params.optim.precision):
        with torch.no_grad():
            teacher: Seen = state.teacher(crops, None, batch.places)
        if params.crops.small_count:
            crops.append(normalised(batch.small))
        student: Seen = wrapped(crops, batch.mask, batch.places, skips)
        models = (state.student, state.teacher)
        losses, target_K = state.objective((student, teacher), models, batch.weight, now.teacher_temperature)
    state.scaler.scale(losses.total).backward()
    norm = _gradient_norm(state, params)
    entropy = torch.special.entr(all_sum(target_K) / place.world).sum()
    means = all_sum(torch.stack([*losses, torch.tensor(float(stop), device=place.device)]).detach()) / place.world
    *told, stopping, norm, entropy = torch.cat([means, norm.view(1), entropy.view(1)]).tolist()  # waits, this once
    taken = bool(np.isfinite([*told, norm]).all())
    if taken:
        _clip(state, params.optim.clip, norm)
        state.scaler.step(state.optimizer)
    state.scaler.update()
    state.optimizer.zero_grad(set_to_none=True)
    if taken:
        follow(state.teacher, state.student, now.momentum)
    state.step += 1
    state.skipped += not taken
    return Report(
        losses=dict(zip(losses._fields, told, strict=True)),
        grad_norm=norm,
        prototype_entropy=entropy,
        values=now,
        taken=taken,
        stop=stopping > 0,
        teacher_cls=teacher.cls,
    )


def _gradient_norm(state: State, params: PretrainParams) -> Tensor:
    """Unscale the gradient of the whole student and return its norm."""
    state.scaler.unscale_(state.optimizer)
    if state.step < params.optim.freeze_prototypes:
        for head in state.student.heads():
            head.prototypes.weight.grad = None  # no moments either, unlike a learning rate of 0
    return nn.utils.get_total_norm([p.grad for p in state.student.parameters() if p.grad is not None])


def _clip(state: State, limit: float, norm: float) -> None:
    """Shorten the gradient to the limit; nothing is touched where it is shorter."""
    if norm > limit:
        torch._foreach_mul_([p.grad for p in state.student.parameters() if p.grad is not None], limit / norm)
