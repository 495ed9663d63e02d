"""On two processes each loss, its targets and its gradient are those of slow loops over the whole batch.

Shapes: T global crops and all C crops of B images, crop-major; M masked patches; K prototypes.
"""

from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import functional as F

from tests.benchmarks.training_step import batch_of
from tests.training.together import as_ranks
from training.distributed import DistributedContext
from training.loop.ddp import in_ddp
from training.loop.pretrain import compile_parts, initial_state
from training.loop.train_step import take_step
from training.loss.losses import Objective
from training.model.student_teacher import Outputs, initial_student
from training.params import PretrainParams

WORLD, B, T, C, WIDTH, TEMPERATURE = 2, 8, 2, 4, 32, 0.05
SHARE = B // WORLD
HIDDEN = (5, 7)
"""Masked patches of each process: they differ."""
RULES = ("sinkhorn", "centre")


def of_rank(x: Tensor, rank: int) -> Tensor:
    """Return a process's rows of crop-major ones."""
    return x.view(-1, B, x.shape[1])[:, rank * SHARE : (rank + 1) * SHARE].flatten(0, 1)


def of_all(parts: list[Tensor]) -> Tensor:
    """Put the processes' rows together again, crop-major."""
    return torch.cat([part.view(-1, SHARE, part.shape[1]) for part in parts], dim=1).flatten(0, 1)


def drawn() -> dict[str, Tensor]:
    torch.manual_seed(0)
    unit = {
        name: F.normalize(torch.randn(n, 16), dim=1)
        for name, n in {
            "crops": C * B,
            "patches": sum(HIDDEN),
            "teacher": T * B,
            "teacher_patches": sum(HIDDEN),
        }.items()
    }
    return unit | {"cls": torch.randn(T * B, WIDTH), "weight": torch.rand(sum(HIDDEN))}


def params_of(tiny: dict[str, Any], rule: str) -> PretrainParams:
    objective = tiny["objective"] | {"targets": rule, "separate_heads": True, "patch_prototypes": 48}
    return PretrainParams.model_validate(tiny | {"objective": objective})


def on_one_of_two(folder: Path, tiny: dict[str, Any]) -> None:
    dist.init_process_group("gloo", timeout=timedelta(seconds=60))
    rank = dist.get_rank()
    found = {rule: losses_of(rank, params_of(tiny, rule)) for rule in RULES}
    torch.save(found | {"steps": [ddp_step(rank, tiny, compiles) for compiles in (False, True)]}, folder / f"{rank}.pt")
    dist.destroy_process_group()


def losses_of(rank: int, params: PretrainParams) -> dict[str, Any]:
    """Return what the objective says on this process's share, at the second of two equal steps."""
    given = drawn()
    rows = slice(HIDDEN[0] * rank, HIDDEN[0] + HIDDEN[1] * rank)
    crops, cls = (of_rank(given[name], rank).requires_grad_() for name in ("crops", "cls"))
    patches = given["patches"][rows].requires_grad_()
    teacher = Outputs(of_rank(given["teacher"], rank), given["teacher_patches"][rows], cls.detach())
    model, objective = initial_student(params), Objective(params.objective, params.crops)
    for _ in range(2):
        targets = objective.targets(teacher, model, TEMPERATURE)
    losses = objective(Outputs(crops, patches, cls), model, targets, given["weight"][rows])
    losses.total.backward()
    return {
        "targets": [torch.cat([chunk for _, chunk in kind], dim=1) for kind in targets],
        "losses": torch.stack(losses).detach(),
        "inputs": [x.grad for x in (crops, patches, cls)],
        "prototypes": [head.prototypes.weight.grad for head in model.heads()],
    }


def ddp_step(rank: int, tiny: dict[str, Any], compiles: bool) -> tuple[dict[str, float], list[Tensor]]:
    """Return losses and gradient of a step with DDP around the student."""
    context, params = DistributedContext(torch.device("cpu"), rank, WORLD), PretrainParams.model_validate(tiny)
    state, gradient = initial_state(params, context), []
    torch.compile = partial(torch.compile, backend="aot_eager") if compiles else torch.compile
    if compiles:
        compile_parts(state, params)
    state.optimizer.register_step_pre_hook(
        lambda *_: gradient.extend(p.grad.clone() for p in state.student.parameters() if p.grad is not None)
    )
    share = params.optim.batch_size // WORLD
    wrapped = in_ddp(state.student, context, static=True)
    for _ in range(2):  # a static graph is found in the first
        report = take_step(state, wrapped, batch_of(share, params), params, context, False)
    return report.losses, gradient


@pytest.fixture(scope="module")
def found(tiny: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("two")
    as_ranks(on_one_of_two, folder, tiny)
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(WORLD)]


def slow_targets(scores: Tensor, rule: str) -> Tensor:
    count, prototypes = scores.shape
    if rule == "centre":  # has taken in a tenth of the first step
        return torch.softmax((scores - scores.mean(dim=0) / 10) / TEMPERATURE, dim=1)
    q = torch.exp(scores / TEMPERATURE)
    for _ in range(3):
        for k in range(prototypes):
            q[:, k] /= q[:, k].sum() * prototypes
        for b in range(count):
            q[b] /= q[b].sum() * count
    return q * count


def slow(tiny: dict[str, Any], rule: str) -> dict[str, Any]:
    """Return targets, losses and gradients of the whole batch, by loops in double precision."""
    given = {name: x.double() for name, x in drawn().items()}
    for name in ("crops", "patches", "cls"):
        given[name].requires_grad_()
    weights = [
        h.prototypes.weight.detach().double().requires_grad_() for h in initial_student(params_of(tiny, rule)).heads()
    ]
    directions = [F.normalize(weight, dim=1) for weight in weights]
    with torch.no_grad():
        scores = given["teacher"] @ directions[0].T, given["teacher_patches"] @ directions[1].T
        targets = [slow_targets(of, rule) for of in scores]
    dino = ibot = koleo = torch.zeros((), dtype=torch.float64)
    logs = torch.log_softmax(given["crops"] @ directions[0].T / 0.1, dim=1)
    for t in range(T):
        for s in range(C):
            for b in range(B if s != t else 0):
                dino = dino - targets[0][t * B + b] @ logs[s * B + b] / ((T * C - T) * B)
    logs = torch.log_softmax(given["patches"] @ directions[1].T / 0.1, dim=1)
    for m in range(sum(HIDDEN)):
        ibot = ibot - given["weight"][m] * (targets[1][m] @ logs[m]) / (T * B)
    for group in F.normalize(given["cls"], dim=1).split(4):
        for i, x in enumerate(group):
            nearest = min((j for j in range(4) if j != i), key=lambda j: float((x - group[j]).detach().norm()))
            koleo = koleo - (x - group[nearest]).norm().log() / B  # a mean over images, a sum over crops
    total = dino + ibot + 0.1 * koleo
    total.backward()
    return {
        "targets": targets,
        "losses": torch.stack([total, dino, ibot, koleo, torch.zeros_like(total)]).detach(),
        "inputs": [given[name].grad for name in ("crops", "patches", "cls")],
        "prototypes": [weight.grad for weight in weights],
    }


def near(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one.double(), other, rtol=1e-5, atol=1e-5 * float(other.abs().max()))


@pytest.mark.parametrize("rule", RULES)
def test_two_processes_give_the_losses_targets_and_gradients_of_loops_over_the_whole_batch(
    tiny: dict[str, Any], found: list[dict[str, Any]], rule: str
) -> None:
    parts, whole = [part[rule] for part in found], slow(tiny, rule)
    near(torch.stack([part["losses"] for part in parts]).mean(dim=0), whole["losses"])
    near(of_all([part["targets"][0] for part in parts]), whole["targets"][0])
    near(torch.cat([part["targets"][1] for part in parts]), whole["targets"][1])
    for together, context in ((of_all, 0), (torch.cat, 1), (of_all, 2)):
        near(together([part["inputs"][context] for part in parts]) / WORLD, whole["inputs"][context])
    for head in range(2):  # DDP's mean over processes
        near(sum(part["prototypes"][head] for part in parts) / WORLD, whole["prototypes"][head])


def test_compiled_branches_inside_ddp_change_neither_losses_nor_gradients(found: list[dict[str, Any]]) -> None:
    for part in found:
        (plain_losses, plain), (losses, gradient) = part["steps"]
        assert losses == pytest.approx(plain_losses, rel=1e-4)
        assert len(gradient) == len(plain) > 0
        for one, other in zip(gradient, plain, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4 * float(other.abs().max()))
