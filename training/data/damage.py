"""Images that are not there as they were published: named, replaced by others of a fixed choice, and counted."""

from collections.abc import Callable

import numpy as np
import torch
from torch.utils.data import get_worker_info

from shared.dataset_version import Published
from shared.errors import WorkFailedError
from shared.images.ids import digest
from training.data.index import SampleIndex, SampleRef
from training.data.multi_crop import keyed_rng

REPLACING = 3
"""Tells the random numbers of replacements from those of other things."""
TRIES = 10
LEAST = 8
"""So many damaged images end no run, whatever their share."""
ADVICE = "Look which with `dinoflow datasets WORKSPACE verify VERSION`, then publish again, or put their shards back"


class DamagedImageError(Exception):
    """Why an image is not as it was published."""


def published_bytes(dataset: Published, ref: SampleRef) -> bytes:
    """Return the bytes of an image, which are those that its id names. Raises DamagedImageError."""
    try:
        data = dataset.read(ref.shard, ref.offset, ref.length)
    except FileNotFoundError as error:
        raise DamagedImageError("its shard is gone") from error
    if len(data) < ref.length:
        raise DamagedImageError(f"its shard ends after {len(data)} of its {ref.length} bytes")
    if digest(data).hex() != ref.image_id:
        raise DamagedImageError("its bytes have another digest than those that were published")
    return data


class Damage:
    """What is done about damaged images, in the workers of a loader; counted in memory that they share."""

    def __init__(self, index: SampleIndex, workers: int, share: float) -> None:
        """Take the greatest share of images that may be damaged."""
        self.index, self.share, self.before = index, share, index.damaged
        self.counts = torch.zeros(max(1, workers), 2, dtype=torch.int64).share_memory_()  # type: ignore[no-untyped-call]
        self.named: set[int] = set()

    def whole(self, ref: SampleRef, read: Callable[[SampleRef], np.ndarray]) -> np.ndarray:
        """Return what is read of an image, or of another in its place: which one is a function of the sample's number.

        Raises WorkFailedError where one after the other is damaged.
        """
        worker, given, why = get_worker_info(), ref, ""
        count = self.counts[worker.id if worker else 0]
        for attempt in range(TRIES):
            count[0] += 1
            try:
                return read(ref)
            except DamagedImageError as damage:
                count[1] += 1
                why = str(damage)
                number = int(keyed_rng(self.index.seed, given.number, REPLACING, attempt).integers(len(self.index)))
                (other,) = self.index.refs([number])
                self._name(ref, why, other)
                ref = other
        raise WorkFailedError(
            f"Training needs images as they were published, got {TRIES} damaged ones in a row: {why}. {ADVICE}."
        )

    def _name(self, ref: SampleRef, why: str, other: SampleRef) -> None:
        if ref.row not in self.named:
            self.named.add(ref.row)
            uri, instead = self.index.uris([ref.row, other.row])
            print(f"{uri} is damaged: {why} ({ref.shard}, byte {ref.offset}); {instead} takes its place", flush=True)

    def check(self) -> None:
        """Add up what the workers counted. Raises WorkFailedError where too great a share is damaged."""
        seen, damaged = self.counts.sum(dim=0).tolist()
        self.index.damaged = self.before + damaged
        if damaged > max(LEAST, self.share * seen):
            raise WorkFailedError(
                f"Training needs images as they were published, got {damaged:,} damaged of {seen:,} that were read, "
                f"more than training.damaged_share = {self.share:g} allows. {ADVICE}."
            )
