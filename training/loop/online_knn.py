"""k-NN of the teacher while it trains, on a small fixed sample: what a loss cannot tell. Labels never train anything.

Every process takes part, at steps that all of them know. Features, crop and vote are those of `dinoflow evaluate`;
the sample is smaller and has fewer classes, so its numbers compare within a run only.

Shapes: B images of the bank, Q queries, D width.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from shared.dataset_version import Published
from shared.params import Compute
from training.data.published_images import UNLABELLED, Images, load_images
from training.data.shuffle import subsample
from training.distributed import DistributedContext
from training.eval.backbone import FeatureExtractor
from training.eval.crops import CropSize
from training.eval.features import Readout, extract
from training.eval.params import EvaluateParams
from training.eval.protocols.knn import Knn, knn_classes
from training.model.student_teacher import Student
from training.model.vit import COLOUR_MEAN, COLOUR_STD, Tokens
from training.params.resolved import ResolvedParams

CLASSES, IMAGES, LEAST = 50, 2500, 100
BANK = 4
"""Images of the bank for each query."""
CHEAP = 10
"""Images that pass between two measurements, for each image of a measurement: an image of a step, twelve crops forward
and most of them backward, costs as much as ten of these, so that measuring takes about 1 % of the time."""
ROWS = 1_000_000
"""Rows of the manifest that the sample is drawn from."""


class OnlineKnn:
    """A fixed bank with labels and fixed queries."""

    def __init__(
        self, bank: Images, queries: Images, params: ResolvedParams, context: DistributedContext, workers: int
    ) -> None:
        self.bank, self.queries, self.params, self.context, self.workers = bank, queries, params, context, workers

    def due(self, step: int) -> bool:
        """Tell whether to measure after this many steps: now and then, and at both ends."""
        return step in (1, self.params.optim.steps) or step % self.params.knn_every == 0

    def top1(self, teacher: Student) -> float:
        """Return the share of queries whose neighbours name the right class. A collective: every rank calls it."""

        def forward(images_BCHW: Tensor, blocks: Sequence[int]) -> list[Tokens]:
            with self.context.autocast(self.params.optim.precision):
                return teacher.backbone.intermediate_layers(images_BCHW, blocks)

        defaults = EvaluateParams()
        model, size = self.params.model, self.params.crops.global_size
        shape = size, model.patch_size, model.width, model.depth
        live = FeatureExtractor("teacher", "", *shape, COLOUR_MEAN, COLOUR_STD, forward)
        reading, cut = {"": Readout(live, model.depth, "cls")}, CropSize(size, defaults.resize, defaults.batch_size)
        bank_BD, queries_QD = (
            extract(images, np.arange(len(images)), reading, self.context, cut, workers=self.workers)[0][""].pooled
            for images in (self.bank, self.queries)
        )
        bank_label_B, query_label_Q = (torch.from_numpy(images.label).long() for images in (self.bank, self.queries))
        rule = Knn()
        ks = [min(rule.k, len(bank_BD))]
        (predicted_Q,) = knn_classes(queries_QD, bank_BD, bank_label_B, ks=ks, temperature=rule.temperature)
        return float((predicted_Q == query_label_Q).double().mean())


def _readable(images: Images) -> Images:
    """Return the images whose shards are there: a run ends only where many are not."""
    existing = set(images.dataset.shards.names(""))
    return images.take(np.isin(images.shard, [n for n, name in enumerate(images.shards) if name in existing]))


def online_knn(
    dataset: Published, params: ResolvedParams, context: DistributedContext, compute: Compute
) -> OnlineKnn | None:
    """Return what to measure with, or None where that is switched off or the dataset has too few labels."""
    if not params.knn_every:
        return None
    bank, queries = (_readable(load_images(dataset, part, rows=ROWS)) for part in ("training", "held out"))
    classes = np.intersect1d(bank.label, queries.label)
    classes = subsample(classes[classes != UNLABELLED], CLASSES, params.seed)
    bank, queries = (images.take(np.isin(images.label, classes)) for images in (bank, queries))
    images = min(IMAGES, max(LEAST, params.knn_every * params.optim.batch_size // CHEAP))
    count = max(1, images // (BANK + 1))
    bank, queries = (
        part.take(subsample(np.arange(len(part)), limit, params.seed))
        for part, limit in ((bank, images - count), (queries, count))
    )
    if len(classes) < 2:
        return None
    return OnlineKnn(bank, queries, params, context, context.loader_workers(compute))
