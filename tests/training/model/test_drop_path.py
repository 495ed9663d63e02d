"""Packed, skipped and pruned: the same tokens and gradients as timm's own forward pass, crop by crop."""

from typing import Any

import pytest
import timm
import torch
from torch import Tensor

from training.model.drop_path import DropPathSubsets, KeptTokens, Packing, draw_drop_path, drop_path_rates
from training.model.student_teacher import initial_student
from training.model.vit import Backbone
from training.params import ModelParams, PretrainParams

GLOBAL, LOCAL, DEPTH, PREFIX = 4, 6, 3, 3


def backbone(**changes: Any) -> Backbone:
    torch.manual_seed(0)
    params = ModelParams.model_validate(
        {"patch_size": 8, "width": 32, "depth": DEPTH, "heads": 2, "registers": 2, "layer_scale": 0.3} | changes
    )
    model = Backbone(params, 32)
    for parameter in model.parameters():  # no token or bias is zero, else nothing would tell them apart
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model


def inputs() -> tuple[list[Tensor], Tensor, Tensor]:
    torch.manual_seed(1)
    mask = torch.rand(GLOBAL, 16) < 0.4
    crops = [torch.randn(GLOBAL, 3, 32, 32), torch.randn(LOCAL, 3, 16, 16)]
    return crops, mask, mask.flatten().nonzero().squeeze(1)


def plain(model: Backbone, subsets: DropPathSubsets | None) -> tuple[Tensor, Tensor]:
    """One crop size after the other through timm's own modules, all images computed, skipped ones times 0."""
    crops, mask, indices = inputs()
    sizes = []
    for size, images in enumerate(crops):
        x = model.vit.patch_embed(images)
        if size == 0:
            x = torch.where(mask.view(GLOBAL, 4, 4, 1), model.mask_token, x)
        x = model.vit._pos_embed(x)
        for number, block in enumerate(model.vit.blocks):
            for part in range(2):
                factor = torch.ones(len(images), 1, 1)
                if subsets:
                    kept = subsets[2 * number + part][size]
                    factor = torch.zeros(len(images), 1, 1).index_fill(0, kept, len(images) / len(kept))
                branch = [lambda x, b=block: b.ls1(b.attn(b.norm1(x))), lambda x, b=block: b.ls2(b.mlp(b.norm2(x)))]
                x = x + factor * branch[part](x)
        sizes.append(model.vit.norm(x))
    return torch.cat([x[:, 0] for x in sizes]), sizes[0][:, PREFIX:].flatten(0, 1)[indices]


def some_skips() -> DropPathSubsets:
    torch.manual_seed(2)
    return [[torch.randperm(GLOBAL)[:3], torch.randperm(LOCAL)[:4]] for _ in range(2 * DEPTH)]


def outcome(model: Backbone, cls: Tensor, patches: Tensor) -> list[Tensor]:
    model.zero_grad()
    torch.manual_seed(3)
    ((cls * torch.randn_like(cls)).sum() + (patches * torch.randn_like(patches)).sum()).backward()
    return [cls.detach(), patches.detach(), *(p.grad for p in model.parameters())]


@pytest.mark.parametrize("layer_scale", [0.3, 0])
@pytest.mark.parametrize("ffn", ["mlp", "swiglu"])
@pytest.mark.parametrize("skipping", [False, True])
@pytest.mark.parametrize("recompute", [False, True])
def test_one_packed_pass_equals_timm_crop_by_crop_in_tokens_and_gradients(
    ffn: str, layer_scale: float, skipping: bool, recompute: bool
) -> None:
    model = backbone(ffn=ffn, layer_scale=layer_scale, activation_checkpointing=recompute).double()
    subsets = some_skips() if skipping else None
    crops, mask, indices = inputs()
    one = outcome(model, *plain(model.float(), subsets))
    packed = outcome(model, *model.forward_crops(crops, mask, indices, subsets))
    for a, b in zip(packed, one, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5 * float(b.abs().max()))


@pytest.mark.parametrize("registers", [0, 2])
def test_one_size_alone_equals_timm(registers: int) -> None:
    model = backbone(registers=registers).eval()
    images = torch.randn(3, 3, 32, 32)
    tokens = model(images)
    theirs = model.vit.forward_features(images)
    theirs = torch.cat([theirs[:, :1], theirs[:, 1 + registers :]], dim=1)
    ours = torch.cat([tokens.cls.unsqueeze(1), tokens.patches], dim=1)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("vit_small_patch14_dinov2", {"width": 384, "depth": 12, "heads": 6}),
        ("vit_base_patch14_reg4_dinov2", {"width": 768, "depth": 12, "heads": 12, "registers": 4}),
        ("vit_large_patch14_dinov2", {"width": 1024, "depth": 24, "heads": 16}),
        ("vit_giant_patch14_reg4_dinov2", {"width": 1536, "depth": 40, "heads": 24, "registers": 4, "ffn": "swiglu"}),
        ("vit_small_patch16_224", {"width": 384, "depth": 12, "heads": 6, "patch_size": 16, "layer_scale": 0}),
    ],
)
def test_weights_move_to_and_from_timm_untouched(name: str, shape: dict[str, Any]) -> None:
    with torch.device("meta"):
        ours = Backbone(ModelParams.model_validate(shape), 224).vit
        theirs = timm.create_model(name, img_size=224, num_classes=0)
    theirs.load_state_dict(ours.state_dict(), strict=True, assign=True)
    ours.load_state_dict(theirs.state_dict(), strict=True, assign=True)


@pytest.mark.parametrize("ffn", ["mlp", "swiglu"])
def test_depth_40_and_11_heads_of_88_make_450_million_parameters(ffn: str) -> None:
    with torch.device("meta"):
        model = Backbone(ModelParams.model_validate({"width": 968, "depth": 40, "heads": 11, "ffn": ffn}), 224)
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(450e6, rel=0.01)


def drawn(tiny: dict[str, Any], rate: float, rule: str, step: int, first: int, images: int) -> DropPathSubsets:
    params = PretrainParams.model_validate(
        tiny | {"model": tiny["model"] | {"drop_path": rate, "drop_path_rule": rule}}
    )
    subsets = draw_drop_path(params, step, first, images, torch.device("cpu"))
    assert subsets is not None
    return subsets


def test_the_same_images_are_skipped_by_any_number_of_processes(tiny: dict[str, Any]) -> None:
    alone = drawn(tiny, 0.3, "uniform", 5, 0, 8)
    halves = [drawn(tiny, 0.3, "uniform", 5, first, 4) for first in (0, 4)]
    for branch, sizes in enumerate(alone):
        for size, kept in enumerate(sizes):
            parts = [half[branch][size] for half in halves]
            pairs = {(int(row) // 8, int(row) % 8) for row in kept}
            assert pairs == {(int(r) // 4, 4 * rank + int(r) % 4) for rank, part in enumerate(parts) for r in part}
            assert len(kept) == 2 * int(8 * 0.7)
    assert any(not torch.equal(a[0], b[0]) for a, b in zip(alone, drawn(tiny, 0.3, "uniform", 6, 0, 8), strict=True))


def test_the_linear_rule_skips_nothing_in_the_first_block_and_the_full_share_in_the_last(tiny: dict[str, Any]) -> None:
    counts = [len(sizes[0]) for sizes in drawn(tiny, 0.5, "linear", 0, 0, 4)]
    assert counts == [8, 8, 4, 4]
    assert drop_path_rates(ModelParams(depth=3, drop_path=0.2)) == pytest.approx([0, 0.1, 0.2])
    assert KeptTokens.of([[torch.arange(8)]], Packing((8,), (5,))) == [None]


def test_without_drop_path_nothing_is_drawn(params: PretrainParams) -> None:
    whole = params.model_copy(update={"model": params.model.model_copy(update={"drop_path": 0.0})})
    assert draw_drop_path(whole, 0, 0, 8, torch.device("cpu")) is None
    assert initial_student(whole).backbone.forward_crops(*inputs(), None)[0].shape == (GLOBAL + LOCAL, 32)
