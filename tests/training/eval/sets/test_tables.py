from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared.errors import RecipeError
from tests.training.eval.sets.drawn import draw
from training.eval.sets import CopySet, ManifestSet

ROWS = "path,set,split,class\n" + "".join(
    f"pack/{name}/{split}/{kind}{number}.jpg,{name},{split},{kind}\n"
    for name in ("pets", "birds")
    for split in ("train", "test")
    for kind in "ab"
    for number in range(2)
)


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    """A table inside the folder that its paths start above."""
    (tmp_path / "pack").mkdir()
    table = tmp_path / "pack" / "labels.csv"
    table.write_text(ROWS)
    for seed, line in enumerate(ROWS.splitlines()[1:]):
        draw(tmp_path / line.split(",")[0], seed)
    return table


def test_a_table_of_several_sets_gives_one_of_them(pack: Path) -> None:
    found = ManifestSet(url=str(pack), label="class", where={"set": "birds"}).opened(None)
    assert (found.name, found.classes, len(found.images)) == ("birds", ("a", "b"), 8)
    assert (len(found.bank), len(found.queries), found.split) == (4, 4, "column split")
    assert found.images.pixels(0).size == (48, 36)


def test_parquet_says_the_same_as_csv_and_labels_that_are_absent_leave_images_out(pack: Path) -> None:
    lines = [line.split(",") for line in ROWS.splitlines()]
    columns = {name: [line[place] for line in lines[1:]] for place, name in enumerate(lines[0])}
    columns["class"][0] = None  # type: ignore[call-overload]
    pq.write_table(pa.table(columns), pack.with_suffix(".parquet"))
    found = ManifestSet(url=str(pack.with_suffix(".parquet")), label="class", where={"set": "pets"}).opened(None)
    whole = ManifestSet(url=str(pack), label="class", where={"set": "pets"}).opened(None)
    assert found.queries.tolist() == whole.queries.tolist()
    assert found.bank.tolist() == whole.bank.tolist()[1:]


def test_without_a_split_column_a_tenth_is_held_out(tmp_path: Path) -> None:
    lines = ["path,label"]
    for number in range(60):
        draw(tmp_path / f"{number}.jpg", number)
        lines.append(f"{number}.jpg,{'ab'[number % 2]}")
    (tmp_path / "list.csv").write_text("\n".join(lines))
    found = ManifestSet(url=str(tmp_path / "list.csv")).opened(None)
    assert 0 < len(found.queries) < 20
    assert "hash" in found.split


def test_a_table_that_cannot_be_used_says_what_it_has(pack: Path) -> None:
    def refused(match: str, **fields: object) -> None:
        with pytest.raises(RecipeError, match=match):
            ManifestSet.model_validate({"url": str(pack), "label": "class"} | fields).opened(None)

    refused(r"needs a column 'label', got .*labels.csv with path, set, split, class", label="label")
    refused(r"got none of 16. It has set: birds, pets", where={"set": "fish"})
    refused(r"needs train or test \(or val\) in its column 'set', got 'pets'", split="set")
    refused(r"needs a CSV or Parquet file, got .*nowhere.csv, which is none", url=str(pack.with_name("nowhere.csv")))
    (pack.parent / "birds" / "test" / "b1.jpg").unlink()
    refused(r"names the image pack/birds/test/b1.jpg, which is not in .*Say where paths start: root")
    refused(r"names the image pack/pets/train/a0.jpg, which is not in", root=str(pack.parent))


def test_pairs_of_copies_are_rows_and_what_counts_is_said(tmp_path: Path) -> None:
    for seed, name in enumerate("abcde"):
        draw(tmp_path / "images" / f"{name}.jpg", seed)
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("a,b,relation\nc.jpg,a.jpg,copy\na.jpg,c.jpg,copy\nb.jpg,d.jpg,near_shot\nd.jpg,e.jpg,different\n")
    found = CopySet(url=str(tmp_path / "images")).opened(None)
    assert found.copies.tolist() == [[0, 2]]
    assert found.ignored.tolist() == [[1, 3]]
    assert (len(found.bank), len(found.queries), found.has("copies")) == (5, 0, True)
    other = CopySet(url=str(tmp_path / "images"), count=("copy", "near_shot"), ignore=()).opened(None)
    assert (other.copies.tolist(), other.ignored.shape) == ([[0, 2], [1, 3]], (0, 2))
    with pytest.raises(RecipeError, match="needs pairs whose relation is twin, got: copy, different, near_shot"):
        CopySet(url=str(tmp_path / "images"), count=("twin",)).opened(None)
    pairs.write_text("a,b,relation\na.jpg,z.jpg,copy\n")
    with pytest.raises(RecipeError, match=r"names the image z.jpg, which is not in .*images"):
        CopySet(url=str(tmp_path / "images")).opened(None)
    assert found.copies.dtype == np.int64
