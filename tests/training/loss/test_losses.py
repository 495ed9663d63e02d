import math
from functools import partial
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional as F

from training.loss.cross_entropy import Chunks, Prototypes, RowTargets, cross_entropy
from training.loss.losses import Objective, dino_loss, ibot_loss, koleo_loss
from training.loss.targets import TeacherTargets, sums_over_other_views
from training.model.student_teacher import Outputs, initial_student
from training.params import ObjectiveParams, PretrainParams

TEMPERATURE = 0.1


def unit(*shape: int) -> Tensor:
    return F.normalize(torch.randn(*shape), dim=-1)


def given(targets: Tensor) -> Chunks:
    return Chunks(len(targets), targets.shape[1], lambda columns, rows: targets[rows, columns].clone())


def softmax_targets(*shape: int) -> Tensor:
    return torch.softmax(torch.randn(*shape), dim=-1)


def whole(chunks: Chunks) -> Tensor:
    return torch.cat([chunk for _, chunk in chunks], dim=1)


@pytest.mark.parametrize(("global_count", "local_count"), [(2, 4), (2, 0), (3, 2), (10, 2)])
def test_the_dino_loss_is_the_mean_over_pairs_of_different_views(global_count: int, local_count: int) -> None:
    torch.manual_seed(0)
    crops = global_count + local_count
    z, prototypes, targets = unit(crops * 5, 8), torch.randn(7, 8), softmax_targets(global_count * 5, 7)
    loss, pairs = 0.0, 0
    for t in range(global_count):
        for s in range(crops):
            if s != t:
                for b in range(5):
                    scores = torch.stack([z[s * 5 + b] @ w / w.norm() for w in prototypes])
                    loss -= float(targets[t * 5 + b] @ torch.log_softmax(scores / TEMPERATURE, dim=0)) / 5
                pairs += 1
    n_targets = torch.tensor([global_count - 1.0] * global_count * 5 + [float(global_count)] * local_count * 5)
    expand = partial(sums_over_other_views, global_count=global_count, crop_count=crops)
    row_targets = RowTargets(given(targets), expand, n_targets)
    entropy = cross_entropy(z, prototypes, [row_targets], TEMPERATURE)
    assert float(dino_loss(entropy, global_count, crops)) == pytest.approx(loss / pairs, rel=1e-5)


def test_the_ibot_loss_weighs_every_masked_crop_alike_and_counts_unmasked_ones_as_nothing() -> None:
    torch.manual_seed(0)
    hidden_in_crop = [3, 1, 0, 4]
    z, prototypes, targets = unit(8, 6), torch.randn(7, 6), softmax_targets(8, 7)
    weight = torch.tensor([1 / n for n in hidden_in_crop for _ in range(n)])
    loss, m = 0.0, 0
    for n in hidden_in_crop:
        of_crop = 0.0
        for _ in range(n):
            scores = z[m] @ F.normalize(prototypes, dim=1).T
            of_crop -= float(targets[m] @ torch.log_softmax(scores / TEMPERATURE, dim=0))
            m += 1
        loss += of_crop / max(n, 1)
    entropy = cross_entropy(z, prototypes, [RowTargets(given(targets), lambda x: x, torch.ones(8))], TEMPERATURE)
    assert float(ibot_loss(entropy, weight, 4)) == pytest.approx(loss / 4, rel=1e-5)


@pytest.mark.parametrize("kept_bytes", [0, 1 << 30])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_the_chunked_cross_entropy_has_the_gradient_of_plain_autograd(
    dtype: torch.dtype, tolerance: float, kept_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.loss.cross_entropy.COLUMNS", 10)  # 33 prototypes: three chunks and a short one
    monkeypatch.setattr("training.loss.cross_entropy.KEPT_BYTES", kept_bytes)
    torch.manual_seed(0)
    raw_z, prototypes = torch.randn(17, 8, dtype=dtype), 0.02 * torch.randn(33, 8, dtype=dtype)
    few, many, weight = (torch.softmax(torch.randn(n, 33, dtype=dtype), dim=1) for n in (4, 9, 17))
    n_targets = torch.tensor([1.0] * 4 + [2.0] * 4, dtype=dtype)
    row_targets = [
        RowTargets(given(few), partial(sums_over_other_views, global_count=2, crop_count=4), n_targets),
        RowTargets(given(many), lambda x: x, torch.ones(9, dtype=dtype)),
    ]
    found = []
    for fused in (True, False):
        leaves = [raw_z.clone().requires_grad_(), prototypes.clone().requires_grad_()]
        z = F.normalize(leaves[0], dim=1)
        if fused:
            entropy = cross_entropy(z, leaves[1], row_targets, TEMPERATURE)
        else:
            logs = torch.log_softmax(z @ F.normalize(leaves[1], dim=1).T / TEMPERATURE, dim=1)
            entropy = -(torch.cat([sums_over_other_views(few, 2, 4), many]) * logs).sum(dim=1)
        (entropy * weight[:, 0]).sum().backward()
        found.append([entropy.detach(), leaves[0].grad, leaves[1].grad])
    for one, other in zip(*found, strict=True):
        assert float((one - other).norm() / other.norm()) < tolerance


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


def test_the_cross_entropy_in_bf16_is_near_and_never_holds_more_than_a_chunk_beyond_its_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("training.loss.cross_entropy.COLUMNS", 64)
    monkeypatch.setattr("training.loss.cross_entropy.KEPT_BYTES", 0)
    torch.manual_seed(0)
    z, prototypes = unit(12, 32), torch.randn(256, 32)
    row_targets = RowTargets(given(softmax_targets(12, 256)), lambda x: x, torch.ones(12))
    made = []
    honest = Chunks.at
    monkeypatch.setattr(Chunks, "at", lambda self, number: made.append(honest(self, number)) or made[-1])
    exact = cross_entropy(z, prototypes, [row_targets], TEMPERATURE)
    with torch.autocast("cpu", torch.bfloat16):
        near = cross_entropy(z, prototypes, [row_targets], TEMPERATURE)
    torch.testing.assert_close(near, exact, rtol=1e-2, atol=1e-2)
    assert {chunk.shape for chunk in made} == {(12, 64)}
    assert row_targets.targets.kept == {}


def balanced(z: Tensor, prototypes: Tensor, temperature: float) -> Tensor:
    return whole(
        TeacherTargets("sinkhorn", len(prototypes))(z, Prototypes.of(prototypes, prototypes.dtype), temperature)
    )


@pytest.mark.parametrize("kept_bytes", [0, 1 << 30])
def test_sinkhorn_equals_its_slow_loop(kept_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.loss.cross_entropy.COLUMNS", 2)
    monkeypatch.setattr("training.loss.cross_entropy.KEPT_BYTES", kept_bytes)
    torch.manual_seed(0)
    z, prototypes = unit(6, 3), unit(5, 3)
    q = torch.exp((z @ prototypes.T).double() / 0.1)
    for _ in range(3):
        for k in range(5):
            q[:, k] /= q[:, k].sum() * 5
        for b in range(6):
            q[b] /= q[b].sum() * 6
    torch.testing.assert_close(balanced(z, prototypes, 0.1).double(), q * 6, atol=1e-5, rtol=1e-5)


def test_sinkhorn_rows_sum_to_one_and_prototypes_share_the_batch() -> None:
    torch.manual_seed(0)
    q = balanced(unit(64, 4), unit(8, 4), 0.5)
    torch.testing.assert_close(q.sum(dim=1), torch.ones(64))
    torch.testing.assert_close(q.sum(dim=0), torch.full((8,), 8.0), rtol=0.02, atol=0)


def test_sinkhorn_survives_the_lowest_temperature_half_precision_and_no_rows() -> None:
    z = unit(8, 4)
    torch.testing.assert_close(balanced(z, z.clone(), 0.02).sum(dim=1), torch.ones(8))
    with pytest.raises(ValidationError, match=r"teacher_temperature.*\n.*greater than or equal to 0.02"):
        ObjectiveParams(teacher_temperature=(0.01, 0.04))
    assert balanced(z, z.half(), 0.04).dtype == torch.float32
    assert balanced(z[:0], z, 0.04).shape == (0, 8)


@pytest.mark.parametrize("temperature", [0.5, 0.002])
def test_a_running_centre_takes_in_a_tenth_of_each_batch_and_evens_out_the_targets(temperature: float) -> None:
    torch.manual_seed(0)
    targets = TeacherTargets("centre", 4)
    z, prototypes = unit(16, 6), unit(4, 6)
    z = F.normalize(z + prototypes[0], dim=1)
    first = whole(targets(z, Prototypes.of(prototypes, prototypes.dtype), temperature))
    scores = z @ prototypes.T
    torch.testing.assert_close(first, torch.softmax(scores / temperature, dim=1), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(targets.centre_K, scores.mean(dim=0) / 10)
    for _ in range(60):
        last = whole(targets(z, Prototypes.of(prototypes, prototypes.dtype), temperature))
    assert last[:, 0].mean() < first[:, 0].mean()


@pytest.mark.parametrize(("global_count", "local_count"), [(2, 4), (10, 2)])
def test_the_total_counts_koleo_once_for_every_global_crop_as_dinov2_does(
    tiny: dict[str, Any], global_count: int, local_count: int
) -> None:
    """DINOv2 adds to the two cross-entropies: weight · sum over crops of the loss of that crop's own tokens."""
    torch.manual_seed(0)
    crops = tiny["crops"] | {"global_count": global_count, "local_count": local_count}
    params = PretrainParams.model_validate(tiny | {"crops": crops})
    student, B = initial_student(params), params.objective.koleo_group
    cls = torch.randn(global_count * B, 32)
    outputs = Outputs(unit((global_count + local_count) * B, 16), unit(1, 16), cls)
    targets = given(softmax_targets(global_count * B, 64)), given(softmax_targets(1, 64))
    losses = Objective(params.objective, params.crops)(outputs, student, targets, torch.ones(1))
    koleo = 0.0
    for crop in F.normalize(cls, dim=1).split(B):
        for i, x in enumerate(crop):
            koleo -= math.log(min(float((x - y).norm()) for j, y in enumerate(crop) if j != i)) / B
    assert float(losses.total.detach()) == pytest.approx(float(losses.dino + losses.ibot) + 0.1 * koleo, rel=1e-5)


def parts_of(losses: Any) -> list[float]:
    return [float(part.detach()) for part in losses]


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("rule", ["sinkhorn", "centre"])
def test_the_objective_is_the_weighted_sum_of_losses_written_as_loops(
    tiny: dict[str, Any], separate: bool, rule: str
) -> None:
    torch.manual_seed(0)
    own = {"patch_prototypes": 48, "patch_bottleneck": 12} if separate else {}
    changed = tiny["objective"] | {"separate_heads": separate, "targets": rule} | own
    params = PretrainParams.model_validate(tiny | {"objective": changed})
    student, teacher = initial_student(params), initial_student(params)
    for parameter in teacher.parameters():
        parameter.data += 0.02 * torch.randn_like(parameter)
    objective = Objective(params.objective, params.crops)
    B, weight = 4, torch.tensor([1 / 2, 1 / 2, 1, 1 / 3, 1 / 3, 1 / 3])
    of_patch = own.get("patch_bottleneck", 16)
    outputs = [Outputs(unit(crops * B, 16), unit(6, of_patch), torch.randn(2 * B, 32)) for crops in (4, 2)]
    both = objective.targets(outputs[1], teacher, 0.05)
    losses = objective(outputs[0], student, both, weight)

    def scores(z: Tensor, head: Any) -> Tensor:
        return z @ F.normalize(head.prototypes.weight.detach(), dim=1).T

    def targets(z: Tensor, head: Any) -> Tensor:
        q = torch.exp(scores(z, head).double() / 0.05)
        for _ in range(3 if rule == "sinkhorn" else 0):
            q = q / q.sum(dim=0) / q.shape[1]
            q = q / q.sum(dim=1, keepdim=True) / len(q)
        return (q / q.sum(dim=1, keepdim=True)).float()

    dino, ibot, of_crops = 0.0, 0.0, targets(outputs[1].crops, teacher.heads()[0])
    logs = torch.log_softmax(scores(outputs[0].crops, student.heads()[0]) / 0.1, dim=1)
    for t in range(2):
        for s in range(4):
            for b in range(B if s != t else 0):
                dino -= float(of_crops[t * B + b] @ logs[s * B + b]) / (6 * B)
    logs = torch.log_softmax(scores(outputs[0].patches, student.heads()[-1]) / 0.1, dim=1)
    for m, target in enumerate(targets(outputs[1].patches, teacher.heads()[-1])):
        ibot -= float(weight[m] * target @ logs[m]) / (2 * B)
    koleo = sum(float(koleo_loss(crop[None])) for crop in outputs[0].cls.view(2, 4, 32))
    assert parts_of(losses) == pytest.approx([dino + ibot + 0.1 * koleo, dino, ibot, koleo, 0], rel=1e-5)
    torch.testing.assert_close(whole(both[0]), of_crops, atol=1e-6, rtol=1e-4)
