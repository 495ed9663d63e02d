"""One training step: forward and backward with gradient accumulation, clip, optimizer step, EMA of the teacher.

Batch to losses goes through nine files: training/data/batch.py, here, training/model/{student_teacher,vit,blocks,
drop_path}.py, training/loss/{losses,targets,cross_entropy}.py.

Shapes: as in training/data/loader.py; K prototypes.
"""

from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from training.data.batch import Batch
from training.distributed import DistributedContext, all_sum
from training.loop.optimizer import apply
from training.loop.schedules import Values, values
from training.loss.losses import Losses, Targets
from training.model.drop_path import draw_drop_path
from training.model.student_teacher import Outputs, update_ema
from training.model.vit import normalised
from training.params.resolved import ResolvedParams
from training.runs.checkpoint import State

FEW = 16


@dataclass(frozen=True)
class StepReport:
    """What one step came to, the same on every rank."""

    losses: dict[str, float]
    grad_norm: float
    prototype_entropy: float
    """Entropy of the mean target, in nats; log(prototypes) when all are used alike."""
    target_entropy: float
    """Mean entropy of single targets; log(prototypes) where they ask for nothing."""
    targets_have_entropy: bool
    """False where targets are features."""
    values: Values
    taken: bool
    """False when something was not finite and the update was left out."""
    stop: bool
    """Whether any rank was asked to stop."""
    teacher_cls: Tensor
    """cls_RD, the teacher's CLS tokens of this process's global crops; the student's where the teacher is frozen."""


def take_step(
    state: State,
    wrapped: nn.Module,
    batch: Batch,
    params: ResolvedParams,
    context: DistributedContext,
    stop: bool,
    accumulate: int = 1,
) -> StepReport:
    """Do one step. `wrapped` is the student, inside DDP where there are several processes.

    Gradient accumulation: the batch is worked through in `accumulate` micro-batches. Targets are balanced over all of
    it first, so that the gradient is the same.

    The processor waits for the device once, before the update, because optimizer, teacher, counters, a stop and
    a checkpoint all depend on whether the step is finite. Deciding on the device would make each of them a step late,
    and save little: while the device updates and then runs the teacher on the next batch, the processor is ahead
    again, and what costs it time, drawing the skipped images, comes after the teacher's work has been queued.
    """
    now = values(state.step, params)
    apply(now, state.optimizer)
    images = params.optim.batch_size // context.world
    micro_batches = batch.micro_batches(accumulate, images)
    if params.objective.reads_all_patches:
        micro_batches = [micro.with_all_patches() for micro in micro_batches]
    guide = state.frozen.teacher or state.teacher
    with torch.no_grad(), context.autocast(params.optim.precision):
        parts = [guide([normalised(micro.global_crops)], None, micro.mask_indices) for micro in micro_batches]
        teacher = Outputs(*(torch.cat(part) for part in list(zip(*parts, strict=True))[:3]))
        targets = state.objective.targets(teacher, guide, now.teacher_temperature)
        mean_K, single_entropy = _target_statistics(targets[0], params)
    losses, student_cls = _backward(state, wrapped, micro_batches, parts, targets, params, context)
    norm = _gradient_norm(state, params)
    entropy = torch.special.entr(all_sum(mean_K) / context.world).sum()
    means = all_sum(torch.cat([losses, losses.new_full((1,), float(stop)), single_entropy.view(1)])) / context.world
    numbers = torch.cat([means, norm.view(1), entropy.view(1)]).tolist()  # waits
    *mean_losses, stopping, target_entropy, norm, entropy = numbers
    taken = bool(np.isfinite([*mean_losses, norm]).all())
    if taken:
        _clip(state, params.optim.clip, norm)
        state.scaler.step(state.optimizer)
    state.scaler.update()
    state.optimizer.zero_grad(set_to_none=True)
    if taken:
        update_ema(state.teacher, state.student, now.momentum)
    state.step += 1
    state.skipped += not taken
    return StepReport(
        losses=dict(zip(Losses._fields, mean_losses, strict=True)),
        grad_norm=norm,
        prototype_entropy=entropy,
        target_entropy=target_entropy,
        targets_have_entropy=not params.objective.by_features,
        values=now,
        taken=taken,
        stop=stopping > 0,
        teacher_cls=student_cls if state.frozen.teacher else teacher.cls,
    )


def _backward(
    state: State,
    wrapped: nn.Module,
    micro_batches: list[Batch],
    teacher: list[Outputs],
    targets: tuple[Targets, Targets],
    params: ResolvedParams,
    context: DistributedContext,
) -> tuple[Tensor, Tensor]:
    """Accumulate the gradient over micro-batches, exchange it with the last; return mean losses and the last's CLS."""
    share, images = 1 / len(micro_batches), params.optim.batch_size // context.world // len(micro_batches)
    of_crops, of_patches = targets
    crop_targets = of_crops.split([len(part.crops) for part in teacher])
    patch_targets = of_patches.split([len(part.patches) for part in teacher])
    work = zip(micro_batches, crop_targets, patch_targets, strict=True)
    losses = []
    for number, (micro_batch, crops, patches) in enumerate(work):
        first = (context.rank * len(micro_batches) + number) * images
        subsets = draw_drop_path(params, state.step, first, images, context.device)
        last = number == len(micro_batches) - 1
        unsynced = wrapped.no_sync() if isinstance(wrapped, DistributedDataParallel) and not last else nullcontext()
        with unsynced:
            with context.autocast(params.optim.precision):
                views = [normalised(micro_batch.global_crops)]
                if params.crops.local_count:
                    views.append(normalised(micro_batch.local_crops))
                outputs: Outputs = wrapped(views, micro_batch.mask, micro_batch.mask_indices, subsets)
                gram = state.frozen.gram_target(views[0])
                parts = state.objective(outputs, state.student, (crops, patches), micro_batch.mask_weight, gram)
            state.scaler.scale(parts.total * share).backward()
        losses.append(torch.stack(parts).detach() * share)
    return torch.stack(losses).sum(dim=0), outputs.cls.detach()


def _target_statistics(targets: Targets, params: ResolvedParams) -> tuple[Tensor, Tensor]:
    """Return the mean target_K, and the mean entropy of single ones: of a few, because logarithms are slow.

    Nothing where targets are features.
    """
    if params.objective.by_features:
        _, features_RE = next(iter(targets))
        nothing = features_RE.new_zeros(2, dtype=torch.float32)
        return nothing[:1], nothing[1:]
    by_chunk = [(target_Rk.mean(dim=0), torch.special.entr(target_Rk[:FEW]).sum()) for _, target_Rk in targets]
    mean_Ks, sums = zip(*by_chunk, strict=True)
    return torch.cat(mean_Ks), torch.stack(sums).sum() / min(FEW, targets.rows)


def _gradient_norm(state: State, params: ResolvedParams) -> Tensor:
    """Unscale the gradient of the whole student and return its norm."""
    state.scaler.unscale_(state.optimizer)
    if state.step < params.optim.freeze_backbone:
        for parameter in state.student.backbone.parameters():
            parameter.grad = None
    if state.step < params.optim.freeze_prototypes:
        for head in state.student.heads():
            head.prototypes.weight.grad = None  # no moments either, unlike a learning rate of 0
    return nn.utils.get_total_norm([p.grad for p in state.student.parameters() if p.grad is not None])


def _clip(state: State, limit: float, norm: float) -> None:
    """Shorten the gradient to the limit; nothing is touched where it is shorter."""
    if norm > limit:
        torch._foreach_mul_([p.grad for p in state.student.parameters() if p.grad is not None], limit / norm)
