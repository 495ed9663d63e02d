"""A smaller model is cut out of a larger one along one residual stream, and what cannot be cut is said."""

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional as F

from shared.errors import RecipeError
from tests.training.vits import images, invented_weights
from training.distributed import DistributedContext
from training.loop.pretrain import initial_state
from training.model.cut import Cut, cut_out
from training.model.student_teacher import Student
from training.params import PretrainParams
from training.weights import Weights

ALONE = DistributedContext(torch.device("cpu"), 0, 1)
LARGE: dict[str, Any] = {"width": 192, "heads": 3, "depth": 5}
SMALL: dict[str, Any] = {"patch_size": 8, "width": 128, "heads": 2, "depth": 2, "layer_scale": 0.1}
CHANNELS = [channel * 192 // 128 for channel in range(128)]
HEADS = [0, 1]
KINDS: list[dict[str, Any]] = [{}, {"ffn": "swiglu", "registers": 4}, {"layer_scale": 0.0}, {"mlp_ratio": 3.0}]


def requested(tiny: dict[str, Any], cut: str, **changes: Any) -> PretrainParams:
    optim = tiny["optim"] | {"lr": 1e-4}
    return PretrainParams.model_validate(
        tiny | {"model": SMALL | changes, "optim": optim, "start": "invented", "start_cut": cut}
    )


def started(tiny: dict[str, Any], weights: Weights, cut: str, **changes: Any) -> Student:
    return initial_state(requested(tiny, cut, **changes), ALONE, weights).student


def slow_cls(weights: Weights, blocks: list[int], hidden: int, pixels: Tensor) -> Tensor:
    """Return cls_Bd of some blocks of the larger model, of which only some channels, heads and units exist."""
    vit, wide = weights.vit, 64
    gated, scaled = weights.model.ffn == "swiglu", bool(weights.model.layer_scale)
    kernel, bias = vit["patch_embed.proj.weight"][CHANNELS], vit["patch_embed.proj.bias"][CHANNELS]
    patches = F.conv2d(pixels, kernel, bias, stride=8).flatten(2).mT
    positions, cls = vit["pos_embed"][..., CHANNELS], vit["cls_token"][..., CHANNELS].expand(len(pixels), -1, -1)
    if weights.model.registers:
        registers = vit["reg_token"][..., CHANNELS].expand(len(pixels), -1, -1)
        x = torch.cat([cls, registers, patches + positions], dim=1)
    else:
        x = torch.cat([cls, patches], dim=1) + positions

    def normed(x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, (len(CHANNELS),), vit[f"{name}.weight"][CHANNELS], vit[f"{name}.bias"][CHANNELS], 1e-6)

    for block in blocks:
        at = f"blocks.{block}"
        weight, bias = vit[f"{at}.attn.qkv.weight"], vit[f"{at}.attn.qkv.bias"]
        h, change = normed(x, f"{at}.norm1"), vit[f"{at}.attn.proj.bias"][CHANNELS]
        for head in HEADS:
            rows = [slice(part * 192 + head * wide, part * 192 + (head + 1) * wide) for part in range(3)]
            q, k, v = (h @ weight[part][:, CHANNELS].T + bias[part] for part in rows)
            attended = (q @ k.mT / wide**0.5).softmax(dim=-1) @ v
            change = change + attended @ vit[f"{at}.attn.proj.weight"][CHANNELS, rows[0]].T
        x = x + (change * vit[f"{at}.ls1.gamma"][CHANNELS] if scaled else change)
        weight, bias = vit[f"{at}.mlp.fc1.weight"][:, CHANNELS], vit[f"{at}.mlp.fc1.bias"]
        h, change = normed(x, f"{at}.norm2"), vit[f"{at}.mlp.fc2.bias"][CHANNELS]
        inner = vit[f"{at}.mlp.fc2.weight"].shape[1]
        for unit in (number * inner // hidden for number in range(hidden)):
            value = h @ weight[unit] + bias[unit]
            value = F.silu(value) * (h @ weight[inner + unit] + bias[inner + unit]) if gated else F.gelu(value)
            change = change + value.unsqueeze(-1) * vit[f"{at}.mlp.fc2.weight"][CHANNELS, unit]
        x = x + (change * vit[f"{at}.ls2.gamma"][CHANNELS] if scaled else change)
    return normed(x, "norm")[:, 0]


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("blocks", ["first", "even"])
def test_a_model_of_the_same_shape_is_the_same_to_the_bit(kind: dict[str, Any], blocks: Cut) -> None:
    weights = invented_weights(**LARGE, **kind)
    cut = cut_out(weights.vit, weights.model, weights.model, blocks)
    assert cut.keys() == weights.vit.keys()
    assert all(torch.equal(cut[name], tensor) for name, tensor in weights.vit.items())


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize(("cut", "blocks"), [("first", [0, 1]), ("even", [0, 2])])
@torch.no_grad()
def test_a_smaller_model_computes_what_the_kept_parts_of_the_larger_one_compute(
    tiny: dict[str, Any], kind: dict[str, Any], cut: str, blocks: list[int]
) -> None:
    weights = invented_weights(**LARGE, **kind)
    backbone = started(tiny, weights, cut, **kind).backbone.eval()
    hidden = backbone.vit.blocks[0].mlp.fc2.in_features
    expected = slow_cls(weights, blocks, hidden, images())
    torch.testing.assert_close(backbone(images()).cls, expected, atol=2e-4, rtol=1e-4)


def test_the_mask_token_is_cut_along_and_heads_of_another_width_are_fresh(
    tiny: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    weights = invented_weights(**LARGE)
    assert weights.mask_token is not None
    assert torch.equal(started(tiny, weights, "first").backbone.mask_token, weights.mask_token[CHANNELS])
    assert "starts from   invented; fresh: head" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("ours", "complaint"),
    [
        ({"depth": 6}, r"model.depth 5 or less, got 6. Make the model smaller"),
        ({"width": 256, "heads": 4}, r"model.width 192 or less, got 256; model.heads 3 or less, got 4"),
        ({"mlp_ratio": 7.0}, r"model.mlp_ratio, in outputs of the first layer, 768 or less, got 896"),
        ({"heads": 1}, r"heads of 64 channels as there, got model.width 128 with model.heads 1: .*width of 64"),
    ],
)
def test_what_does_not_fit_into_the_larger_model_is_refused(
    tiny: dict[str, Any], ours: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(RecipeError, match="start_cut needs a model that fits into invented: " + complaint):
        started(tiny, invented_weights(**LARGE), "first", **ours)


@pytest.mark.parametrize(
    ("ours", "setting"),
    [({"patch_size": 16}, "patch_size=8"), ({"ffn": "swiglu", "mlp_ratio": 6.0}, "ffn=mlp")],
)
def test_what_no_cut_changes_must_agree(tiny: dict[str, Any], ours: dict[str, Any], setting: str) -> None:
    with pytest.raises(RecipeError, match=r"start needs the architecture of .*Set training\.model\." + setting):
        started(tiny, invented_weights(**LARGE), "first", **ours)


def test_larger_weights_are_cut_only_where_that_is_asked_for(tiny: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=r"or let training\.start_cut cut a smaller model"):
        started(tiny, invented_weights(**LARGE), "none")


def test_nothing_is_cut_where_a_run_starts_from_chance(tiny: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="start_cut needs weights to start from, got start_cut first"):
        PretrainParams.model_validate(tiny | {"start_cut": "first"})
