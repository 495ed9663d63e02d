from pathlib import Path

import datasets
import pytest
from conftest import encoded, picture

from shared.errors import RecipeError, SourceError
from training.eval.sets import HuggingFaceSet


def made(first: int, count: int) -> datasets.Dataset:
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["cats", "dogs"])})
    cells = [{"bytes": encoded(picture(first + n, (40, 30)), "PNG"), "path": None} for n in range(count)]
    return datasets.Dataset.from_dict({"image": cells, "label": [n % 2 for n in range(count)]}, features=features)


@pytest.mark.parametrize("layout", ["save_to_disk", "parquet"])
def test_the_splits_of_a_dataset_are_read_without_its_library(layout: str, tmp_path: Path) -> None:
    whole = datasets.DatasetDict({"train": made(0, 6), "test": made(100, 4)})
    if layout == "save_to_disk":
        whole.save_to_disk(str(tmp_path / "pets"))
    else:
        (tmp_path / "pets" / "data").mkdir(parents=True)
        for name, part in whole.items():
            part.to_parquet(tmp_path / "pets" / "data" / f"{name}-00000-of-00001.parquet", batch_size=4)
    found = HuggingFaceSet(url=str(tmp_path / "pets")).opened(None)
    assert (found.name, found.classes, len(found.bank), len(found.queries)) == ("pets", ("cats", "dogs"), 6, 4)
    for rows, part in ((found.bank, whole["train"]), (found.queries, whole["test"])):
        for row, item in zip(rows, part, strict=True):
            assert found.images.pixels(row).tobytes() == item["image"].tobytes()
            assert found.classes[found.label[row]] == part.features["label"].int2str(item["label"])


def test_one_split_is_cut_by_content_and_columns_may_be_named(tmp_path: Path) -> None:
    made(0, 60).rename_columns({"image": "photo", "label": "animal"}).save_to_disk(str(tmp_path))
    found = HuggingFaceSet(url=str(tmp_path), label="animal").opened(None)
    assert 0 < len(found.queries) < 20
    assert "hash" in found.split
    with pytest.raises(RecipeError, match=r"needs a column 'label' in .*arrow, got photo, animal. Name it: label"):
        HuggingFaceSet(url=str(tmp_path)).opened(None)
    with pytest.raises(SourceError, match=r"got picture of photo .* Set `column` to one of: photo"):
        HuggingFaceSet(url=str(tmp_path), label="animal", column="picture").opened(None)


def test_what_is_no_dataset_is_told(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"needs .parquet or .arrow files, got .* without any"):
        HuggingFaceSet(url=str(tmp_path)).opened(None)
    datasets.Dataset.from_dict({"text": ["a"]}).to_parquet(tmp_path / "train.parquet")
    with pytest.raises(SourceError, match=r"needs a column of image bytes in .* got text .string.. Set `column` to"):
        HuggingFaceSet(url=str(tmp_path)).opened(None)


def test_a_cell_that_does_not_decode_is_named_by_row_and_file(tmp_path: Path) -> None:
    for name in ("train", "test"):
        rows = [{"image": {"bytes": b"broken", "path": None}, "label": word} for word in ("a", "b")]
        datasets.Dataset.from_list(rows).to_parquet(tmp_path / f"{name}.parquet")
    with pytest.raises(RecipeError, match=r"got row 3 of the dataset, in .*train.parquet: "):
        HuggingFaceSet(url=str(tmp_path)).opened(None).images.pixels(3)
