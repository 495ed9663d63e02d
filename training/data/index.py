"""What there is to train on: a manifest read block by block, as the order comes to it, and never as a whole.

A block is a row group of a manifest part. Only its number of samples is kept, with the rows of the few blocks that
the order is in. A labelled dataset keeps some images back to evaluate with; those are no samples. An image is a
sample as often as its weight says on average, a null weight being 1.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shared.dataset_version import Published
from shared.errors import WorkspaceError
from training.data.multi_crop import keyed_rng
from training.data.published_images import held_out_rows
from training.data.shuffle import WINDOW, Shuffle

WHERE = ("shard", "offset", "length", "rotation")
ROUNDING = 0.5


class SampleRef(NamedTuple):
    """A sample, and where the bytes of its image lie: all that a worker needs to know."""

    number: int
    """Of the sample, in the endless list of epochs."""
    row: int
    """Of the image, in the manifest."""
    shard: str
    offset: int
    length: int
    rotation: int


class Block(NamedTuple):
    """A row group of a manifest part."""

    part: str
    group: int
    first: int
    """Row of the manifest that comes first in it."""
    rows: int


@dataclass(frozen=True)
class BlockRows:
    """The samples' images of one block, in the manifest's order."""

    row: np.ndarray
    """Inside the block."""
    shard: pa.Array
    offset: np.ndarray
    length: np.ndarray
    rotation: np.ndarray
    reach: np.ndarray | None
    """Running sum of the weights; None where every image is one sample."""


class SampleIndex:
    """The samples of a published dataset, by number: a function of the dataset and the seed alone."""

    def __init__(self, dataset: Published, seed: int, window: int = WINDOW) -> None:
        self.dataset, self.seed, self.window = dataset, seed, window
        self.blocks, self.labelled, self.weighted = _blocks(dataset)
        self.counts = self._counted()
        self.shuffle = Shuffle(self.counts, seed, window)
        self.read: OrderedDict[int, BlockRows] = OrderedDict()

    def __len__(self) -> int:
        """Return the samples of an epoch: the images, where no weight says otherwise."""
        return self.shuffle.total

    def refs(self, numbers: list[int]) -> list[SampleRef]:
        """Return where the images of these samples lie."""
        blocks, positions = self.shuffle.at(np.array(numbers))
        return [self._ref(*one) for one in zip(numbers, blocks.tolist(), positions.tolist(), strict=True)]

    def _ref(self, number: int, block: int, position: int) -> SampleRef:
        rows = self._rows(block)
        if rows.reach is not None:
            position = self._repeated(rows.reach, block, position, number // len(self))
        return SampleRef(
            number,
            self.blocks[block].first + int(rows.row[position]),
            rows.shard[position].as_py(),
            int(rows.offset[position]),
            int(rows.length[position]),
            int(rows.rotation[position]),
        )

    def _repeated(self, reach: np.ndarray, block: int, position: int, epoch: int) -> int:
        """Walk through the block's weights in equal strides, one for each sample, from a new start in each epoch."""
        start = keyed_rng(self.seed, epoch, block).random()
        row = np.searchsorted(reach, (position + start) * reach[-1] / self.counts[block], "right")
        return min(int(row), len(reach) - 1)

    def _rows(self, block: int) -> BlockRows:
        """Return a block, read now or lately."""
        if block not in self.read:
            self.read[block] = self._read(self.blocks[block])
            while len(self.read) > 1 and sum(len(rows.row) for rows in self.read.values()) > 2 * self.window:
                self.read.popitem(last=False)
        self.read.move_to_end(block)
        return self.read[block]

    def _read(self, block: Block) -> BlockRows:
        table = self._columns(block, *WHERE)
        kept = np.flatnonzero(table["kept"].to_numpy())
        shard, rotation = table["shard"].cast(pa.string()).combine_chunks(), pc.fill_null(table["rotation"], 0)
        offset, length = (table[name].to_numpy()[kept] for name in ("offset", "length"))
        reach = np.cumsum(table["weight"].to_numpy()[kept]) if self.weighted else None
        return BlockRows(kept, shard.take(pa.array(kept)), offset, length, rotation.to_numpy()[kept], reach)

    def _columns(self, block: Block, *names: str) -> pa.Table:
        """Return columns of a block, with `kept` and, where there are weights, `weight` without nulls."""
        needed = [name for name, exists in (("image_id", self.labelled), ("weight", self.weighted)) if exists]
        with self.dataset.store.open_arrow(block.part) as file:
            table = pq.ParquetFile(file).read_row_group(block.group, columns=[*names, *needed])
        kept = ~held_out_rows(table["image_id"]) if self.labelled else np.ones(block.rows, dtype=bool)
        table = table.append_column("kept", pa.array(kept))
        if self.weighted:
            weight = pc.fill_null(table["weight"].cast(pa.float64()), 1.0)
            table = table.set_column(table.column_names.index("weight"), "weight", weight)
        return table

    def _counted(self) -> np.ndarray:
        """Return each block's number of samples, the same in every epoch; fractions are carried on to the next."""
        if not (self.labelled or self.weighted):
            return np.array([block.rows for block in self.blocks], dtype=np.int64)
        reach = np.floor(np.cumsum([self._weight(block) for block in self.blocks]) + ROUNDING)
        return np.diff(reach, prepend=0).astype(np.int64)

    def _weight(self, block: Block) -> float:
        table = self._columns(block)
        kept = table["kept"].to_numpy()
        if not self.weighted:
            return float(kept.sum())
        weight = table["weight"].to_numpy()
        if not (weight >= 0).all():
            raise WorkspaceError(
                f"Training needs weights of 0 or more, got {np.nanmin(weight)} or no number in {block.part} of "
                f"{self.dataset.name} {self.dataset.version}. Publish it again without them."
            )
        return float(weight[kept].sum())


def _blocks(dataset: Published) -> tuple[list[Block], bool, bool]:
    """Return the blocks with rows, whether any row has a label, and whether any has a weight: from footers alone."""
    blocks, labelled, weighted, first = [], False, False, 0
    for part in dataset.files("manifest"):
        with dataset.store.open_arrow(part) as file:
            metadata = pq.ParquetFile(file).metadata
        for group in range(metadata.num_row_groups):
            columns = {metadata.row_group(group).column(i).path_in_schema: i for i in range(metadata.num_columns)}
            rows = metadata.row_group(group).num_rows
            labelled |= _has_values(metadata.row_group(group).column(columns["label"]))
            weighted |= _has_values(metadata.row_group(group).column(columns["weight"]))
            if rows:
                blocks.append(Block(part, group, first, rows))
            first += rows
    if not blocks:
        raise WorkspaceError(
            f"Training needs a dataset with images, got {dataset.name} {dataset.version} with none. "
            "Look at why they were dropped with `dinoflow report`, loosen the rules, and curate again."
        )
    return blocks, labelled, weighted


def _has_values(column: pq.ColumnChunkMetaData) -> bool:
    """Tell whether a column has a value that is not null; without statistics it may have one."""
    statistics = column.statistics
    return bool(statistics is None or not statistics.has_null_count or statistics.null_count < column.num_values)
