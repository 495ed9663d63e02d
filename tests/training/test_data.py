from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from shared.errors import WorkFailedError, WorkspaceError
from shared.published import Published, held_out
from tests.training.publishing import invented, publish
from training.data import Samples, Shares, batches, collate
from training.device import Place
from training.images import load_images
from training.masks import block_mask, mask_ratio
from training.order import Permutation
from training.params import AugmentParams, CropParams, ObjectiveParams, PretrainParams
from training.views import multi_crop, random_box, stream

CPU = torch.device("cpu")


@pytest.mark.parametrize("size", [1, 2, 3, 64, 65, 1000])
def test_a_keyed_permutation_names_every_place_once(size: int) -> None:
    assert sorted(Permutation(size, (7, 1)).at(np.arange(size))) == list(range(size))


def test_another_key_is_another_order_and_a_billion_places_cost_no_memory() -> None:
    places = np.arange(1000)
    assert (Permutation(1000, (0, 0)).at(places) != Permutation(1000, (0, 1)).at(places)).mean() > 0.9
    far = Permutation(1_200_000_000, (0, 0)).at(np.array([0, 1, 1_199_999_999]))
    assert len(set(far)) == 3
    assert far.max() < 1_200_000_000


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


def shares(params: PretrainParams, dataset: Published, world: int, workers: int, start: int = 0) -> list[Any]:
    images = load_images(dataset, "training")
    ranks = [
        list(batches(images, params, start=start, place=Place(CPU, rank, world), workers=workers))
        for rank in range(world)
    ]
    views = params.crops.large_count
    return [
        torch.cat([batch.large.view(views, -1, *batch.large.shape[1:]) for batch in step], dim=1)
        for step in zip(*ranks, strict=True)
    ]


def test_the_pixels_of_a_step_do_not_depend_on_ranks_or_workers_or_where_a_run_resumes(
    params: PretrainParams, dataset: Published
) -> None:
    alone = shares(params, dataset, world=1, workers=0)
    for others in (shares(params, dataset, 2, 0), shares(params, dataset, 4, 0), shares(params, dataset, 1, 2)):
        assert all(torch.equal(a, b) for a, b in zip(alone, others, strict=True))
    resumed = shares(params, dataset, 2, 0, start=2)
    assert all(torch.equal(a, b) for a, b in zip(alone[2:], resumed, strict=True))


def test_an_epoch_shows_every_image_once(params: PretrainParams, dataset: Published) -> None:
    count = len(load_images(dataset, "training"))
    numbers = [n for share in Shares(8, 0, 1 + count // 8, 0, 1) for n in share][:count]
    assert len(Shares(8, 0, 5, 0, 1)) == 5
    assert sorted(Permutation(count, (0, 0)).at(np.array(numbers))) == list(range(count))


def test_every_step_hides_the_same_number_of_patches(params: PretrainParams, dataset: Published) -> None:
    samples = Samples(load_images(dataset, "training"), params)
    counts = {int(collate([samples[step * 8 + i] for i in range(8)]).mask.sum()) for step in range(4)}
    assert len(counts) == 1


def test_a_batch_weighs_each_masked_patch_by_its_crop(params: PretrainParams, dataset: Published) -> None:
    samples = Samples(load_images(dataset, "training"), params)
    batch = collate([samples[i] for i in range(8)])
    masked = (batch.mask.sum(dim=1) > 0).sum()
    assert float(batch.weight.sum()) == pytest.approx(float(masked))
    assert batch.mask.flatten()[batch.places].all()
    assert len(batch.places) == batch.mask.sum()


def test_masks_have_exactly_the_patches_asked_for() -> None:
    for seed in range(50):
        rng = np.random.default_rng(seed)
        hidden = int(rng.integers(0, 129))
        assert block_mask(16, hidden, rng).sum() == hidden


def test_mask_ratios_are_spread_evenly_over_half_of_the_crops() -> None:
    params = ObjectiveParams(mask_share=0.5, mask_ratio=(0.1, 0.5))
    ratios = sorted(mask_ratio(place, 20, (0, 3), params) for place in range(20))
    assert ratios[:10] == [0.0] * 10
    assert ratios[10:] == pytest.approx([0.12 + 0.04 * i for i in range(10)])
    assert mask_ratio(0, 20, (0, 3), ObjectiveParams(mask_share=0)) == 0


def test_boxes_cover_the_area_and_aspect_asked_for() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        left, top, right, bottom = random_box(200, 100, (0.1, 0.3), rng)
        assert 0 <= left < right <= 200
        assert 0 <= top < bottom <= 100
        assert 0.08 < (right - left) * (bottom - top) / 20000 < 0.33
        assert 0.7 < (right - left) / (bottom - top) < 1.43


def test_a_blur_happens_with_the_stated_chance_and_not_its_opposite() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8))
    crops = CropParams(large_size=32, large_scale=(1, 1), small_size=8, small_count=0)
    plain = {"flip": 0, "jitter": 0, "gray": 0, "solarise": 0, "blur_sigma": (2, 2)}

    def blurred(chance: float) -> float:
        augment = AugmentParams.model_validate(plain | {"blur_first": chance, "blur_other": 0})
        views = [multi_crop(image, crops, augment, stream(0, 0, row)).large for row in range(200)]
        return float(np.mean([view[0].std() < 0.6 * view[1].std() for view in views]))

    assert blurred(1.0) == 1
    assert blurred(0.0) == 0
    assert 0.7 < blurred(0.8) < 0.9


def test_crops_are_solarised_only_after_the_first() -> None:
    image = Image.new("RGB", (32, 32), (200, 200, 200))
    augment = AugmentParams(jitter=0, gray=0, solarise=1, blur_first=0, blur_other=0, blur_small=0)
    views = multi_crop(image, CropParams(large_size=16, small_size=8, large_count=3), augment, stream(0, 0, 0))
    assert [int(crop.mean()) for crop in views.large] == [200, 55, 55]
    assert views.small.mean() == 200
    assert views.small.shape == (8, 3, 8, 8)
