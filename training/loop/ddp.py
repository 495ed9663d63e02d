"""The student inside DDP, which exchanges gradients; on CPUs in an order that a restart does not change."""

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.futures import Future
from torch.nn.parallel import DistributedDataParallel

from training.distributed import DistributedContext


def in_ddp(student: nn.Module, context: DistributedContext, static: bool) -> nn.Module:
    """Return the student, inside DDP where there are several processes.

    A static graph exchanges gradients in the first backward pass, `no_sync` or not: not where a step has several.
    """
    if context.world == 1:
        return student
    wrapped = DistributedDataParallel(
        student, broadcast_buffers=False, gradient_as_bucket_view=True, static_graph=static
    )
    if context.device.type == "cpu" and context.world > 2:
        wrapped.register_comm_hook(context.world, mean_in_rank_order)
    return wrapped


def mean_in_rank_order(world: int, bucket: dist.GradBucket) -> Future[Tensor]:  # type: ignore[name-defined]
    """Return the mean of a bucket over all ranks, summed from rank 0 on.

    A ring sums each element in an order that depends on where it lies, and DDP lays gradients anew after its first
    step: a resumed run would differ from one that was never stopped, in the last bit. Two addends have no order.
    """
    buffer: Tensor = bucket.buffer()
    parts = [torch.empty_like(buffer) for _ in range(world)]
    gathered: Future[list[Tensor]] = dist.all_gather(parts, buffer, async_op=True).get_future()

    def mean(_: Future[list[Tensor]]) -> Tensor:
        total = parts[0]
        for part in parts[1:]:
            total += part
        return buffer.copy_(total.div_(world))

    return gathered.then(mean)
