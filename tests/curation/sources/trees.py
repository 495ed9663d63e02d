"""Small trees of files for the tests of sources, as a folder, a tar or a zip; and what a source makes of them."""

import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from conftest import encoded, picture
from PIL import Image

from curation.sources import source_at
from curation.sources.listing import Listed
from curation.sources.notes import Notes

Tree = dict[str, bytes]


def photo(seed: int) -> bytes:
    """A picture that no other seed resembles."""
    return encoded(picture(seed, (48, 36)))


def mask(seed: int, values: int = 4) -> bytes:
    """A mask as people paint it: a palette of few values."""
    value = np.zeros((36, 48), np.uint8)
    value[4 + seed % 9 : 30, 8:40] = 1 + seed % values
    image = Image.fromarray(value)
    image.putpalette([n % 256 for n in range(768)])
    sink = io.BytesIO()
    image.save(sink, "PNG")
    return sink.getvalue()


def write(tree: Tree, root: Path) -> Path:
    """The tree as a folder."""
    for name, data in tree.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def pack(tree: Tree, path: Path) -> Path:
    """The tree as a tar or a zip, by the ending of the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for i, (name, data) in enumerate(tree.items()):
                archive.writestr(name, data, zipfile.ZIP_DEFLATED if i % 2 else zipfile.ZIP_STORED)
        return path
    with tarfile.open(path, "w") as tar:
        for name, data in tree.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


class Found(NamedTuple):
    """What a source says of a tree."""

    labels: dict[str, str | None]
    """Of each image, by its path below the source."""
    passed: dict[str, int]
    """How many things were passed over, by why."""
    guessed: set[str]
    table: pa.Table


def found(source: Listed | Path, root: Path, **options: Any) -> Found:
    """List a source, or what lies at a path as a person would name it."""
    notes = Notes()
    source = source if isinstance(source, Listed) else source_at(str(source))
    source = type(source).model_validate(source.model_dump() | options)
    table = pa.concat_tables(source.tables(1000, notes, bool(source.metadata)))
    names = [uri.removeprefix(str(root)).lstrip("/#") for uri in table["uri"].to_pylist()]
    passed: dict[str, int] = {}
    for (why, _), tally in notes.passed.items():
        passed[why] = passed.get(why, 0) + tally.count
    return Found(dict(zip(names, table["label"].to_pylist(), strict=True)), passed, set(notes.guessed), table)
