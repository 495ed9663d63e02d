"""The images to evaluate with, by row number: columns of numbers, and a pread for the pixels."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

from shared.dataset_version import HELD_OUT_SHARE, Published
from shared.errors import WorkFailedError, WorkspaceError
from shared.images.decode import UndecodableError, decode

COLUMNS = ("image_id", "label", "shard", "offset", "length", "rotation")
UNLABELLED = -1
ID_DIGITS = 8
"""Hex digits of an id that decide whether it is held out."""


@dataclass(frozen=True)
class Images:
    """Where each image's bytes lie: about 24 bytes of memory an image, no Python object for any."""

    dataset: Published
    shards: list[str]
    shard: np.ndarray
    offset: np.ndarray
    length: np.ndarray
    rotation: np.ndarray
    """Degrees counter-clockwise to turn the decoded pixels."""
    label: np.ndarray
    """Number of the image's class in `classes`, UNLABELLED where there is none."""
    classes: list[str]

    def __len__(self) -> int:
        return len(self.offset)

    def take(self, rows: np.ndarray) -> "Images":
        """Return the images of these rows, or where this mask is true."""
        columns = self.shard[rows], self.offset[rows], self.length[rows], self.rotation[rows], self.label[rows]
        return Images(self.dataset, self.shards, *columns, self.classes)

    def pixels(self, row: int) -> Image.Image:
        """Return upright RGB pixels. Raises WorkFailedError when the shard is damaged."""
        shard, offset = self.shards[self.shard[row]], int(self.offset[row])
        try:
            return decode(self.dataset.read(shard, offset, int(self.length[row])), int(self.rotation[row])).image
        except (UndecodableError, FileNotFoundError) as error:
            raise WorkFailedError(
                f"Training needs every published image to decode, got {shard} at byte {offset}: {error}. "
                "Check the shards with `dinoflow datasets WORKSPACE verify VERSION`, then publish again."
            ) from error


def load_images(dataset: Published, part: Literal["training", "held out"], rows: int | None = None) -> Images:
    """Return the images to train on, or those kept to evaluate with: none where the dataset has no labels.

    With `rows`, the manifest is read only until its parts have so many. Raises WorkspaceError when the
    dataset has no image at all.
    """
    images, kept_back = all_images(dataset, rows)
    return images.take(kept_back if part == "held out" else ~kept_back)


def all_images(dataset: Published, rows: int | None = None) -> tuple[Images, np.ndarray]:
    """Return every image, and for each whether it is kept to evaluate with. Raises as `load_images` does."""
    table = dataset.table("manifest", COLUMNS, rows)
    if not len(table):
        raise WorkspaceError(
            f"Training needs a dataset with images, got {dataset.name} {dataset.version} with none. "
            "Look at why they were dropped with `dinoflow report`, loosen the rules, and curate again."
        )
    shard, label = (_codes(table[name]) for name in ("shard", "label"))
    images = Images(
        dataset=dataset,
        shards=shard[1],
        shard=shard[0],
        offset=table["offset"].to_numpy(),
        length=table["length"].to_numpy(),
        rotation=pc.fill_null(table["rotation"], 0).to_numpy().astype(np.int16),
        label=label[0],
        classes=label[1],
    )
    return images, held_out_rows(table["image_id"]) if label[1] else np.zeros(len(table), dtype=bool)


def _codes(column: pa.ChunkedArray) -> tuple[np.ndarray, list[str]]:
    """Return each row's number in the sorted list of distinct values, and the list; nulls are UNLABELLED."""
    text = column.cast(pa.string())
    distinct = pc.unique(text).drop_null().sort()
    codes = pc.fill_null(pc.index_in(text, value_set=distinct), UNLABELLED)
    return codes.to_numpy().astype(np.int32), distinct.to_pylist()


def held_out_rows(image_ids: pa.ChunkedArray) -> np.ndarray:
    """Return what `held_out` says of each id, all at once."""
    first = pc.utf8_slice_codeunits(image_ids, 0, ID_DIGITS).combine_chunks()
    letters = np.frombuffer(first.buffers()[2], dtype=np.uint8)[: len(first) * ID_DIGITS].reshape(-1, ID_DIGITS)
    digits = (letters & 15) + 9 * (letters >> 6)  # hex: 0-9 are 0x30 and on, a-f are 0x61 and on
    flags: np.ndarray = digits @ (16 ** np.arange(ID_DIGITS)[::-1]) % HELD_OUT_SHARE == 0
    return flags
