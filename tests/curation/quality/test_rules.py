"""Rules of models: heads on stored vectors, and models that look at pixels while images are measured."""

import shutil

import numpy as np
import onnx
import pyarrow as pa
import pytest
import torch
from conftest import encoded, picture
from PIL import Image
from pydantic import ValidationError

from curation.measure.measure import measure_images
from curation.params import CurationParams, MeasureParams, QualityParams
from curation.quality import Dark, LowAesthetic, Nsfw, scorers_of
from curation.quality.apply import judge
from curation.stages import quality
from shared.catalog import IMAGES, MEASUREMENTS
from shared.errors import RecipeError, WorkFailedError


class Brightness(torch.nn.Module):
    """Two numbers for each image, the second its mean brightness, 0 to 1."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        bright = images.mean((1, 2, 3))
        return torch.stack([1 - bright, bright], 1)


@pytest.fixture
def looks(tmp_path):
    """A rule's settings for a model that sees how bright an image is."""
    path = tmp_path / "brightness.pt"
    torch.jit.script(Brightness()).save(str(path))
    return {"model": str(path), "input": "pixels", "size": 16, "mean": (0, 0, 0), "std": (1, 1, 1)}


@pytest.fixture
def head(tmp_path):
    """An ONNX head that adds up the first half of a vector of 4."""
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["x", "w"], ["y"])],
        "head",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 4])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n", 1])],
        [onnx.numpy_helper.from_array(np.array([[1], [1], [0], [0]], np.float32), "w")],
    )
    opset = onnx.helper.make_opsetid("", 17)
    path = tmp_path / "head.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=9), str(path))
    return str(path)


def measured(tmp_path, files: list[bytes], rules=()) -> pa.Table:
    rows = []
    for i, data in enumerate(files):
        path = tmp_path / f"{i}.png"
        path.write_bytes(data)
        rows.append({"uri": str(path), "reader": "range", "path": str(path), "offset": 0, "length": len(data)})
    images = pa.Table.from_pylist(rows, IMAGES.schema)
    return measure_images(images, MeasureParams(scorers=scorers_of(rules)))


def vectors(*rows: list[float] | None) -> pa.Table:
    empty = dict.fromkeys(MEASUREMENTS.schema.names)
    return pa.Table.from_pylist(
        [empty | {"vector": row and np.array(row, np.float16)} for row in rows], MEASUREMENTS.schema
    )


def test_a_head_judges_stored_vectors_and_reads_no_pixel(head):
    table = vectors([0.5, 0.25, 1, 1], None, [0.25, 0, 1, 0])
    found = judge(table, (LowAesthetic(model=head, threshold=0.5),)).to_pylist()
    assert [row["reason"] for row in found] == [None, None, "low_aesthetic"]
    assert (found[2]["value"], found[2]["threshold"]) == (0.25, 0.5)
    assert judge(table, (Nsfw(model=head),))["reason"].to_pylist() == ["nsfw", None, None]
    assert judge(vectors(None), (Nsfw(model=head),))["reason"].to_pylist() == [None]


def test_a_head_for_other_vectors_is_a_mistake(head):
    with pytest.raises(RecipeError, match=r"as it was exported for, got \[1, 3\].*belongs to these embeddings"):
        judge(vectors([1, 0, 0]), (Nsfw(model=head),))
    with pytest.raises(RecipeError, match=r"returns 1 numbers for each image, got output 3. Set 0 to 0"):
        judge(vectors([1, 0, 0, 0]), (Nsfw(model=head, output=3),))


def test_a_model_that_looks_scores_while_measuring_and_its_threshold_is_free(tmp_path, looks):
    files = [encoded(Image.new("RGB", (40, 30), (v, v, v)), "PNG") for v in (0, 51, 204)] + [b"broken"]
    strict, lenient = Nsfw(**looks), Nsfw(**looks, threshold=0.1)
    table = measured(tmp_path, files, [strict])
    assert table["scores"].to_pylist() == [[0], [pytest.approx(0.2)], [pytest.approx(0.8)], None]
    assert judge(table, (strict,))["reason"].to_pylist() == [None, None, "nsfw", None]
    assert judge(table, (lenient,))["reason"].to_pylist() == [None, "nsfw", "nsfw", None]
    assert scorers_of([strict]) == scorers_of([lenient])
    assert quality(table, params=QualityParams(rules=(strict,)))["value"].to_pylist()[2] == pytest.approx(0.8)


def test_each_rule_finds_its_own_column_whatever_the_order(tmp_path, looks):
    bright, dark = Nsfw(**looks), LowAesthetic(**looks | {"output": 0, "threshold": 0.9})
    assert scorers_of([bright, Dark(), dark]) == scorers_of([dark, bright, bright])
    table = measured(tmp_path, [encoded(Image.new("RGB", (9, 9), (204, 204, 204)), "PNG")], [bright, dark])
    for rules, reason, value in (((bright, dark), "nsfw", 0.8), ((dark, bright), "low_aesthetic", 0.2)):
        (row,) = judge(table, rules).to_pylist()
        assert (row["reason"], row["value"]) == (reason, pytest.approx(value))


def test_scores_that_were_not_measured_are_no_silent_pass(tmp_path, looks):
    table = measured(tmp_path, [encoded(picture(1), "PNG")])
    assert table["scores"].to_pylist() == [None]
    with pytest.raises(WorkFailedError, match=r"Rule nsfw needs 1 measured scores .* run `dinoflow measure`"):
        judge(table, (Nsfw(**looks),))


def test_measuring_takes_its_scorers_from_the_rules(looks, head):
    rules = [{"kind": "nsfw", **looks}, {"kind": "low_aesthetic", "model": head}]
    params = CurationParams.model_validate({"quality": {"rules": rules}})
    assert [scorer.path for scorer in params.measure.scorers] == [looks["model"]]
    again = CurationParams.model_validate(params.model_dump())
    assert again.measure == params.measure
    other = CurationParams.model_validate({"quality": {"rules": [rules[0] | {"threshold": 0.9}]}})
    assert other.measure.identity() == params.measure.identity()
    assert other.quality.identity() != params.quality.identity()
    with pytest.raises(ValidationError, match=r"set the scorers at curation.quality.rules"):
        CurationParams.model_validate({"measure": {"scorers": [{"path": head}]}})


def test_a_rule_is_named_by_what_its_model_holds(tmp_path, looks, head):
    moved = str(shutil.copy(looks["model"], tmp_path / "moved.pt"))
    assert Nsfw(**looks | {"model": moved}).identity() == Nsfw(**looks).identity()
    assert Nsfw(model=head).identity() != Nsfw(model=looks["model"]).identity()
    assert scorers_of([Nsfw(**looks | {"model": moved})])[0].identity() == scorers_of([Nsfw(**looks)])[0].identity()


def test_a_rule_without_its_model_is_refused_before_work_starts():
    with pytest.raises(ValidationError, match="needs a file that is there"):
        Nsfw(model="/nowhere/head.onnx")
    with pytest.raises(ValidationError, match="Field required"):
        LowAesthetic()
