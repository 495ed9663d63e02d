"""Distances of features and Gram matrices are what their loops say."""

import pytest
import torch
from torch.nn import functional as F

from training.loss.features import feature_distance, gram_loss


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_gram_anchoring_is_the_mean_squared_difference_of_cosines_image_by_image() -> None:
    """dinov3's rule at its anchoring run's settings: normalised, image by image, negative cosines kept."""
    student, other = random(3, 5, 8), random(3, 5, 6, seed=1)
    total = 0.0
    for b in range(3):
        for i in range(5):
            for j in range(5):
                ours = F.cosine_similarity(student[b, i], student[b, j], dim=0)
                total += float(ours - F.cosine_similarity(other[b, i], other[b, j], dim=0)) ** 2
    assert float(gram_loss(student, other)) == pytest.approx(total / (3 * 5 * 5), rel=1e-5)


def test_a_turn_of_all_patches_costs_nothing_and_another_likeness_does() -> None:
    patches = random(2, 7, 8)
    turn = torch.linalg.qr(random(8, 8, seed=2))[0]
    assert float(gram_loss(3 * patches @ turn, patches)) == pytest.approx(0, abs=1e-10)
    assert float(gram_loss(patches.flip(1), patches)) > 0.01


def test_distance_is_nothing_for_one_direction_and_two_for_opposite_ones() -> None:
    z = F.normalize(random(4, 8), dim=-1)
    torch.testing.assert_close(feature_distance(z, z), torch.zeros(4), atol=1e-6, rtol=0)
    torch.testing.assert_close(feature_distance(z, -z), torch.full((4,), 2.0))
