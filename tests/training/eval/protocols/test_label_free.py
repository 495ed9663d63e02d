import math

import pytest
import torch
from torch.nn import functional as F

from training.eval.inputs import ImageFeatures, OmittedError
from training.eval.math import nearest
from training.eval.protocols.alignment import Alignment, alignment
from training.eval.protocols.effective_rank import EffectiveRank, effective_rank
from training.eval.protocols.uniformity import Uniformity, uniformity


def test_the_effective_rank_counts_directions() -> None:
    torch.manual_seed(0)
    plane = torch.linalg.qr(torch.randn(500, 3)).Q @ torch.randn(3, 3)
    assert effective_rank(torch.ones(10, 4)) == 1.0
    assert 1 <= effective_rank(plane @ torch.eye(3, 16)) <= 3.01
    assert effective_rank(torch.randn(2000, 16)) > 15.9


def test_uniformity_equals_its_slow_loop_in_batches_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    features = torch.randn(20, 5) + 1
    x = F.normalize(features.double(), dim=1)
    terms = [math.exp(-2 * float((x[b] - x[c]).square().sum())) for b in range(20) for c in range(b)]
    expected = pytest.approx(math.log(sum(terms) / len(terms)), abs=1e-12)
    assert uniformity(features) == expected
    assert uniformity(features.flip(0)) == expected
    monkeypatch.setattr(nearest, "CELLS", 60)
    assert uniformity(features) == expected


def test_uniformity_is_zero_for_a_collapsed_model_and_low_on_a_whole_sphere() -> None:
    torch.manual_seed(0)
    assert uniformity(torch.ones(9, 4)) == pytest.approx(0)
    assert -4 < uniformity(torch.randn(800, 64)) < -3.8


def test_uniformity_draws_at_most_so_many_images_and_says_so() -> None:
    inputs = ImageFeatures(torch.randn(30, 4))
    score = Uniformity(images=10).scores(inputs)[0]
    assert score["protocol"]["images"] == 10
    assert score == Uniformity(images=10).scores(inputs)[0]
    assert score["value"] != Uniformity(images=10, seed=1).scores(inputs)[0]["value"]


@pytest.mark.parametrize("evaluation", [EffectiveRank(), Uniformity(), Alignment()])
def test_one_image_cannot_be_compared(evaluation: EffectiveRank | Uniformity | Alignment) -> None:
    with pytest.raises(OmittedError, match="needs two images, got 1"):
        evaluation.scores(ImageFeatures(torch.randn(1, 4)))


def test_alignment_equals_its_slow_loop_and_needs_two_views() -> None:
    torch.manual_seed(0)
    one, other = torch.randn(9, 4), torch.randn(9, 4)
    far = [
        float((F.normalize(a, dim=0) - F.normalize(b, dim=0)).square().sum()) for a, b in zip(one, other, strict=True)
    ]
    assert alignment(one, other) == pytest.approx(sum(far) / 9, rel=1e-6)
    assert Alignment().scores(ImageFeatures(one, one * 2))[0]["value"] == pytest.approx(0, abs=1e-12)
    with pytest.raises(OmittedError, match="needs another view"):
        Alignment().scores(ImageFeatures(one))
