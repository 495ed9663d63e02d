import json
import math
import shutil
from importlib import util
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from conftest import encoded, picture
from PIL import Image
from pydantic import TypeAdapter, ValidationError
from threadpoolctl import threadpool_limits

import shared.images.torchvision_cpu  # noqa: F401  before timm, which imports torchvision

# isort: split
import timm

from curation.embedders import Embedder
from curation.embedders.blur import blurred_cells
from curation.embedders.descriptor import BLUR, SIDE, STEPS, DescriptorEmbedder
from curation.models import files
from curation.models.files import content
from curation.params import CurationParams
from shared.errors import RecipeError
from shared.images.picture import Picture
from training.model.student_teacher import Student, make_ema_teacher
from training.params import PretrainParams
from training.runs.checkpoint import State, save
from training.runs.run_folder import RunFolder

READ = TypeAdapter(Embedder)
IMAGES = [picture(i, (60 + 9 * i, 50)) for i in range(5)]


def embedder(value):
    return READ.validate_python(value)


class Tiny(torch.nn.Module):
    """Images to vectors; `seed` makes another one, `pooled` False forgets the pooling."""

    def __init__(self, seed: int = 0, pooled: bool = True) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.convolution = torch.nn.Conv2d(3, 12, 5, stride=4)
        self.pooled = pooled

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = torch.relu(self.convolution(images))
        return features.mean((2, 3)) if self.pooled else features


def torchscript(path: Path, module: torch.nn.Module | None = None) -> str:
    torch.jit.script((module or Tiny()).eval()).save(str(path))
    return str(path)


def onnx_file(path: Path, side: int = 32, batch: int | str = "n") -> str:
    """Pixels flattened and multiplied by random weights."""
    weights = np.random.default_rng(0).standard_normal((3 * side * side, 12), dtype=np.float32)
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Flatten", ["x"], ["f"]), onnx.helper.make_node("MatMul", ["f", "w"], ["y"])],
        "tiny",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [batch, 3, side, side])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [batch, 12])],
        [onnx.numpy_helper.from_array(weights, "w")],
    )
    opset = onnx.helper.make_opsetid("", 17)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=9), str(path))
    return str(path)


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory) -> Path:
    """A run with two checkpoints, as pre-training leaves it."""
    params = PretrainParams.model_validate(
        {
            "model": {"patch_size": 8, "width": 32, "depth": 2, "heads": 2, "layer_scale": 0.1},
            "crops": {"global_size": 32, "local_size": 16},
            "objective": {"prototypes": 32, "head_hidden": 32, "bottleneck": 16},
        }
    )
    folder = RunFolder(tmp_path_factory.mktemp("workspace") / "runs" / "first")
    folder.store.write("config.json", json.dumps({"params": params.model_dump(mode="json")}))
    for step in (1, 2):
        torch.manual_seed(step)
        student = Student(params)
        torch.nn.init.normal_(student.backbone.vit.cls_token)
        optimizer, scaler = torch.optim.SGD(student.parameters()), torch.amp.GradScaler("cpu", enabled=False)
        state = State(student, make_ema_teacher(student), torch.nn.Module(), optimizer, scaler, step=step)
        save(folder, state, keep=2, summary=None)
    return folder.path


@pytest.fixture
def each_kind(tmp_path, run_folder):
    weights = tmp_path / "resnet.pth"
    torch.save(timm.create_model("test_resnet").state_dict(), weights)
    return [
        "descriptor",
        "efficientnet-lite0",
        {"kind": "torchscript", "path": torchscript(tmp_path / "tiny.pt"), "size": 32},
        {"kind": "onnx", "path": onnx_file(tmp_path / "tiny.onnx"), "size": 32},
        {"kind": "timm", "model": "test_resnet", "weights": str(weights)},
        f"run:{run_folder}",
    ]


def test_every_embedder_gives_unit_vectors_that_do_not_depend_on_the_company(each_kind):
    for value in each_kind:
        one = embedder(value)
        vectors = one.embed(IMAGES)
        assert vectors.dtype == np.float32, value
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
        assert np.array_equal(one.embed(IMAGES[::-1])[::-1], vectors), value
        assert np.array_equal(np.concatenate([one.embed([image]) for image in IMAGES]), vectors), value
        assert 0 < one.candidate_cosine <= one.copy_cosine < 1
        assert all(sorted(turn) == list(range(vectors.shape[1])) for turn in one.orientations())


def test_batches_of_one_size_are_filled_up_and_cut_off_again():
    from curation.models.network import Network

    seen = []
    network = Network("sum", lambda batch: seen.append(len(batch)) or batch.sum((1, 2))[:, None], batch=4)
    rows = network([np.full((2, 2), i) for i in range(6)])
    assert seen == [4, 4]
    assert rows[:, 0].tolist() == [0, 4, 8, 12, 16, 20]


def test_a_vector_without_direction_is_zero():
    from curation.models.network import unit

    rows = np.array([[3, 4], [0, 0], [np.nan, 1], [np.inf, 1]], np.float32)
    np.testing.assert_allclose(unit(rows), [[0.6, 0.8], [0, 0], [0, 0], [0, 0]])


def test_embedding_leaves_the_number_of_threads_as_it_was(tmp_path):
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        embedder({"kind": "torchscript", "path": torchscript(tmp_path / "tiny.pt"), "size": 32}).embed(IMAGES)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_a_file_is_known_by_its_content_and_not_by_its_path(tmp_path, run_folder):
    first = embedder(f"torchscript:{torchscript(tmp_path / 'a.pt')}")
    moved = embedder(f"torchscript:{shutil.copy(first.path, tmp_path / 'b.pt')}")
    assert moved.identity() == first.identity()
    before, name = first.embed(IMAGES), first.identity()
    torchscript(tmp_path / "a.pt", Tiny(seed=1))
    assert first.identity() != name
    assert not np.array_equal(first.embed(IMAGES), before)
    assert np.array_equal(moved.embed(IMAGES), before)

    away = shutil.copytree(run_folder, tmp_path / "away")
    assert embedder(f"run:{away}").identity() == embedder(f"run:{run_folder}").identity()
    assert embedder({"kind": "run", "path": str(away), "step": 1}).identity() != embedder(f"run:{away}").identity()


def test_the_newest_checkpoint_is_chosen_once_when_the_recipe_is_read(run_folder):
    one = embedder(f"run:{run_folder}")
    assert (one.step, one.size) == (2, 32)
    assert READ.validate_python(one.model_dump()) == one


def test_efficientnet_has_the_weights_of_its_package():
    from curation.embedders.efficientnet import PACKAGE, WEIGHTS

    origin = util.find_spec(PACKAGE)
    weights = torch.load(Path(origin.origin).parent / WEIGHTS, weights_only=True)
    shapes = [tuple(value.shape) for value in timm.create_model("tf_efficientnet_lite0").state_dict().values()]
    assert [tuple(value.shape) for value in weights.values()] == shapes
    image = picture(3, (400, 300))
    near, far = image.resize((200, 150)), picture(4, (400, 300))
    vectors = embedder("efficientnet-lite0").embed([image, near, far])
    assert vectors[0] @ vectors[1] > 0.9 > vectors[0] @ vectors[2]


def test_timm_takes_another_size_and_all_of_a_file(tmp_path):
    vit = timm.create_model("test_vit", num_classes=0)
    torch.save(vit.state_dict(), tmp_path / "vit.pth")
    given = {"kind": "timm", "model": "test_vit", "weights": str(tmp_path / "vit.pth")}
    assert embedder(given | {"size": 64}).embed(IMAGES).shape == (5, vit.num_features)
    with pytest.raises(RecipeError, match=r"multiple of test_vit's patch size 16, got 100. Set it to 96"):
        embedder(given | {"size": 100}).embed(IMAGES)
    with pytest.raises(RecipeError, match=r"needs the weights of test_resnet, got .*vit.pth: .*Missing key"):
        embedder(given | {"model": "test_resnet"}).embed(IMAGES)
    (tmp_path / "vit.pth").write_bytes(b"no weights")
    with pytest.raises(RecipeError, match=r"needs the weights of test_vit, got .*vit.pth"):
        embedder(given).embed(IMAGES)


def test_weights_that_cannot_be_downloaded_are_a_mistake_with_a_way_out(monkeypatch):
    def offline(*_, **__):
        raise FileNotFoundError("no network")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(RecipeError, match=r"weights of resnet10t, and they cannot be downloaded.*give a file"):
        embedder("timm:resnet10t").embed(IMAGES)


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("sscd", "does not match any of the expected tags: 'descriptor', 'efficientnet-lite0', 'torchscript'"),
        ("torchscript:/nowhere/sscd.pt", "needs a file that is there, got /nowhere/sscd.pt"),
        ({"kind": "timm", "model": "resnet18", "weights": "/nowhere.pth"}, "needs a file that is there"),
        (f"onnx:{__file__}", "needs a file whose name ends in .onnx"),
        ("timm:vit_small_patch14_dinov9", "did you mean vit_small_patch14_dinov2"),
        ("timm:efficientnet_lite1", "timm offers no weights for 'efficientnet_lite1'; give a file"),
        ("run:/nowhere", "needs a run with a checkpoint, got /nowhere. Give WORKSPACE/runs/RUN"),
    ],
)
def test_what_is_missing_is_refused_before_work_starts(value, complaint):
    with pytest.raises(ValidationError, match=complaint):
        embedder(value)


def test_a_step_or_a_size_that_a_run_does_not_have_is_refused(run_folder):
    with pytest.raises(ValidationError, match=r"needs a step with a checkpoint, got 7. .* has 1, 2"):
        embedder({"kind": "run", "path": str(run_folder), "step": 7})
    with pytest.raises(ValidationError, match="size must be a multiple of the run's patch size 8, got 30"):
        embedder({"kind": "run", "path": str(run_folder), "size": 30})


def test_a_missing_package_is_named_with_its_extra(monkeypatch, tmp_path):
    path = onnx_file(tmp_path / "tiny.onnx")
    monkeypatch.setattr(files, "find_spec", lambda name: None)
    for value, extra in (("efficientnet-lite0", "efficientnet"), (f"onnx:{path}", "onnx")):
        with pytest.raises(ValidationError, match=rf"which is not installed; run `pip install 'dinoflow\[{extra}\]'`"):
            embedder(value)


def test_a_model_that_does_not_fit_is_a_mistake_that_says_how(tmp_path):
    unpooled = torchscript(tmp_path / "unpooled.pt", Tiny(pooled=False))
    with pytest.raises(RecipeError, match=r"one row of numbers for each input, \[1, columns\], got \[1, 12, 7, 7\]"):
        embedder({"kind": "torchscript", "path": unpooled, "size": 32}).embed(IMAGES)
    fixed = onnx_file(tmp_path / "tiny.onnx", side=32, batch=1)
    assert embedder({"kind": "onnx", "path": fixed, "size": 32}).embed(IMAGES).shape == (5, 12)
    with pytest.raises(RecipeError, match=r"as it was exported for, got \[1, 3, 40, 40\]"):
        embedder({"kind": "onnx", "path": fixed, "size": 40}).embed(IMAGES)
    for name, kind in (("junk.pt", "a TorchScript file"), ("junk.onnx", "an ONNX file")):
        (tmp_path / name).write_bytes(b"no model")
        value = {"kind": "onnx" if name.endswith("onnx") else "torchscript", "path": str(tmp_path / name)}
        with pytest.raises(RecipeError, match=f"needs to be {kind}"):
            embedder(value).embed(IMAGES)


def test_the_short_form_is_the_long_one_and_goes_to_measuring_too(tmp_path):
    path = torchscript(tmp_path / "tiny.pt")
    params = CurationParams.model_validate({"dedup": {"near": {"embedder": f"torchscript:{path}"}}})
    assert params.measure.embedder == embedder({"kind": "torchscript", "path": path})
    assert params.measure.identity()["embedder"] == {"kind": "torchscript", "path": content(path)}
    assert embedder("descriptor") == DescriptorEmbedder()


def test_turned_and_mirrored_images_are_permutations_of_the_descriptor():
    one, image = DescriptorEmbedder(), picture(7, (96, 96))
    turned = [image.transpose(t) for t in Image.Transpose]
    base, *others = one.embed([image, *turned])
    for vector in others:
        assert max(float(vector[turn] @ base) for turn in one.orientations()) > 0.999
    turns = {tuple(turn) for turn in one.orientations()} | {tuple(range(SIDE * SIDE))}
    assert len(turns) == 8


def test_a_descriptor_is_what_whole_numbers_say_in_whatever_order_they_are_summed():
    embedder = DescriptorEmbedder()
    prepared = [embedder.prepared(Picture(picture(i, (80, 70)))) for i in range(20)]
    for vector, levels in zip(embedder.vectors(prepared), prepared, strict=True):
        steps = np.rint(blurred_cells(levels[None], BLUR, SIDE).ravel() * STEPS).astype(int).tolist()
        count, total = len(steps), sum(steps)
        length = math.sqrt(count * (count * sum(s * s for s in steps) - total * total))
        assert vector.tolist() == [np.float32((count * s - total) / length) for s in steps]


def test_a_flat_image_has_no_direction():
    assert not DescriptorEmbedder().embed([Image.new("RGB", (50, 50), "teal")]).any()


def test_a_recoded_copy_is_near_under_the_descriptor(tmp_path):
    image = picture(2, (300, 200))
    (tmp_path / "copy.jpg").write_bytes(encoded(image, quality=40))
    first, second = DescriptorEmbedder().embed([image, Image.open(tmp_path / "copy.jpg")])
    assert first @ second > DescriptorEmbedder.copy_cosine


@pytest.mark.parametrize(("sigma", "cells"), [(2.0, 32), (6.0, 32)])
def test_a_blur_is_exact_whatever_the_order_of_its_sums(sigma, cells):
    levels = np.random.default_rng(0).integers(0, 256, (40, 128, 128), dtype=np.uint8)
    blurred = blurred_cells(levels, sigma, cells)
    assert np.array_equal(blurred_cells(levels[:, :, ::-1], sigma, cells)[:, :, ::-1], blurred)
    turned = blurred_cells(levels.swapaxes(1, 2), sigma, cells).swapaxes(1, 2)
    assert np.array_equal(turned, blurred)  # columns first
    with threadpool_limits(1):
        assert np.array_equal(blurred_cells(levels, sigma, cells), blurred)
    assert blurred_cells(np.full((1, 128, 128), 255, np.uint8), sigma, cells) == pytest.approx(255, abs=1e-2)
