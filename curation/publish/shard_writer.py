"""Tar shards of original bytes, readable by WebDataset and by Hugging Face `datasets`, with every offset known.

An image is two members: `<id>.jpg` with the file's own bytes, and `<id>.json` with what is known about it.
Every image is called .jpg, whatever its format: both readers choose by the name, ask for one name
throughout, and then look at the bytes. The true format is in the json and in the manifest.
"""

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SIDECAR_COLUMNS = ("image_id", "uri", "source", "label", "width", "height", "format", "rotation")
"""Columns of the manifest that stand in the json beside each image."""


class ShardWriter:
    """Writes one tar, member after member, with fixed headers: the same images give the same bytes."""

    def __init__(self, path: Path) -> None:
        self._tar = tarfile.TarFile(path, mode="w", format=tarfile.USTAR_FORMAT)

    def add(self, name: str, data: bytes) -> int:
        """Append a member; return the offset of its first byte in the tar."""
        info = tarfile.TarInfo(name)
        info.size = len(data)
        offset = self._tar.offset + tarfile.BLOCKSIZE
        self._tar.addfile(info, io.BytesIO(data))
        return int(offset)

    def close(self) -> None:
        """Write the end of the tar."""
        self._tar.close()


def write_shard(path: Path, images: Iterator[tuple[dict[str, Any], bytes]]) -> list[int]:
    """Write (facts, bytes) pairs to a tar; return the offset of each image's bytes. `facts` has `image_id`."""
    writer = ShardWriter(path)
    offsets = []
    for facts, data in images:
        offsets.append(writer.add(f"{facts['image_id']}.jpg", data))
        writer.add(f"{facts['image_id']}.json", sidecar(facts))
    writer.close()
    return offsets


def sidecar(row: dict[str, Any]) -> bytes:
    """Return the json beside an image: a function of its row in the manifest."""
    facts = {name: row[name] for name in SIDECAR_COLUMNS}
    kept = row.get("metadata")
    return json.dumps(facts | ({"metadata": json.loads(kept)} if kept else {}), sort_keys=True).encode()
