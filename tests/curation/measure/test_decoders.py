import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from conftest import encoded, picture

from curation.measure.decoders import each
from curation.measure.measure import measure_images
from curation.params import MeasureParams
from shared.catalog import IMAGES
from shared.errors import UserError
from shared.launch.gpus import CORES, VISIBLE


def process_and_gpus(numbers: Iterable[int]) -> list[tuple[int, int, str | None]]:
    return [(number, os.getpid(), os.environ.get(VISIBLE)) for number in numbers]


def refused(numbers: Iterable[int]) -> list[None]:
    raise UserError(f"{next(iter(numbers))} is no picture")


def listing(folder: Path, files: list[bytes]) -> pa.Table:
    rows = []
    for i, data in enumerate(files):
        (folder / str(i)).write_bytes(data)
        rows.append({"uri": str(i), "reader": "range", "path": str(folder / str(i)), "offset": 0, "length": len(data)})
    return pa.Table.from_pylist(rows, IMAGES.schema)


def network(folder: Path) -> str:
    torch.manual_seed(0)
    layers = torch.nn.Conv2d(3, 32, 7, stride=4), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten()
    torch.jit.script(torch.nn.Sequential(*layers).eval()).save(str(folder / "tiny.pt"))
    return str(folder / "tiny.pt")


def test_decoders_keep_the_order_and_see_no_gpu(monkeypatch):
    monkeypatch.setenv(CORES, "2")
    results = list(each(process_and_gpus, iter(range(70))))
    assert [number for number, _, _ in results] == list(range(70))
    assert {gpus for _, _, gpus in results} == {""}
    assert os.getpid() not in {process for _, process, _ in results}


def test_a_process_with_one_core_decodes_by_itself():
    assert {process for _, process, _ in each(process_and_gpus, range(3))} == {os.getpid()}


def test_without_decoders_no_file_is_read_before_its_turn():
    read: list[int] = []
    files = (read.append(number) or number for number in range(70))
    assert list(each(lambda some: [(number, len(read)) for number in some], files)) == [(i, i + 1) for i in range(70)]


def test_an_error_in_a_decoder_is_the_error_of_the_work(monkeypatch):
    monkeypatch.setenv(CORES, "2")
    with pytest.raises(UserError, match="0 is no picture"):
        list(each(refused, range(3)))


def test_a_table_measured_by_decoders_beside_a_network_is_the_same_to_the_bit(monkeypatch, tmp_path):
    path = network(tmp_path)
    params = MeasureParams.model_validate({"embedder": f"torchscript:{path}"})
    images = listing(tmp_path, [encoded(picture(i)) for i in range(40)] + [b"no picture"])
    alone = measure_images(images, params)
    monkeypatch.setenv(CORES, "2")
    assert measure_images(images, params).equals(alone)
    assert alone["vector"].null_count == 1


def test_bf16_gives_other_vectors_that_point_the_same_way_whatever_the_company(tmp_path):
    path = network(tmp_path)
    exact, short = (
        MeasureParams.model_validate(
            {"embedder": {"kind": "torchscript", "path": path, "precision": precision}}
        ).embedder
        for precision in ("fp32", "bf16")
    )
    images = [picture(i) for i in range(4)]
    vectors, shortened = exact.embed(images), short.embed(images)
    assert not np.array_equal(vectors, shortened)
    assert ((vectors * shortened).sum(1) > 0.999).all()
    assert np.array_equal(short.embed(images[::-1])[::-1], shortened)
    assert "precision" in short.identity()
    assert "precision" not in exact.identity()
