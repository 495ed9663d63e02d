"""Which samples a process takes of each batch."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch.utils.data import Sampler

from training.data.index import SampleIndex, SampleRef


@dataclass(frozen=True)
class RankBatchSampler(Sampler[list[SampleRef]]):
    """The samples of one rank, step by step: a contiguous share of each global batch."""

    index: SampleIndex
    batch_size: int
    start: int
    steps: int
    rank: int
    world: int
    shift: int = 0
    """Steps further on in the endless list of samples: another order."""

    def __iter__(self) -> Iterator[list[SampleRef]]:
        share = self.batch_size // self.world
        for step in range(self.start, self.steps):
            first = (self.shift + step) * self.batch_size + self.rank * share
            yield self.index.refs(list(range(first, first + share)))

    def __len__(self) -> int:
        return max(0, self.steps - self.start)
