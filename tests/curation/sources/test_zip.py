"""Zips are sources: stored and deflated members, folders inside by a chained URL, odd and broken ones."""

import io
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest
from pydantic import ValidationError

from curation.sources import ZipSource, source_at
from curation.sources.reading import UnreadableError, read_bytes
from shared.errors import SourceError
from tests.curation.sources.trees import found, pack, photo

TREE = {f"train/{name}/{i}.jpg": photo(i + 9 * (name == "dog")) for name in ("cat", "dog") for i in range(3)}


def read(source: ZipSource, path: Path) -> dict[str, bytes | UnreadableError]:
    table = pa.concat_tables(source.tables(100))
    return {
        uri.removeprefix(f"{path}#"): data
        for uri, data in zip(table["uri"].to_pylist(), read_bytes(table), strict=True)
    }


def test_a_zip_is_read_where_it_lies(tmp_path: Path) -> None:
    path = pack(TREE | {"train/notes.txt": b"x"}, tmp_path / "set.zip")
    source = source_at(str(path))
    assert isinstance(source, ZipSource)
    assert read(source, path) == TREE
    listed = found(path, path)
    assert set(listed.labels.values()) == {"cat", "dog"}
    assert set(listed.table["reader"].to_pylist()) == {"range", "deflate"}
    assert listed.passed == {"name": 1}
    backwards = listed.table.take(list(range(6))[::-1])
    assert list(read_bytes(backwards)) == list(read_bytes(listed.table))[::-1]


def test_a_folder_of_zips_and_one_in_a_store_are_sources(tmp_path: Path) -> None:
    import fsspec

    for i in range(2):
        pack({f"{i}.jpg": photo(i)}, tmp_path / f"zips/{i}.zip")
    source = source_at(f"{tmp_path}/zips")
    assert isinstance(source, ZipSource)
    assert list(read_bytes(pa.concat_tables(source.tables(10)))) == [photo(0), photo(1)]
    fsspec.filesystem("memory").put(f"{tmp_path}/zips/1.zip", "/zipped/1.zip")
    table = pa.concat_tables(source_at("memory://zipped/1.zip").tables(10))
    assert table["uri"].to_pylist() == ["memory:///zipped/1.zip#1.jpg"]
    assert list(read_bytes(table)) == [photo(1)]


def test_a_chained_url_means_a_folder_inside(tmp_path: Path) -> None:
    path = pack(TREE | {"test/cat/9.jpg": photo(99)}, tmp_path / "set.zip")
    source = source_at(f"zip://train/dog::{path}")
    assert isinstance(source, ZipSource)
    assert source.title == "set.zip"
    assert sorted(read(source, path)) == [f"train/dog/{i}.jpg" for i in range(3)]
    assert len(read(ZipSource(url=f"zip://::{path}"), path)) == 7
    with pytest.raises(ValidationError, match=r"needs the zip behind ::, got zip://train; zip://::FILE.zip"):
        ZipSource(url="zip://train")
    with pytest.raises(SourceError, match=r"a URL that stands alone, got the chained simplecache::.*--source FILE.zip"):
        source_at("simplecache::memory://zipped")


def test_members_that_cannot_be_read_in_place_and_broken_zips_are_rows(tmp_path: Path) -> None:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("a.jpg", photo(1))
        archive.writestr("b.jpg", photo(2), zipfile.ZIP_LZMA)
        archive.writestr("c.jpg", photo(3), zipfile.ZIP_DEFLATED)
        archive.writestr("d.jpg", photo(4))
        archive.filelist[-1].flag_bits |= 1
        archive.writestr("a.jpg", photo(5))
    data = bytearray(sink.getvalue())
    (tmp_path / "odd.zip").write_bytes(data)
    got = read(ZipSource(url=f"{tmp_path}/odd.zip"), tmp_path / "odd.zip")
    assert {name: one for name, one in got.items() if isinstance(one, bytes)} == {
        "a.jpg": photo(1),
        "a.jpg~2": photo(5),
        "c.jpg": photo(3),
    }
    assert str(got["b.jpg"]) == "compressed by method 14: pack it anew, or unpack it"
    assert "encrypted member" in str(got["d.jpg"])
    with zipfile.ZipFile(sink) as archive:
        place = archive.getinfo("c.jpg").header_offset + 200
    data[place : place + 40] = b"\xff" * 40
    (tmp_path / "odd.zip").write_bytes(data)
    assert "damaged in the zip" in str(read(ZipSource(url=f"{tmp_path}/odd.zip"), tmp_path / "odd.zip")["c.jpg"])
    pack({"1.jpg": photo(1)}, tmp_path / "good.zip")
    (tmp_path / "odd.zip").write_bytes(data[: len(data) // 2])
    both = read(ZipSource(url=str(tmp_path)), tmp_path / "good.zip")
    assert both["1.jpg"] == photo(1)
    assert "a damaged zip: File is not a zip file" in str(both[f"{tmp_path}/odd.zip"])


def test_zips_that_are_missing_or_hold_no_image_are_refused(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    with pytest.raises(SourceError, match="needs zips, but there are none at"):
        list(ZipSource(url=f"{tmp_path}/none").tables(10))
    path = pack({"a.txt": b"x"}, tmp_path / "texts.zip")
    with pytest.raises(SourceError, match=r"the 1 zips at .* hold none \(1 others were passed over: 1 × .txt\)"):
        list(ZipSource(url=str(path)).tables(10))
