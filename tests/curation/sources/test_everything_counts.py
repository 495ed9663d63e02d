"""Nothing in a source is passed over in silence: what is indexed and what is passed over are everything, once."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curation.sources import FolderSource, TarSource, ZipSource
from curation.sources.listing import Listed
from curation.sources.notes import Notes
from shared.errors import SourceError
from shared.images.image_files import SYSTEM
from tests.curation.sources.trees import mask, pack, photo, write

DATA = {".jpg": photo(1), ".png": mask(2), "": b"some words", ".json": b'{"label": "cat"}'}
FOLDERS = [
    "cats",
    "dogs",
    "images",
    "train",
    "test",
    "00001",
    "masks",
    "SegmentationClass",
    ".git",
    "@eaDir",
    "label=a",
]
STEMS = ["a", "b.c", "a.seg", "a_mask", "000010001", "metadata", "_SUCCESS", ".hidden", "mu\udcf1oz", "x y", "a~2"]
ENDINGS = [".jpg", ".JPG", ".png", ".txt", ".json", ".jsonl", ".cls", ".dng", ".xyz", ".zip", ".part", ".heic", ""]
names = st.builds(
    lambda folders, stem, end: "/".join([*folders, stem + end]),
    st.lists(st.sampled_from(FOLDERS), max_size=3),
    st.sampled_from(STEMS),
    st.sampled_from(ENDINGS),
)
trees = st.lists(names, min_size=1, max_size=25, unique=True)
patterns = st.lists(st.sampled_from(["jpg", ".seg.png", "cats", "*mask*", "train/*", "*.x?z", "a"]), max_size=2)


def everything(root: Path) -> int:
    """Files, and folders that nobody would walk, by another walk."""

    def below(folder: Path) -> Iterator[Path]:
        for path in folder.iterdir():
            is_closed = path.name.startswith(".") or path.name.lower() in SYSTEM
            if path.is_dir() and not path.is_symlink() and not is_closed:
                yield from below(path)
            else:
                yield path

    return sum(1 for _ in below(root))


def counted(source: Listed) -> tuple[list[str], int]:
    """The uris of a listing and how many things were passed over; all of them where it holds no image."""
    notes, tables = Notes(), list[pa.Table]()
    with suppress(SourceError):
        tables += source.tables(16, notes)
    return [uri for table in tables for uri in table["uri"].to_pylist()], notes.total


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(trees, patterns, patterns)
def test_of_a_folder(tree: list[str], include: list[str], exclude: list[str]) -> None:
    root = Path(tempfile.mkdtemp())
    try:
        with suppress(OSError):  # a name that is a folder already
            for name in tree:
                write({name: DATA.get(os.path.splitext(name)[1], b"bytes")}, root)
        uris, passed = counted(FolderSource(url=str(root), include=tuple(include), exclude=tuple(exclude)))
        assert len(uris) + passed == everything(root)
        assert len(set(uris)) == len(uris)
    finally:
        shutil.rmtree(root)


@pytest.mark.parametrize("kind", ["tar", "zip"])
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(trees, patterns, patterns)
def test_of_an_archive(kind: str, tree: list[str], include: list[str], exclude: list[str]) -> None:
    if kind == "zip":
        tree = [name.replace("\udcf1", "ñ") for name in tree]
    with tempfile.TemporaryDirectory() as folder:
        path = pack({name: DATA.get(os.path.splitext(name)[1], b"bytes") for name in tree}, Path(folder, f"a.{kind}"))
        source = (TarSource if kind == "tar" else ZipSource)(
            url=str(path), include=tuple(include), exclude=tuple(exclude)
        )
        uris, passed = counted(source)
        assert len(uris) + passed == len(tree)
        assert len(set(uris)) == len(uris)


def test_links_pipes_and_folders_that_may_not_be_listed_count_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write({"in/a.jpg": photo(1), "in/locked/b.jpg": photo(2), "out/c.jpg": photo(3)}, tmp_path)
    (tmp_path / "in/away").symlink_to(tmp_path / "out")
    (tmp_path / "in/away.jpg").symlink_to(tmp_path / "out/c.jpg")
    (tmp_path / "in/lost.jpg").symlink_to(tmp_path / "in/gone.jpg")
    os.mkfifo(tmp_path / "in/pipe")
    scandir = os.scandir

    def scan(folder: str) -> "Iterator[os.DirEntry[str]]":
        if str(folder).endswith("/locked"):
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", scan)
    uris, passed = counted(FolderSource(url=f"{tmp_path}/in"))
    assert sorted(uris) == [f"{tmp_path}/in/{name}" for name in ("a.jpg", "locked/", "lost.jpg")]
    assert passed == 3
