"""Changes of colour: the stated chances, and the same pixels on a CPU, in batches, and by torchvision."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

import shared.images.torchvision_cpu
from training.data.color_cpu import color_jitter
from training.data.color_gpu import color_jitter_batch
from training.data.color_params import GRAY, HUE, NOTHING, ORDER, SIGMA, SOLARISE, K, draw_colours
from training.data.multi_crop import keyed_rng, multi_crop
from training.params import AugmentParams, CropParams

assert shared.images.torchvision_cpu  # before torchvision
from torchvision.transforms import functional as reference  # noqa: E402

CHANGES: list[Callable[..., Tensor]] = [
    reference.adjust_brightness,
    reference.adjust_contrast,
    reference.adjust_saturation,
    reference.adjust_hue,
]


def crops(count: int, size: int) -> Tensor:
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.uniform(0, 255, (count, 3, 6, 6))).float()
    smooth = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic").clamp(0, 255)
    return (
        (smooth + torch.from_numpy(rng.normal(0, 6, smooth.shape)))
        .clamp(0, 255)
        .byte()
        .permute(0, 2, 3, 1)
        .contiguous()
    )


def slow(crop_HWC: Tensor, colours_K: np.ndarray) -> Tensor:
    """Do what was drawn with torchvision, one crop and one change at a time, in floats."""
    x_1CHW = crop_HWC.permute(2, 0, 1)[None] / 255
    for change in colours_K[ORDER].astype(int):
        if change != NOTHING:
            x_1CHW = CHANGES[change](x_1CHW, float(colours_K[change]))
    if colours_K[GRAY]:
        x_1CHW = reference.rgb_to_grayscale(x_1CHW, 3)
    if colours_K[SIGMA]:
        x_1CHW = reference.gaussian_blur(x_1CHW, 9, float(colours_K[SIGMA]))
    whole = (x_1CHW * 255).round()
    return (reference.solarize(whole / 255, 128 / 255) * 255 if colours_K[SOLARISE] else whole)[0]


def drawn(count: int, **changes: float) -> np.ndarray:
    augment = AugmentParams.model_validate({"hue": 0.5, "saturation": 0.8, **changes})
    return draw_colours(augment, [0.5] * count, [0.5] * count, keyed_rng(1))


@pytest.mark.parametrize("size", [224, 98, 33])
def test_cpu_and_batches_and_torchvision_give_the_same_pixels_within_a_gray_level(size: int) -> None:
    images, colours = crops(24, size), drawn(24)
    alone, batched = (
        color_jitter(images, torch.from_numpy(colours)),
        color_jitter_batch(images, torch.from_numpy(colours)),
    )
    gap = (alone.int() - batched.int()).abs()
    assert gap.max() <= 1
    assert (gap > 0).float().mean() < 1e-3
    told = torch.stack([slow(image, row) for image, row in zip(images, colours, strict=True)])
    assert (alone.float() - told).abs().max() <= 1.01
    assert (batched.float() - told).abs().max() <= 1.01
    assert alone.is_contiguous()
    assert batched.is_contiguous()


@pytest.mark.parametrize("change", range(4))
def test_each_change_alone_is_torchvisions(change: int) -> None:
    images, colours = crops(16, 40), drawn(16, jitter=1, gray=0)
    colours[:, ORDER], colours[:, SIGMA:] = NOTHING, 0
    colours[:, ORDER.start] = change
    told = torch.stack([slow(image, row) for image, row in zip(images, colours, strict=True)])
    for made in (
        color_jitter(images, torch.from_numpy(colours)),
        color_jitter_batch(images, torch.from_numpy(colours)),
    ):
        assert (made.float() - told).abs().max() <= 1.01
        assert not torch.equal(made, images.permute(0, 3, 1, 2))


@pytest.mark.parametrize("size", [1, 3, 8])
def test_crops_smaller_than_a_blur_are_blurred_too(size: int) -> None:
    colours = np.zeros((2, K), dtype=np.float32)
    colours[:, ORDER], colours[:, SIGMA] = NOTHING, 1.5
    images = crops(2, size)
    gap = (
        color_jitter(images, torch.from_numpy(colours)).int()
        - color_jitter_batch(images, torch.from_numpy(colours)).int()
    )
    assert gap.abs().max() <= 1


def test_nothing_drawn_changes_nothing() -> None:
    images = crops(3, 16)
    colours = draw_colours(AugmentParams(jitter=0, gray=0), [0.0] * 3, [0.0] * 3, keyed_rng(0))
    for made in (
        color_jitter(images, torch.from_numpy(colours)),
        color_jitter_batch(images, torch.from_numpy(colours)),
    ):
        assert torch.equal(made, images.permute(0, 3, 1, 2))
    none = torch.zeros((0, 16, 16, 3), dtype=torch.uint8)
    assert (
        color_jitter(none, torch.zeros(0, K)).shape
        == color_jitter_batch(none, torch.zeros(0, K)).shape
        == (0, 3, 16, 16)
    )


def test_chances_and_strengths_are_those_stated() -> None:
    augment = AugmentParams(hue=0.2)
    colours = draw_colours(augment, [0.3] * 20_000, [0.1] * 20_000, keyed_rng(0))
    jittered = colours[:, ORDER.start] != NOTHING
    assert jittered.mean() == pytest.approx(0.8, abs=0.015)
    assert colours[:, GRAY].mean() == pytest.approx(0.2, abs=0.015)
    assert (colours[:, SIGMA] > 0).mean() == pytest.approx(0.3, abs=0.015)
    assert colours[:, SOLARISE].mean() == pytest.approx(0.1, abs=0.015)
    for column, (low, high) in enumerate([(0.6, 1.4), (0.6, 1.4), (0.8, 1.2), (-0.2, 0.2)]):
        assert colours[:, column].min() == pytest.approx(low, abs=0.01)
        assert colours[:, column].max() == pytest.approx(high, abs=0.01)
    assert {tuple(sorted(order)) for order in colours[jittered][:, ORDER].tolist()} == {(0, 1, 2, 3)}
    assert len({tuple(order) for order in colours[jittered][:, ORDER].tolist()}) == 24
    assert (colours[:, HUE] > 0).mean() == pytest.approx(0.5, abs=0.02)


def test_a_blur_happens_with_the_stated_chance_and_not_its_opposite() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    sizes = CropParams(global_size=32, global_scale=(1, 1), local_size=8, local_count=0)
    plain = {"flip": 0, "jitter": 0, "gray": 0, "solarise": 0, "blur_sigma": (2, 2)}

    def blurred(chance: float) -> float:
        augment = AugmentParams.model_validate(plain | {"blur_global_first": chance, "blur_global_other": 0})
        views = [multi_crop(pixels, sizes, augment, keyed_rng(0, row)) for row in range(200)]
        made = [
            color_jitter(torch.from_numpy(v.global_crops), torch.from_numpy(v.global_colours)).float() for v in views
        ]
        return float(np.mean([view[0].std() < 0.6 * view[1].std() for view in made]))

    assert blurred(1.0) == 1
    assert blurred(0.0) == 0
    assert 0.7 < blurred(0.8) < 0.9


def test_crops_are_solarised_only_after_the_first() -> None:
    pixels = np.full((32, 32, 3), 200, dtype=np.uint8)
    augment = AugmentParams(jitter=0, gray=0, solarise=1, blur_global_first=0, blur_global_other=0, blur_local=0)
    views = multi_crop(pixels, CropParams(global_size=16, local_size=8, global_count=3), augment, keyed_rng(0))
    global_crops = color_jitter(torch.from_numpy(views.global_crops), torch.from_numpy(views.global_colours))
    local_crops = color_jitter(torch.from_numpy(views.local_crops), torch.from_numpy(views.local_colours))
    assert [int(crop.float().mean()) for crop in global_crops] == [200, 55, 55]
    assert local_crops.float().mean() == 200
    assert local_crops.shape == (8, 3, 8, 8)
