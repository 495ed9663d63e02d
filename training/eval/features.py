"""Features of images: one pass over the pixels for any number of models.

They do not depend on workers or processes: batches are cut before they are shared out, so every product has
the same shape everywhere, and no image is looked at twice.

Shapes: B images, C colours, H W pixels, N patches, D width of a feature.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from training.distributed import Place, gathered
from training.eval.backbone import Frozen
from training.eval.crops import Crops, Cut, Mistake, collated
from training.eval.sets.labelled import Masks, Pictures
from training.model.vit import Tokens

Pooling = Literal["cls", "patch_mean", "cls+patch_mean"]
"""What of the tokens stands for an image."""


@dataclass(frozen=True)
class Reading:
    """How a model is read: after which block, and by which of its tokens."""

    model: Frozen
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
class Features:
    """What one model sees in a list of images, on the CPU."""

    pooled: Tensor
    """pooled_BD."""
    again: Tensor | None
    """again_BD: of the second view, where it is asked for."""
    patches: Tensor | None
    """patches_BND, where there are masks."""


@torch.inference_mode()
def extract(
    images: Pictures,
    rows: np.ndarray,
    readings: Mapping[str, Reading],
    place: Place,
    cut: Cut,
    *,
    workers: int,
    masks: Masks | None = None,
    again: bool = False,
    report: Callable[[int], None] = lambda _: None,
) -> tuple[dict[str, Features], Tensor | None]:
    """Return features of the rows for every model, in the order of rows, and with masks mask_BHW; on every rank.

    `report` gets the number of images of each batch. Raises UserError or WorkFailedError naming the image
    that cannot be read.
    """
    batches = np.array_split(np.arange(-(-len(rows) // cut.batch_size)), place.world)[place.rank]
    mine = rows[batches[0] * cut.batch_size : (batches[-1] + 1) * cut.batch_size] if len(batches) else rows[:0]
    crops = Crops(images, mine, cut, masks, again)
    found: dict[tuple[str, str], list[Tensor]] = {}
    for batch in DataLoader(crops, batch_size=cut.batch_size, num_workers=workers, collate_fn=collated):
        if isinstance(batch, Mistake):
            raise batch.error
        if masks is not None:
            found.setdefault(("", "mask"), []).append(batch["mask"])
        for view in ("pixels", "again") if again else ("pixels",):
            for name, tokens in _looked(readings, batch[view].to(place.device)):
                seen = {"pooled" if view == "pixels" else "again": readings[name].pooled(tokens)}
                if masks is not None and view == "pixels":
                    seen["patches"] = tokens.patches
                for what, tensor in seen.items():
                    found.setdefault((name, what), []).append(tensor.float().cpu())
        report(len(batch["pixels"]))
    parts = gathered({key: torch.cat(chunks) for key, chunks in found.items()}, place.world)
    whole = {key: torch.cat([part[key] for part in parts if key in part]) for key in parts[0]}
    features = {
        name: Features(whole[name, "pooled"], whole.get((name, "again")), whole.get((name, "patches")))
        for name in readings
    }
    return features, whole.get(("", "mask"))


def _looked(readings: Mapping[str, Reading], pixels_BCHW: Tensor) -> Iterator[tuple[str, Tokens]]:
    """Yield what each reading sees; a model that is read after several blocks looks once."""
    for model in {id(reading.model): reading.model for reading in readings.values()}.values():
        own = {name: reading.block for name, reading in readings.items() if reading.model is model}
        yield from zip(own, model.layers(pixels_BCHW, list(own.values())), strict=True)
