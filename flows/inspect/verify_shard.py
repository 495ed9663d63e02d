"""What a shard holds: the images that their ids name, or damage in an image, its sidecar, or the frame of the tar."""

import hashlib
import tarfile
from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa

from curation.publish.shard_writer import sidecar
from flows.inspect.find_image import image_id
from shared.dataset_version import Published

BLOCK = tarfile.BLOCKSIZE
CHUNK = 1 << 24


def read_shard(dataset: Published, name: str, rows: pa.Table | None) -> tuple[str | None, list[str]]:
    """Read a shard once. Return its SHA-256, and the uris of images whose bytes are not those that their ids name.

    Takes its name in the folder of shards. The checksum is None where the file is missing.
    """
    spans = rows.select(["offset", "length", "image_id", "uri"]).sort_by("offset").to_pylist() if rows else []
    state, strangers = hashlib.sha256(), list[str]()
    try:
        with dataset.shards.open(name) as file:
            for row in spans:
                for piece in _until(file, row["offset"]):
                    state.update(piece)
                data = file.read(row["length"])
                state.update(data)
                strangers += [row["uri"]] if image_id(data) != row["image_id"] else []
            while piece := file.read(CHUNK):
                state.update(piece)
    except FileNotFoundError:
        return None, []
    return state.hexdigest(), strangers


def _until(file: BinaryIO, offset: int) -> Iterator[bytes]:
    """Read on to an offset, unless the file ends before."""
    while (left := offset - file.tell()) > 0 and (piece := file.read(min(left, CHUNK))):
        yield piece


def damage_in_shard(dataset: Published, shard: str, rows: pa.Table | None, missing: bool) -> list[str]:
    """Return what is damaged in a shard whose checksum differs; a line for each image that is not itself any more."""
    name = f"shards/{shard}"
    if rows is None:
        return [f"{name}: has other bytes than were published; which images they are is not known without the manifest"]
    if missing:
        return [f"{name}: is missing, with {rows.num_rows:,} images"]
    lines = [line for row in rows.sort_by("offset").to_pylist() for line in _damage(dataset, name, row)]
    return lines or [
        f"{name}: no image of this version has changed, but hidden members, padding or the end of the tar have"
    ]


def _damage(dataset: Published, name: str, row: dict[str, Any]) -> Iterator[str]:
    """Read one image, its sidecar and both headers, and hold them against what the packer wrote."""
    written = sidecar(row)
    start = row["offset"] - BLOCK
    second = row["offset"] + _padded(row["length"])
    data = dataset.shards.read_range(
        name.removeprefix("shards/"), start, second + 2 * BLOCK + _padded(len(written)) - start
    )
    image = data[BLOCK : BLOCK + row["length"]]
    if image_id(image) != row["image_id"]:
        yield f"{name}: the image {row['uri']} ({row['length']:,} bytes at {row['offset']:,})"
    if data[:BLOCK] != header(f"{row['image_id']}.jpg", row["length"]):
        yield f"{name}: the tar header of {row['uri']}"
    rest = data[second - start :]
    if rest[:BLOCK] != header(f"{row['image_id']}.json", len(written)) or rest[BLOCK : BLOCK + len(written)] != written:
        yield f"{name}: the sidecar {row['image_id']}.json of {row['uri']}"


def header(name: str, size: int) -> bytes:
    """Return the tar header that the packer writes."""
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.USTAR_FORMAT)


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
