import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from training.eval.inputs import OmittedError, PatchFeatures
from training.eval.math import nearest
from training.eval.math.miou import confusion, grid_of, labelled_patches, patch_classes, segmentation_scores
from training.eval.protocols.knn_segmentation import KnnSegmentation
from training.eval.protocols.linear_segmentation import LinearSegmentation
from training.eval.sets.base import IGNORED

SMALL = (LinearSegmentation(steps=30), KnnSegmentation(k=5))


def regions(images: int = 12, noise: float = 0.3) -> PatchFeatures:
    """Two rows of three patches of 4×4 pixels: each patch has a class, its feature points there."""
    generator = torch.Generator().manual_seed(0)
    patch = torch.randint(0, 3, (images, 2, 3), generator=generator)
    mask = patch.repeat_interleave(4, dim=1).repeat_interleave(4, dim=2).to(torch.uint8)
    mask[:, 0, :] = IGNORED
    features = torch.eye(3, 5)[patch].flatten(1, 2) + noise * torch.randn(images, 6, 5, generator=generator)
    half = images // 2
    return PatchFeatures(features[:half], mask[:half], features[half:], mask[half:], ("sky", "road", "tree"))


def test_a_patch_has_the_class_of_most_of_its_pixels_that_count() -> None:
    generator = torch.Generator().manual_seed(0)
    mask = torch.randint(0, 4, (5, 8, 12), generator=generator).to(torch.uint8)
    mask[mask == 3] = IGNORED
    mask[0, :4, :4] = IGNORED
    expected = []
    for image in mask.numpy():
        for row in range(2):
            for column in range(3):
                pixels = image[4 * row : 4 * row + 4, 4 * column : 4 * column + 4].flatten()
                counts = [(pixels == z).sum() for z in range(3)]
                expected.append(int(np.argmax(counts)) if max(counts) else IGNORED)
    assert patch_classes(mask, (2, 3), 3).flatten().tolist() == expected
    assert expected[0] == IGNORED


def test_patches_must_tile_the_mask() -> None:
    assert (grid_of(256, 224, 224), grid_of(6, 8, 12)) == ((16, 16), (2, 3))
    for patches, height, width in ((7, 8, 12), (9, 8, 8), (0, 8, 8)):
        with pytest.raises(OmittedError, match=f"tile the mask, got {patches} patches on {height}×{width} pixels"):
            grid_of(patches, height, width)


def test_mean_iou_equals_its_slow_loop_and_leaves_out_what_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = regions()
    mask = inputs.query_mask.clone()
    mask[mask == 2] = 0  # a class that can be given but is never true
    inputs = dataclasses.replace(inputs, query_mask=mask)
    logits = torch.randn(6, 6, 3, generator=torch.Generator().manual_seed(1))
    right, union = np.zeros(3), np.zeros(3)
    for logit, image in zip(logits, mask, strict=True):
        wide = F.interpolate(logit.T.reshape(1, 3, 2, 3), size=(8, 12), mode="bilinear")[0].argmax(dim=0)
        for given, true in zip(wide.flatten().tolist(), image.flatten().tolist(), strict=True):
            if true == IGNORED:
                continue
            right[true] += given == true
            union[true] += 1
            union[given] += given != true
    whole = segmentation_scores("x", logits, inputs, {})
    assert whole[0]["protocol"]["iou"] == pytest.approx({"sky": right[0] / union[0], "road": right[1] / union[1]})
    assert whole[0]["value"] == pytest.approx((right[0] / union[0] + right[1] / union[1]) / 2)
    assert whole[0]["protocol"]["absent"] == ["tree"]
    assert [score["metric"] for score in whole] == ["miou", "miou patches"]
    monkeypatch.setattr(nearest, "CELLS", 1)
    assert segmentation_scores("x", logits, inputs, {}) == whole


def test_confusion_counts_truth_in_rows() -> None:
    counts = confusion(torch.tensor([0, 1, 1, 0]), torch.tensor([0, 0, 1, IGNORED]), 2)
    assert counts.tolist() == [[1, 1], [0, 1]]


@pytest.mark.parametrize("evaluation", SMALL, ids=lambda evaluation: evaluation.kind)
def test_patches_that_tell_their_class_are_segmented(evaluation: LinearSegmentation | KnnSegmentation) -> None:
    inputs = regions(noise=0.05)
    pixels, patches = evaluation.scores(inputs)
    assert patches["value"] == 1.0
    assert 0.7 < pixels["value"] < 1.0  # drawn out bilinearly, edges blur
    assert pixels["protocol"]["bank"] == pixels["protocol"]["queries"] == 6
    assert evaluation.scores(regions(noise=50.0))[1]["value"] < 0.6


@pytest.mark.parametrize("evaluation", SMALL, ids=lambda evaluation: evaluation.kind)
def test_neither_the_order_of_images_nor_the_batch_matters(
    evaluation: LinearSegmentation | KnnSegmentation, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = regions(noise=1.0)
    whole = [score["value"] for score in evaluation.scores(inputs)]
    moved = PatchFeatures(
        inputs.bank.flip(0), inputs.bank_mask.flip(0), inputs.queries.flip(0), inputs.query_mask.flip(0), inputs.classes
    )
    assert [score["value"] for score in evaluation.scores(moved)] == whole
    monkeypatch.setattr(nearest, "CELLS", 1)
    assert [score["value"] for score in evaluation.scores(inputs)] == whole


def test_of_many_patches_so_many_are_drawn_and_those_without_a_class_are_not() -> None:
    inputs = regions()
    mask = inputs.bank_mask.clone()
    mask[:, :4, :4] = IGNORED
    inputs = dataclasses.replace(inputs, bank_mask=mask)
    assert len(labelled_patches(inputs, 1000, 0)[0]) == 30
    features, classes = labelled_patches(inputs, 10, 0)
    assert features.shape == (10, 5)
    assert IGNORED not in classes
    assert torch.equal(labelled_patches(inputs, 10, 0)[0], features)
    assert LinearSegmentation(patches=10).scores(inputs)[0]["protocol"]["patches"] == 10
    assert KnnSegmentation(k=50).scores(inputs)[0]["protocol"]["k"] == 30


def test_masks_that_say_nothing_are_an_omission_that_says_why() -> None:
    inputs = regions()
    with pytest.raises(OmittedError, match="pixels of two classes, got 1"):
        LinearSegmentation().scores(dataclasses.replace(inputs, bank_mask=torch.zeros_like(inputs.bank_mask)))
    with pytest.raises(OmittedError, match="a query with a pixel that counts, got none"):
        KnnSegmentation().scores(dataclasses.replace(inputs, query_mask=torch.full_like(inputs.query_mask, IGNORED)))
