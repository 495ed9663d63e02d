from pathlib import Path

import shared.images.torchvision_cpu  # noqa: F401  before timm, which imports torchvision

# isort: split
import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.models.vision_transformer import VisionTransformer

from shared.dataset_version import Published
from shared.errors import RecipeError, WorkspaceError
from tests.training.vits import SIZE, in_dinov2_layout, invented_weights
from training.eval import embed
from training.eval.backbone import FeatureExtractor, open_model, vit
from training.model.student_teacher import Student
from training.params import PretrainParams
from training.runs import checkpoint
from training.runs.run_folder import RunFolder

CPU = torch.device("cpu")


def pixels(side: int = SIZE) -> torch.Tensor:
    return torch.randint(0, 256, (2, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@torch.inference_mode()
def test_layers_are_those_that_timm_and_dinov2_give_with_the_last_norm_for_the_last_block_alone() -> None:
    weights = invented_weights(depth=4, registers=2)
    ours, theirs = vit(weights, CPU), weights.backbone().vit
    assert isinstance(theirs, VisionTransformer)
    normal = (pixels() / 255 - torch.tensor(ours.mean).view(3, 1, 1)) / torch.tensor(ours.std).view(3, 1, 1)
    expected = [
        theirs.get_intermediate_layers(normal, n=[block], return_prefix_tokens=True, norm=norm)[0]
        for block, norm in ((1, False), (3, True))
    ]
    for (patches, prefix), outputs in zip(expected, ours.layers(pixels(), [2, 4]), strict=True):
        torch.testing.assert_close(outputs.patches, patches, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(outputs.cls, prefix[:, 0], atol=1e-4, rtol=1e-4)
    assert torch.equal(ours.tokens(pixels()).cls, ours.layers(pixels(), [4, 1])[0].cls)


@torch.inference_mode()
def test_a_model_from_a_file_is_the_model_and_is_known_by_its_content(tmp_path: Path) -> None:
    weights = invented_weights(positions="offset")
    save_file(in_dinov2_layout(weights), tmp_path / "dino.safetensors")
    here, there = vit(weights, CPU), open_model(str(tmp_path / "dino.safetensors"), CPU)
    assert torch.equal(here.tokens(pixels()).cls, there.tokens(pixels()).cls)
    assert (here.content, here.depth, here.patch_size, here.size) == (there.content, 2, 8, SIZE)
    assert vit(invented_weights(registers=1), CPU).content != here.content


@pytest.fixture
def run(params: PretrainParams, dataset: Published, tmp_path: Path) -> RunFolder:
    from shared.params import Compute
    from training.stages import pretrain

    pretrain(dataset, params=params, compute=Compute(workers=1, device="cpu"), workspace=tmp_path, run="run")
    return RunFolder(tmp_path / "runs" / "run")


@torch.inference_mode()
def test_a_run_opens_as_its_teacher_and_embeds_as_it(run: RunFolder, params: PretrainParams) -> None:
    by_hand = Student(params)
    by_hand.load_state_dict(checkpoint.read(run, 2)["teacher"])
    teacher = open_model(f"{run.path}@2", CPU)
    normal = (pixels() / 255 - torch.tensor(teacher.mean).view(3, 1, 1)) / torch.tensor(teacher.std).view(3, 1, 1)
    expected = by_hand.eval().backbone(normal).cls
    torch.testing.assert_close(teacher.tokens(pixels()).cls, expected)
    torch.testing.assert_close(embed.load(str(run.path), 2, CPU)(pixels()), expected)
    specs = (str(run.path), f"{run.path}@4", f"{run.path}@4:student", str(run.checkpoint(4)))
    newest, named, student, folder = (open_model(spec, CPU).content for spec in specs)
    assert newest == named == folder
    assert student not in (newest, teacher.content)


def net(name: str, folder: Path) -> FeatureExtractor:
    torch.manual_seed(0)
    save_file(timm.create_model(name).state_dict(), folder / f"{name}.safetensors")
    return open_model(f"{name}={folder / name}.safetensors", CPU)


@torch.inference_mode()
def test_a_convolutional_network_shows_its_pooled_features_and_its_maps(tmp_path: Path) -> None:
    model = net("test_convnext", tmp_path)
    module = timm.create_model("test_convnext", num_classes=0).eval()
    torch.manual_seed(0)
    module.load_state_dict(timm.create_model("test_convnext").state_dict(), strict=False)
    images = pixels(64)
    normal = (images / 255 - torch.tensor(model.mean).view(3, 1, 1)) / torch.tensor(model.std).view(3, 1, 1)
    last, first = model.layers(images, [model.depth, 1])
    torch.testing.assert_close(last.cls, module(normal))
    assert last.patches.shape == (2, (64 // model.patch_size) ** 2, model.width)
    torch.testing.assert_close(first.cls, first.patches.mean(dim=1))
    assert first.patches.shape[1] > last.patches.shape[1]


@pytest.mark.parametrize("name", ["test_vit", "test_vit2"])
@torch.inference_mode()
def test_a_named_vision_transformer_shows_what_timm_shows(name: str, tmp_path: Path) -> None:
    """Ours runs the first, whose heads only its name tells; timm the second, which pools before its last norm."""
    model = net(name, tmp_path)
    torch.manual_seed(0)
    module = timm.create_model(name)
    module.reset_classifier(0)
    images = pixels(160)
    normal = (images / 255 - torch.tensor(model.mean).view(3, 1, 1)) / torch.tensor(model.std).view(3, 1, 1)
    tokens = model.tokens(images)
    torch.testing.assert_close(tokens.cls, module.eval()(normal), atol=1e-4, rtol=1e-4)
    assert tokens.patches.shape == (2, 100, model.width)
    assert model.forward.__qualname__.startswith("Backbone" if name == "test_vit" else "Net")  # type: ignore[attr-defined]


def test_a_model_that_cannot_be_opened_says_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match=r"/nowhere is no file, folder, run or name of timm's. Give WORK"):
        open_model("/nowhere", CPU)
    save_file({"w": torch.zeros(2)}, tmp_path / "odd.safetensors")
    with pytest.raises(RecipeError, match=r"odd.safetensors needs the weights of a vision transformer"):
        open_model(str(tmp_path / "odd.safetensors"), CPU)
    with pytest.raises(RecipeError, match=r"test_convnext needs weights under timm's names, got .*odd.safetensors"):
        open_model(f"test_convnext={tmp_path / 'odd.safetensors'}", CPU)


def test_positions_for_large_images_are_used_at_the_usual_size() -> None:
    def sizes(size: int, patch: int) -> int:
        return FeatureExtractor("m", "c", size, patch, 1, 1, (0.0,), (1.0,), lambda images, blocks: []).usual_size

    assert [sizes(518, 14), sizes(32, 8), sizes(256, 16), sizes(300, 32), sizes(8, 14)] == [224, 32, 224, 224, 14]
