import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from shared.errors import RecipeError
from shared.params import Compute
from tests.training.eval.sets.drawn import class_folders, draw
from tests.training.together import as_ranks
from tests.training.vits import SIZE, in_dinov2_layout, invented_weights
from training.distributed import DistributedContext
from training.eval.backbone import vit
from training.eval.crops import CropSize, random_crop
from training.eval.evaluate import evaluate_models
from training.eval.features import ExtractedFeatures, Readout, extract
from training.eval.params import EvaluateParams
from training.eval.pixel_baseline import raw_pixels
from training.eval.sets import FolderSet

CPU = Compute(workers=1, device="cpu")
ALONE = DistributedContext(torch.device("cpu"), 0, 1)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A file of weights and class folders: 18 to learn from, 9 to ask about."""
    root = tmp_path_factory.mktemp("judging")
    save_file(in_dinov2_layout(invented_weights()), root / "dino.safetensors")
    class_folders(root / "pets" / "train", 6, ("ants", "bees", "cats"))
    class_folders(root / "pets" / "test", 3, ("ants", "bees", "cats"), first=500)
    return str(root / "dino.safetensors"), str(root / "pets")


def features(data: str, batch_size: int = 8, workers: int = 0, **choices: Any) -> ExtractedFeatures:
    labelled = FolderSet(url=data).opened(None)
    model = vit(invented_weights(), torch.device("cpu"))
    cut = CropSize(SIZE, 1.143, batch_size)
    reading = {"m": Readout(model, choices.pop("block", 2), choices.pop("pooling", "cls"))}
    found, _ = extract(labelled.images, np.arange(27), reading, ALONE, cut, workers=workers, **choices)
    return found["m"]


def test_features_do_not_depend_on_workers_nor_but_for_rounding_on_the_batch_size(files: tuple[str, str]) -> None:
    twice = np.array([0, 1, 9, 26])
    one = features(files[1], again=twice)
    other = features(files[1], workers=2, again=twice)
    assert one.again is not None
    assert other.again is not None
    assert torch.equal(one.pooled, other.pooled)
    assert torch.equal(one.again, other.again)
    assert one.again.shape == (4, one.pooled.shape[1])
    assert not torch.equal(one.pooled[twice], one.again)
    torch.testing.assert_close(features(files[1], batch_size=5).pooled, one.pooled, atol=1e-4, rtol=1e-4)


def test_tokens_are_read_after_the_block_and_pooled_as_asked(files: tuple[str, str]) -> None:
    cls, mean = features(files[1], block=1).pooled, features(files[1], block=1, pooling="patch_mean").pooled
    both = features(files[1], block=1, pooling="cls+patch_mean").pooled
    unit = torch.nn.functional.normalize
    torch.testing.assert_close(both, torch.cat([unit(cls, dim=1), unit(mean, dim=1)], dim=1))
    assert not torch.allclose(cls, features(files[1], block=2).pooled)


def scored(model: str, data: str, place: Path) -> None:
    """Score a model on a set, and write what this rank found."""
    evaluations = [{"kind": "knn", "k": 3, "also": []}, "linear", "effective_rank", "uniformity", "alignment"]
    asked = {"sets": [{"kind": "folder", "url": data}], "batch_size": 4, "evaluations": evaluations}
    facts = evaluate_models({"vit": model}, EvaluateParams.model_validate(asked), CPU, None)
    (place / os.environ.get("RANK", "alone")).write_text(json.dumps(facts["results"]))


def test_two_processes_score_as_one_to_the_bit(files: tuple[str, str], tmp_path: Path) -> None:
    scored(*files, tmp_path)
    as_ranks(scored, *files, tmp_path)
    alone, *together = ((tmp_path / rank).read_text() for rank in ("alone", "0", "1"))
    assert together == [alone, alone]
    scores = json.loads(alone)
    assert {row["evaluation"] for row in scores} == {"knn", "linear", "effective_rank", "uniformity", "alignment"}
    assert {(row["protocol"].get("bank"), row["protocol"].get("queries")) for row in scores[:2]} == {(18, 9)}


def judge(files: tuple[str, str], **fields: Any) -> dict[str, Any]:
    params = EvaluateParams.model_validate({"sets": [{"kind": "folder", "url": files[1]}], **fields})
    return evaluate_models({"vit": files[0]}, params, CPU, None)


def test_models_stand_beside_raw_pixels_and_what_a_set_cannot_tell_is_said(files: tuple[str, str]) -> None:
    facts = judge(files, evaluations=[{"kind": "knn", "k": 3, "also": []}, "copy_detection"], layer=1)
    rows = {row["model"]: row for row in facts["results"]}
    assert rows.keys() == {"vit", "pixels"}
    assert rows["vit"]["set"] == "pets"
    assert rows["vit"]["protocol"] | {"layer": 1, "image_size": SIZE, "features": "CLS"} == rows["vit"]["protocol"]
    assert rows["pixels"]["protocol"]["features"] == "16×16 pixels"
    assert facts["left_out"] == [{"set": "pets", "note": "copy_detection was left out: it needs copies"}]
    assert judge(files, evaluations=["effective_rank"], baselines=False)["results"][0]["model"] == "vit"


def test_limits_draw_evenly_and_are_in_the_protocol(files: tuple[str, str]) -> None:
    (row,) = judge(files, evaluations=["effective_rank"], baselines=False, bank_limit=7)["results"]
    assert row["protocol"]["images"] == 7
    assert row["protocol"]["bank_drawn"] == "7 of 18 images, evenly"


def test_a_wish_that_a_model_cannot_meet_names_the_model(files: tuple[str, str]) -> None:
    with pytest.raises(RecipeError, match=r"at most the 2 blocks of .*dino.safetensors, got 3. Set it to 0"):
        judge(files, layer=3)
    with pytest.raises(RecipeError, match=r"a multiple of .*dino.safetensors's patch size 8, got 30. Set it to 24"):
        judge(files, image_size=30)


def test_an_image_that_no_worker_can_decode_is_named_without_a_traceback(
    tmp_path: Path, files: tuple[str, str]
) -> None:
    class_folders(tmp_path / "train", 2)
    class_folders(tmp_path / "test", 2)
    (tmp_path / "test" / "dogs" / "001.jpg").write_bytes(b"broken")
    with pytest.raises(RecipeError, match=r"^An evaluation needs every image .* got .*test/dogs/001.jpg: ") as told:
        judge((files[0], str(tmp_path)))
    assert "Traceback" not in str(told.value)


def test_the_second_view_is_a_crop_of_the_image_that_its_number_decides(tmp_path: Path) -> None:
    draw(tmp_path / "a.png", 1, "PNG")
    with Image.open(tmp_path / "a.png") as image:
        first, again, other = (random_crop(image.convert("RGB"), 24, key) for key in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.shape == (3, 24, 24)


def test_raw_patches_are_colours_and_places() -> None:
    pixels = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    pixels[:, 0, :8, 8:] = 255
    patches_N = raw_pixels(16, 8).tokens(pixels).patches[0]
    assert patches_N.shape == (4, 5)
    assert patches_N[:, 0].argmax() == 1
    assert patches_N[:, 3:].tolist() == [[-1, -1], [-1, 1], [1, -1], [1, 1]]
