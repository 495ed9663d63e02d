"""Samples of a published dataset: read, decoded, cropped and masked; a function of their number."""

import numpy as np
from torch.utils.data import Dataset

from shared.dataset_version import Published
from shared.images.decode import UndecodableError
from training.data.damage import Damage, DamagedImageError, published_bytes
from training.data.decode import decoded
from training.data.index import SampleRef
from training.data.masking import block_mask, mask_ratio
from training.data.multi_crop import Views, keyed_rng, multi_crop, resized
from training.params import PretrainParams

CACHE_BYTES = 1 << 30
"""Shrunk images that one worker keeps, at most; the rest is decoded again."""


MASKING = 1
"""Tells the random numbers of mask ratios from those of the order."""


Sample = tuple[Views, np.ndarray]
"""Crops as they were cut, and mask_VN."""


class Samples(Dataset[Sample]):
    """SampleRef → crops and mask, a pure function of params and images.

    Raises DamagedImageError where there is no `damage` to find a replacement.
    """

    def __init__(self, dataset: Published, params: PretrainParams, damage: Damage | None = None) -> None:
        self.dataset, self.params, self.damage = dataset, params, damage
        self.kept: dict[int, np.ndarray] = {}
        self.kept_bytes = 0

    def __getitem__(self, ref: SampleRef) -> Sample:
        p = self.params
        rng = keyed_rng(p.seed, ref.number)
        pixels_HWC = self.damage.whole(ref, self._pixels) if self.damage else self._pixels(ref)
        return multi_crop(pixels_HWC, p.crops, p.augment, rng), self._masks(ref.number, rng)

    def _masks(self, number: int, rng: np.random.Generator) -> np.ndarray:
        p = self.params
        step, slot = divmod(number, p.optim.batch_size)
        side, crops = p.crops.global_size // p.model.patch_size, p.crops.global_count * p.optim.batch_size
        masks = []
        for view in range(p.crops.global_count):
            ratio = mask_ratio(slot * p.crops.global_count + view, crops, (p.seed, step, MASKING), p.objective)
            masks.append(block_mask(side, int(side * side * ratio), rng))
        return np.stack(masks)

    def _pixels(self, ref: SampleRef) -> np.ndarray:
        """Decode, or remember: with `crops.shrink`, small pictures are worth keeping."""
        if ref.row in self.kept:
            return self.kept[ref.row]
        pixels_HWC, shrink = self._decoded(ref), self.params.crops.shrink
        if not shrink:
            return pixels_HWC
        height, width = pixels_HWC.shape[:2]
        factor = shrink / min(width, height)
        if factor < 1:
            pixels_HWC = resized(pixels_HWC, *(max(1, round(side * factor)) for side in (width, height)))
        if self.kept_bytes + pixels_HWC.nbytes <= CACHE_BYTES:
            self.kept[ref.row] = pixels_HWC
            self.kept_bytes += pixels_HWC.nbytes
        return pixels_HWC

    def _decoded(self, ref: SampleRef) -> np.ndarray:
        data = published_bytes(self.dataset, ref)
        try:
            return decoded(data, ref.rotation, self.params.crops)
        except UndecodableError as error:
            raise DamagedImageError(str(error)) from error
