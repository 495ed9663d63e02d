"""One training step: forward, backward, look before stepping, step, let the teacher follow.

Shapes: as in data.py; K prototypes.
"""

from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from training.data.batch import Batch
from training.distributed import Place, all_sum
from training.loop.optimizer import apply
from training.loop.schedules import Values, values
from training.loss.chunked_logits import Chunks
from training.loss.objective import Losses
from training.model.drop_path import draw_skips
from training.model.student_teacher import Seen, follow
from training.model.vit import normalised
from training.params import PretrainParams
from training.runs.checkpoint import State

FEW = 16


@dataclass(frozen=True)
class Report:
    """What one step came to, the same on every rank."""

    losses: dict[str, float]
    grad_norm: float
    prototype_entropy: float
    """Entropy of the mean target, in nats; log(prototypes) when all are used alike."""
    target_entropy: float
    """Mean entropy of single targets; log(prototypes) where they ask for nothing."""
    values: Values
    taken: bool
    """False when something was not finite and the update was left out."""
    stop: bool
    """Whether any rank was asked to stop."""
    teacher_cls: Tensor
    """cls_RD, the teacher's CLS tokens of this process's large crops."""


def take_step(
    state: State,
    wrapped: nn.Module,
    batch: Batch,
    params: PretrainParams,
    place: Place,
    stop: bool,
    accumulate: int = 1,
) -> Report:
    """Do one step. `wrapped` is the student, inside DDP where there are several processes.

    The batch may be worked through in pieces: targets are balanced over all of it first, so that the gradient is
    the same.

    The processor waits for the device once, before the update, because optimizer, teacher, counters, a stop and
    a checkpoint all depend on whether the step is finite. Deciding on the device would make each of them a step late,
    and save little: while the device updates and then sees the next batch as the teacher, the processor is ahead
    again, and what costs it time, drawing the skipped images, comes after the teacher has been sent off.
    """
    now = values(state.step, params)
    apply(now, state.optimizer)
    images = params.optim.batch_size // place.world
    pieces = batch.pieces(accumulate, images)
    with torch.no_grad(), place.autocast(params.optim.precision):
        seen = [state.teacher([normalised(piece.large)], None, piece.places) for piece in pieces]
        teacher = Seen(*map(torch.cat, zip(*seen, strict=True)))
        targets = state.objective.targets(teacher, state.teacher, now.teacher_temperature)
        mean_K, each = _spread(targets[0])
    losses = _backward(state, wrapped, pieces, seen, targets, params, place)
    norm = _gradient_norm(state, params)
    entropy = torch.special.entr(all_sum(mean_K) / place.world).sum()
    means = all_sum(torch.cat([losses, losses.new_tensor([float(stop)]), each.view(1)])) / place.world
    *told, stopping, each_entropy, norm, entropy = torch.cat([means, norm.view(1), entropy.view(1)]).tolist()  # waits
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
        losses=dict(zip(Losses._fields, told, strict=True)),
        grad_norm=norm,
        prototype_entropy=entropy,
        target_entropy=each_entropy,
        values=now,
        taken=taken,
        stop=stopping > 0,
        teacher_cls=teacher.cls,
    )


def _backward(
    state: State,
    wrapped: nn.Module,
    pieces: list[Batch],
    seen: list[Seen],
    targets: tuple[Chunks, Chunks],
    params: PretrainParams,
    place: Place,
) -> Tensor:
    """Make the gradient piece by piece, exchange it with the last, and return the mean losses."""
    share, images = 1 / len(pieces), params.optim.batch_size // place.world // len(pieces)
    of_crops, of_patches = targets
    goals = zip(
        of_crops.split([len(s.crops) for s in seen]), of_patches.split([len(s.patches) for s in seen]), strict=True
    )
    losses = []
    for number, (piece, goal) in enumerate(zip(pieces, goals, strict=True)):
        first = (place.rank * len(pieces) + number) * images
        skips = draw_skips(params, state.step, first, images, place.device)
        last = number == len(pieces) - 1
        alone = wrapped.no_sync() if isinstance(wrapped, DistributedDataParallel) and not last else nullcontext()
        with alone:
            with place.autocast(params.optim.precision):
                views = [normalised(piece.large)]
                if params.crops.small_count:
                    views.append(normalised(piece.small))
                student: Seen = wrapped(views, piece.mask, piece.places, skips)
                found = state.objective(student, state.student, goal, piece.weight)
            state.scaler.scale(found.total * share).backward()
        losses.append(torch.stack(found).detach() * share)
    return torch.stack(losses).sum(dim=0)


def _spread(targets: Chunks) -> tuple[Tensor, Tensor]:
    """Return the mean target_K, and the mean entropy of single ones: of a few, because logarithms are slow."""
    looked = [(target_Rk.mean(dim=0), torch.special.entr(target_Rk[:FEW]).sum()) for _, target_Rk in targets]
    mean_Ks, sums = zip(*looked, strict=True)
    return torch.cat(mean_Ks), torch.stack(sums).sum() / min(FEW, targets.rows)


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
