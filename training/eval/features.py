"""Features of images: one pass over the pixels for any number of models.

They do not depend on workers or processes: batches are cut before they are shared out, so every product has
the same shape everywhere, and no image is read twice.

Shapes: B images, C colours, H W pixels, N patches, D width of a feature.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from training.data.loader_workers import begin_worker, turns
from training.distributed import DistributedContext, gathered
from training.eval.backbone import FeatureExtractor
from training.eval.crops import CentreCrops, CropSize, WorkerError, collated
from training.eval.sets.labelled import IndexedImages, Masks
from training.model.vit import Tokens

Pooling = Literal["cls", "patch_mean", "cls+patch_mean"]
"""What of the tokens stands for an image."""


@dataclass(frozen=True)
class Readout:
    """How a model is read: after which block, and by which of its tokens."""

    model: FeatureExtractor
    block: int
    pooling: Pooling

    def pooled(self, tokens: Tokens) -> Tensor:
        """Return features_BD of whole images; with `cls+patch_mean` the two lie side by side, each of length 1."""
        means = {"cls": tokens.cls, "patch_mean": tokens.patches.mean(dim=1)}
        chosen = [means[name] for name in self.pooling.split("+")]
        if len(chosen) == 1:
            return chosen[0]
        return torch.cat([torch.nn.functional.normalize(part_BD, dim=1) for part_BD in chosen], dim=1)


@dataclass(frozen=True)
class ExtractedFeatures:
    """What one model makes of a list of images, on the CPU."""

    pooled: Tensor
    """pooled_BD."""
    again: Tensor | None
    """again_SD: of the second view of the images that were seen twice."""
    patches: Tensor | None
    """patches_BND, where there are masks."""


@torch.inference_mode()
def extract(
    images: IndexedImages,
    rows: np.ndarray,
    readings: Mapping[str, Readout],
    place: DistributedContext,
    cut: CropSize,
    *,
    workers: int,
    masks: Masks | None = None,
    again: np.ndarray | None = None,
    precision: str = "fp32",
    report: Callable[[int], None] = lambda _: None,
) -> tuple[dict[str, ExtractedFeatures], Tensor | None]:
    """Return features of the rows for every model, in the order of rows, and with masks mask_BHW; on every rank.

    `again` are rows, the first among them, that are seen a second time, in another view.
    `report` gets the number of images of each batch. Raises UserError or WorkFailedError naming the image
    that cannot be read.
    """
    batches = np.array_split(np.arange(-(-len(rows) // cut.batch_size)), place.world)[place.rank]
    own = rows[batches[0] * cut.batch_size : (batches[-1] + 1) * cut.batch_size] if len(batches) else rows[:0]
    crops = CentreCrops(images, own, cut, masks, frozenset(() if again is None else again.tolist()))
    chunks: dict[tuple[str, str], list[Tensor]] = {}
    loader: DataLoader[Any] = DataLoader(
        crops, batch_size=cut.batch_size, num_workers=workers, collate_fn=collated, worker_init_fn=begin_worker
    )
    for batch in turns(loader):
        if isinstance(batch, WorkerError):
            raise batch.error
        if masks is not None:
            chunks.setdefault(("", "mask"), []).append(batch["mask"])
        for view in [view for view in ("pixels", "again") if view in batch]:
            for name, tokens in _forward(readings, batch[view].to(place.device), place.autocast(precision)):
                vectors = {"pooled" if view == "pixels" else "again": readings[name].pooled(tokens)}
                if masks is not None and view == "pixels":
                    vectors["patches"] = tokens.patches
                for what, tensor in vectors.items():
                    chunks.setdefault((name, what), []).append(tensor.float().cpu())
        report(len(batch["pixels"]))
    parts = gathered({key: torch.cat(tensors) for key, tensors in chunks.items()}, place.world)
    whole = {key: torch.cat([part[key] for part in parts if key in part]) for key in parts[0]}
    features = {
        name: ExtractedFeatures(whole[name, "pooled"], whole.get((name, "again")), whole.get((name, "patches")))
        for name in readings
    }
    return features, whole.get(("", "mask"))


def _forward(
    readings: Mapping[str, Readout], pixels_BCHW: Tensor, precision: AbstractContextManager[Any]
) -> Iterator[tuple[str, Tokens]]:
    """Yield the outputs of each readout; a model that is read after several blocks runs once."""
    for model in {id(reading.model): reading.model for reading in readings.values()}.values():
        blocks = {name: reading.block for name, reading in readings.items() if reading.model is model}
        with precision:
            outputs = model.layers(pixels_BCHW, list(blocks.values()))
        yield from ((name, _exact(tokens)) for name, tokens in zip(blocks, outputs, strict=True))


def _exact(tokens: Tokens) -> Tokens:
    """Return tokens in fp32, in which they are pooled and compared."""
    return Tokens(tokens.cls.float(), tokens.patches.float())
