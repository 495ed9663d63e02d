"""Publishes images in the format of a dataset version, so that training can be tested without curation."""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from shared.catalog import MANIFEST
from shared.dataset_version import Published, open_version
from shared.storage import Store

Labelled = tuple[str | None, bytes]


def publish(workspace: Path, images: Iterable[Labelled], name: str = "tiny") -> Published:
    """Write dataset.json, one manifest part and one shard; return the version."""
    root = workspace / "datasets" / name / "v0001"
    (root / "manifest").mkdir(parents=True)
    (root / "shards").mkdir()
    shard, rows = root / "shards" / "shard-00000.tar", []
    with tarfile.open(shard, "w", format=tarfile.USTAR_FORMAT) as tar:
        for number, (label, data) in enumerate(images):
            member = tarfile.TarInfo(f"{number:08d}.jpg")
            member.size = len(data)
            offset = tar.offset + tarfile.BLOCKSIZE
            tar.addfile(member, io.BytesIO(data))
            with Image.open(io.BytesIO(data)) as image:
                width, height = image.size
            rows.append(
                {
                    "image_id": hashlib.blake2b(data, digest_size=16).hexdigest(),
                    "uri": f"memory://{number}",
                    "source": "test",
                    "label": label,
                    "width": width,
                    "height": height,
                    "format": "jpeg",
                    "bytes": len(data),
                    "shard": shard.name,
                    "offset": offset,
                    "length": len(data),
                }
            )
    empty = {field.name: None for field in MANIFEST.schema}
    plain = pa.schema(
        [(f.name, f.type.value_type if pa.types.is_dictionary(f.type) else f.type) for f in MANIFEST.schema]
    )
    table = pa.Table.from_pylist([empty | row for row in rows], schema=plain).cast(MANIFEST.schema)
    pq.write_table(table, root / "manifest" / "part-00000.parquet")
    (root / "dataset.json").write_text(json.dumps({"name": name, "fingerprint": "test", "kept": len(rows)}))
    return open_version(Store(str(workspace)), name)


def invented(count: int, classes: int, side: int = 48, seed: int = 0) -> list[Labelled]:
    """Invent JPEGs: each class has its colour and its stripes, each image its own noise."""
    rng = np.random.default_rng(seed)
    colours = rng.uniform(60, 200, (classes, 3))
    images: list[Labelled] = []
    for number in range(count):
        kind = number % classes
        ramp = np.arange(side) * (kind + 1) / 3 + rng.uniform(0, 6)
        stripes = np.sin(ramp)[:, None, None] * 40
        pixels = colours[kind] + stripes + rng.normal(0, 20, (side, side, 3))
        file = io.BytesIO()
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
        images.append((f"class-{kind}", file.getvalue()))
    return images
