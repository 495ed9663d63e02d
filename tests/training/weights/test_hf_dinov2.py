"""Weights of transformers' DINOv2 models compute in our model what they compute there."""

import json
from pathlib import Path
from typing import Any

import pytest

import shared.images.torchvision_cpu  # noqa: F401  before transformers, which imports torchvision

# isort: split
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import Dinov2Config, Dinov2Model, Dinov2WithRegistersConfig, Dinov2WithRegistersModel

from shared.errors import RecipeError
from tests.training.vits import images
from training.weights import read_weights

KINDS: list[dict[str, Any]] = [
    {},
    {"use_swiglu_ffn": True},
    {"num_register_tokens": 0},
    {"num_register_tokens": 3},
    {"num_register_tokens": 4, "use_swiglu_ffn": True},
]


@pytest.fixture(autouse=True, scope="module")
def quiet() -> None:
    transformers.utils.logging.disable_progress_bar()


def made(folder: Path, **settings: Any) -> Any:
    """A model of random numbers, saved as that library saves models."""
    registers = "num_register_tokens" in settings
    config = (Dinov2WithRegistersConfig if registers else Dinov2Config)(
        hidden_size=96, num_hidden_layers=2, num_attention_heads=3, image_size=32, patch_size=8, **settings
    )
    model: Any = (Dinov2WithRegistersModel if registers else Dinov2Model)(config)
    torch.manual_seed(0)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    model.eval().save_pretrained(folder)
    return model


@pytest.mark.parametrize("settings", KINDS, ids=str)
def test_a_folder_of_transformers_computes_what_it_does_there(settings: dict[str, Any], tmp_path: Path) -> None:
    """With registers at any size; without, that library resamples positions in another way than DINOv2 in timm."""
    theirs = made(tmp_path, **settings)
    read = read_weights(str(tmp_path))
    for side in (32, 48) if "num_register_tokens" in settings else (32,):
        with torch.no_grad():
            expected, seen = theirs(images(side)).last_hidden_state, read.backbone()(images(side))
        torch.testing.assert_close(seen.cls, expected[:, 0], atol=1e-4, rtol=0)
        torch.testing.assert_close(seen.patches, expected[:, 1 + read.model.registers :], atol=1e-4, rtol=0)
    assert read.model.heads == 3


def test_names_that_the_library_gives_in_memory_are_understood_too(tmp_path: Path) -> None:
    theirs = made(tmp_path, use_swiglu_ffn=True)
    saved = read_weights(str(tmp_path))
    save_file(theirs.state_dict(), tmp_path / "model.safetensors")
    assert "encoder.layer.0.attention.q_proj.weight" in load_file(tmp_path / "model.safetensors")
    assert read_weights(str(tmp_path / "model.safetensors")).content == saved.content


def test_a_model_in_several_files_with_a_classifier_is_read_by_its_index(tmp_path: Path) -> None:
    made(tmp_path)
    whole = read_weights(str(tmp_path))
    tensors = {f"dinov2.{name}": tensor for name, tensor in load_file(tmp_path / "model.safetensors").items()}
    tensors["classifier.weight"] = torch.zeros(5, 192)
    (tmp_path / "model.safetensors").unlink()
    where = {name: f"model-{number % 2}.safetensors" for number, name in enumerate(tensors)}
    for file in set(where.values()):
        save_file({name: tensors[name] for name in tensors if where[name] == file}, tmp_path / file)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}))
    assert read_weights(str(tmp_path)).content == whole.content


def test_colours_come_from_the_preprocessor_and_another_activation_is_refused(tmp_path: Path) -> None:
    made(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.5] * 3, "image_std": [0.25] * 3}))
    read = read_weights(str(tmp_path))
    assert (read.mean, read.std) == ((0.5,) * 3, (0.25,) * 3)
    made(tmp_path, hidden_act="relu")
    with pytest.raises(RecipeError, match="needs hidden_act to be gelu, got 'relu'"):
        read_weights(str(tmp_path))
