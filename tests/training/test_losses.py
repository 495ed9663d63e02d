import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from training.losses import dino_loss, ibot_loss, koleo_loss
from training.sinkhorn import sinkhorn
from training.targets import Targets


def targets_like(*shape: int) -> Tensor:
    return torch.softmax(torch.randn(*shape), dim=-1)


@pytest.mark.parametrize(("large", "small"), [(2, 4), (2, 0), (3, 2), (10, 2)])
def test_the_dino_loss_is_the_mean_over_pairs_of_different_views(large: int, small: int) -> None:
    torch.manual_seed(0)
    student, targets = torch.randn(large + small, 5, 7), targets_like(large, 5, 7)
    loss, pairs = 0.0, 0
    for t in range(large):
        for s in range(large + small):
            if s != t:
                logs = torch.log_softmax(student[s] / 0.1, dim=-1)
                loss += sum(-float(targets[t, b] @ logs[b]) for b in range(5)) / 5
                pairs += 1
    assert float(dino_loss(student, targets, 0.1)) == pytest.approx(loss / pairs, rel=1e-5)


def test_the_ibot_loss_weighs_every_masked_crop_alike_and_counts_unmasked_ones_as_nothing() -> None:
    torch.manual_seed(0)
    hidden_in_crop = [3, 1, 0, 4]
    student, targets = torch.randn(8, 7), targets_like(8, 7)
    weight = torch.tensor([1 / n for n in hidden_in_crop for _ in range(n)])
    loss, m = 0.0, 0
    for n in hidden_in_crop:
        of_crop = 0.0
        for _ in range(n):
            of_crop -= float(targets[m] @ torch.log_softmax(student[m] / 0.1, dim=0))
            m += 1
        loss += of_crop / max(n, 1)
    assert float(ibot_loss(student, targets, weight, 4, 0.1)) == pytest.approx(loss / 4, rel=1e-5)


def test_the_koleo_loss_is_minus_the_mean_log_distance_to_the_nearest_of_the_group() -> None:
    torch.manual_seed(0)
    groups = torch.randn(3, 6, 4)
    loss = 0.0
    for group in F.normalize(groups, dim=-1):
        for i, x in enumerate(group):
            nearest = min(float((x - y).norm()) for j, y in enumerate(group) if j != i)
            loss -= math.log(nearest) / 18
    assert float(koleo_loss(groups)) == pytest.approx(loss, rel=1e-5)


def test_copies_in_a_batch_leave_the_koleo_loss_finite_in_value_and_gradient() -> None:
    x = torch.randn(1, 4, 8)
    x[0, 1] = x[0, 0]
    x = x.bfloat16().requires_grad_()
    loss = koleo_loss(x)
    loss.backward()
    assert x.grad is not None
    assert torch.isfinite(loss)
    assert torch.isfinite(x.grad).all()
    assert float(koleo_loss(torch.ones(1, 4, 8))) == 0


def test_sinkhorn_equals_its_slow_loop() -> None:
    torch.manual_seed(0)
    scores = torch.rand(6, 5) * 2 - 1
    q = torch.exp(scores.double() / 0.1)
    for _ in range(3):
        for k in range(5):
            q[:, k] /= q[:, k].sum() * 5
        for b in range(6):
            q[b] /= q[b].sum() * 6
    torch.testing.assert_close(sinkhorn(scores, 0.1).double(), q * 6, atol=1e-5, rtol=1e-4)


def test_sinkhorn_rows_sum_to_one_and_prototypes_share_the_batch() -> None:
    torch.manual_seed(0)
    q = sinkhorn(torch.rand(64, 8) * 2 - 1, 0.5)
    torch.testing.assert_close(q.sum(dim=1), torch.ones(64))
    torch.testing.assert_close(q.sum(dim=0), torch.full((8,), 8.0), rtol=0.02, atol=0)


def test_sinkhorn_survives_great_scores_half_precision_and_no_rows() -> None:
    assert torch.isfinite(sinkhorn(torch.randn(8, 4) * 1000, 0.04)).all()
    assert sinkhorn(torch.randn(8, 4).half(), 0.04).dtype == torch.float32
    assert sinkhorn(torch.empty(0, 4), 0.04).shape == (0, 4)


def test_a_running_centre_takes_in_a_tenth_of_each_batch_and_evens_out_the_targets() -> None:
    torch.manual_seed(0)
    targets = Targets("centre", 4)
    scores = torch.randn(16, 4) + torch.tensor([2.0, 0, 0, 0])
    first = targets(scores, 0.5)
    torch.testing.assert_close(first, torch.softmax(scores / 0.5, dim=1))
    torch.testing.assert_close(targets.centre_K, scores.mean(dim=0) / 10)
    for _ in range(60):
        last = targets(scores, 0.5)
    assert last[:, 0].mean() < first[:, 0].mean()
