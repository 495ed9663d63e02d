import multiprocessing
import threading
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from shared.dataset_version import Published, held_out
from shared.errors import WorkFailedError, WorkspaceError
from tests.training.publishing import invented, publish
from training.data.batch import Batch, collate_augmented
from training.data.dataset import Samples
from training.data.index import SampleIndex
from training.data.loader import batches
from training.data.loader_workers import begin_worker, turns
from training.data.masking import mask_ratio
from training.data.published_images import load_images
from training.data.sampler import RankBatchSampler
from training.distributed import DistributedContext
from training.params import ObjectiveParams, PretrainParams

CPU = torch.device("cpu")


def test_images_of_a_labelled_dataset_that_are_held_out_are_never_trained_on(dataset: Published) -> None:
    ids = dataset.table("manifest", ["image_id"])["image_id"].to_pylist()
    training, queries = load_images(dataset, "training"), load_images(dataset, "held out")
    assert len(queries) == sum(map(held_out, ids)) > 0
    assert len(training) + len(queries) == len(ids)
    assert not set(training.offset) & set(queries.offset)
    assert training.classes == ["class-0", "class-1", "class-2", "class-3"]


def test_without_labels_every_image_is_trained_on(tmp_path: Any) -> None:
    dataset = publish(tmp_path, [(None, data) for _, data in invented(30, 2)])
    assert len(load_images(dataset, "training")) == 30
    assert len(load_images(dataset, "held out")) == 0


def test_an_empty_dataset_and_a_damaged_shard_are_named(tmp_path: Any) -> None:
    with pytest.raises(WorkspaceError, match="needs a dataset with images, got empty v0001 with none"):
        load_images(publish(tmp_path, [], "empty"), "training")
    dataset = publish(tmp_path, invented(3, 1))
    images = load_images(dataset, "training")
    images.offset[:] += 7
    with pytest.raises(WorkFailedError, match=r"every published image to decode, got shard-00000.tar at byte"):
        images.pixels(0)


def shares(
    params: PretrainParams, dataset: Published, world: int, workers: int, start: int = 0, on_device: bool = False
) -> list[Any]:
    index = SampleIndex(dataset, params.seed)
    contexts = [DistributedContext(CPU, rank, world) for rank in range(world)]
    ranks = [
        list(batches(index, params, start=start, context=context, workers=workers, on_device=on_device))
        for context in contexts
    ]
    views = params.crops.global_count
    return [
        torch.cat([batch.global_crops.view(views, -1, *batch.global_crops.shape[1:]) for batch in step], dim=1)
        for step in zip(*ranks, strict=True)
    ]


def test_the_pixels_of_a_step_do_not_depend_on_ranks_or_workers_or_where_a_run_resumes(
    params: PretrainParams, dataset: Published
) -> None:
    alone = shares(params, dataset, world=1, workers=0)
    for others in (
        shares(params, dataset, 2, 0),
        shares(params, dataset, 4, 0),
        shares(params, dataset, 1, 2),
        shares(params, dataset, 1, 1, on_device=True),
    ):
        assert all(torch.equal(a, b) for a, b in zip(alone, others, strict=True))
    resumed = shares(params, dataset, 2, 0, start=2)
    assert all(torch.equal(a, b) for a, b in zip(alone[2:], resumed, strict=True))


def test_an_epoch_shows_every_training_image_once(dataset: Published) -> None:
    index, images = SampleIndex(dataset, 0), load_images(dataset, "training")
    count = len(images)
    assert len(index) == count
    assert len(RankBatchSampler(index, 8, 0, 5, 0, 1)) == 5
    refs = [ref for share in RankBatchSampler(index, 8, 0, 1 + count // 8, 0, 1) for ref in share][:count]
    assert sorted(ref.offset for ref in refs) == sorted(images.offset)


def first_batch(params: PretrainParams, dataset: Published, step: int = 0) -> Batch:
    samples, refs = (
        Samples(dataset, params),
        SampleIndex(dataset, params.seed).refs(list(range(step * 8, step * 8 + 8))),
    )
    return collate_augmented([samples[ref] for ref in refs])


def test_every_step_hides_the_same_number_of_patches(params: PretrainParams, dataset: Published) -> None:
    assert len({int(first_batch(params, dataset, step).mask.sum()) for step in range(4)}) == 1


def test_a_batch_weighs_each_masked_patch_by_its_crop(params: PretrainParams, dataset: Published) -> None:
    batch = first_batch(params, dataset)
    masked = (batch.mask.sum(dim=1) > 0).sum()
    assert float(batch.mask_weight.sum()) == pytest.approx(float(masked))
    assert batch.mask.flatten()[batch.mask_indices].all()
    assert len(batch.mask_indices) == batch.mask.sum()


def test_mask_ratios_are_spread_evenly_over_half_of_the_crops() -> None:
    params = ObjectiveParams(mask_share=0.5, mask_ratio=(0.1, 0.5))
    ratios = sorted(mask_ratio(context, 20, (0, 3), params) for context in range(20))
    assert ratios[:10] == [0.0] * 10
    assert ratios[10:] == pytest.approx([0.12 + 0.04 * i for i in range(10)])
    assert mask_ratio(0, 20, (0, 3), ObjectiveParams(mask_share=0)) == 0


def test_workers_are_forked_without_a_pool_of_threads_that_they_would_wait_for(
    params: PretrainParams, dataset: Published
) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (2000, 2000, 3), dtype=np.uint8)
    for _ in range(3):
        cv2.setNumThreads(4)
        cv2.GaussianBlur(picture, (9, 9), 3)
        assert len(shares(params, dataset, world=1, workers=1)) > 0
        assert cv2.getNumThreads() == 1


def test_a_worker_leaves_well_whatever_its_parent_registered_for_its_own_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> None:
        raise RuntimeError("meant for the parent, whose threads a forked worker has not")

    monkeypatch.setattr(threading, "_threading_atexits", [fails], raising=True)  # where Prefect's services stand
    others = multiprocessing.active_children()
    loader: DataLoader[Any] = DataLoader([1, 2], num_workers=1, worker_init_fn=begin_worker)
    made = turns(loader)
    assert int(next(made)) == 1
    (worker,) = (child for child in multiprocessing.active_children() if child not in others)
    assert [int(batch) for batch in made] == [2]
    worker.join(60)
    assert worker.exitcode == 0
