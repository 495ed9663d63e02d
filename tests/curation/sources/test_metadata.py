"""What a recipe keeps of an image beside its label travels into the manifest and into the shard; by default nothing."""

import json
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import ExifTags, Image
from PIL.TiffImagePlugin import IFDRational

from curation.params import CurationParams
from curation.publish.exif import read_exif
from curation.sources import FolderSource, ParquetSource
from curation.sources.listing import Listed
from flows import pipeline
from flows.recipe.recipe import Recipe
from flows.session import Session
from shared.dataset_version import Published
from shared.launch.executors import Inline
from shared.launch.progress import Silent
from shared.storage import Store
from tests.curation.sources.trees import Tree, found, pack, photo, write


def sample(stem: str, seed: int) -> Tree:
    return {
        f"{stem}.jpg": photo(seed),
        f"{stem}.txt": f"caption {seed}\n".encode(),
        f"{stem}.json": json.dumps({"license": "CC0", "n": seed}).encode(),
        f"{stem}.words.txt": b"more",
        f"{stem}.npy": b"\x93NUMPY\x01\xff",
    }


def kept(source: Listed | Path, root: Path, *metadata: str) -> list[Any]:
    texts = found(source, root, metadata=metadata).table["metadata"].to_pylist()
    return [text and json.loads(text) for text in texts]


@pytest.mark.parametrize("form", ["folder", "tar", "zip"])
def test_sidecars_are_kept_by_their_endings(form: str, tmp_path: Path) -> None:
    tree = sample("a/1", 1) | {"a/2.jpg": photo(2)}
    place = write(tree, tmp_path / "set") if form == "folder" else pack(tree, tmp_path / f"set.{form}")
    order = sorted(range(2), key=lambda i: found(place, place).table["uri"].to_pylist()[i][-5])
    assert [kept(place, place, "txt")[i] for i in order] == [{"txt": "caption 1\n", "words.txt": "more"}, None]
    assert [kept(place, place, "json", "words.txt")[i] for i in order] == [
        {"json": {"license": "CC0", "n": 1}, "words.txt": "more"},
        None,
    ]
    everything = kept(place, place, "*")[order[0]]
    assert sorted(everything) == ["json", "txt", "words.txt"]  # what is neither text nor JSON is not


def test_rows_of_metadata_files_are_kept_by_their_columns(tmp_path: Path) -> None:
    rows = [{"file_name": f"{i}.jpg", "text": f"t{i}", "objects": {"bbox": [[1, 2]]}, "label": "x"} for i in range(2)]
    write(
        {f"{i}.jpg": photo(i) for i in range(2)} | {"metadata.jsonl": "\n".join(map(json.dumps, rows)).encode()},
        tmp_path,
    )
    said = kept(tmp_path, tmp_path, "text", "objects")
    assert sorted(said, key=str) == [{"text": f"t{i}", "objects": {"bbox": [[1, 2]]}} for i in range(2)]


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_columns_of_tables_are_kept_but_for_bytes(form: str, tmp_path: Path) -> None:
    columns = {"caption": ["a", None], "box": [[1, 2], []], "raw": [b"x", b"y"], "share": [0.5, float("nan")]}
    table = pa.table({"image": [photo(1), photo(2)], "label": ["a", "b"], **columns})
    if form == "parquet":
        pq.write_table(table, tmp_path / "a.parquet")
    else:
        (tmp_path / "state.json").write_text(json.dumps({"_data_files": [{"filename": "a.arrow"}]}))
        with pa.ipc.new_stream(tmp_path / "a.arrow", table.schema) as sink:
            sink.write_table(table)
    assert kept(tmp_path, tmp_path, "caption", "share") == [{"caption": "a", "share": 0.5}, None]
    assert kept(tmp_path, tmp_path, "*") == [
        {"label": "a", "caption": "a", "box": [1, 2], "share": 0.5},
        {"label": "b", "box": []},
    ]


def publish(workspace: Path, *sources: Listed, **curation: Any) -> Published:
    plain = {"quality": {"rules": []}, "dedup": {"perceptual": {"enabled": False}}}
    params = CurationParams.model_validate(plain | curation)
    recipe = Recipe(name="kept", sources=sources, curation=params)  # type: ignore[arg-type]
    return pipeline.curate(Session(recipe, Store(str(workspace)), Inline(), Silent()))[0]


def sidecars(dataset: Published) -> list[dict[str, Any]]:
    found = []
    for name in dataset.store.names("shards"):
        with tarfile.open(dataset.store.path("shards", name)) as tar:
            found += [json.loads(tar.extractfile(m).read()) for m in tar if m.name.endswith(".json")]  # type: ignore
    return found


def test_what_is_kept_is_published_and_without_it_nothing_changes(tmp_path: Path) -> None:
    write(sample("1", 1) | {"2.jpg": photo(2)}, tmp_path / "a")
    write({"3.jpg": photo(3)}, tmp_path / "b")
    plain = publish(tmp_path / "plain", FolderSource(url=f"{tmp_path}/a"), FolderSource(url=f"{tmp_path}/b"))
    assert "metadata" not in plain.table("manifest").column_names
    assert all("metadata" not in one for one in sidecars(plain))
    assert plain.info["passed_over"]["a"][0] | {"examples": []} == {
        "why": "name",
        "ending": ".txt",
        "count": 2,
        "examples": [],
    }
    wide = publish(
        tmp_path / "wide", FolderSource(url=f"{tmp_path}/a", metadata=("txt",)), FolderSource(url=f"{tmp_path}/b")
    )
    texts = {row["uri"].rpartition("/")[2]: row["metadata"] for row in wide.table("manifest").to_pylist()}
    assert texts == {"1.jpg": '{"txt": "caption 1\\n", "words.txt": "more"}', "2.jpg": None, "3.jpg": None}
    told = {one["uri"].rpartition("/")[2]: one.get("metadata") for one in sidecars(wide)}
    assert told == {"1.jpg": {"txt": "caption 1\n", "words.txt": "more"}, "2.jpg": None, "3.jpg": None}


def test_what_is_passed_over_changes_no_part_and_no_version(tmp_path: Path) -> None:
    write({"1.jpg": photo(1)}, tmp_path / "a")
    first = publish(tmp_path / "w", FolderSource(url=f"{tmp_path}/a"))
    (tmp_path / "a/more.zip").write_text("x")
    assert publish(tmp_path / "w", FolderSource(url=f"{tmp_path}/a")).version == first.version


def test_a_column_of_parquet_is_no_metadata_by_default(tmp_path: Path) -> None:
    pq.write_table(pa.table({"image": [photo(1)], "caption": ["a"]}), tmp_path / "a.parquet")
    assert "metadata" not in found(ParquetSource(url=str(tmp_path)), tmp_path).table.column_names


def test_exif_is_kept_where_the_packer_is_asked_for_it(tmp_path: Path) -> None:
    from conftest import picture

    exif = Image.Exif()
    exif[ExifTags.Base.Make], exif[ExifTags.Base.Artist] = "Leica\0", "\0" * 20
    exif[ExifTags.Base.ImageDescription] = "x" * 5000
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.ExposureTime] = IFDRational(1, 250)
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.MakerNote] = b"\x01\xff" * 50
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (48, 51, IFDRational(30, 1))
    (tmp_path / "a").mkdir()
    picture(1, (160, 120)).save(tmp_path / "a/1.jpg", exif=exif)
    write({"2.jpg": photo(2), "2.txt": b"words"}, tmp_path / "a")
    source = FolderSource(url=f"{tmp_path}/a", metadata=("txt",))
    dataset = publish(tmp_path / "w", source, pack={"exif": True})
    kept = {row["uri"].rpartition("/")[2]: json.loads(row["metadata"]) for row in dataset.table("manifest").to_pylist()}
    assert kept == {
        "1.jpg": {"exif": {"ExposureTime": 0.004, "GPSLatitude": [48.0, 51.0, 30.0], "Make": "Leica"}},
        "2.jpg": {"txt": "words"},
    }
    assert {one["uri"].rpartition("/")[2]: one["metadata"] for one in sidecars(dataset)} == kept
    assert read_exif(b"no image") == {}
