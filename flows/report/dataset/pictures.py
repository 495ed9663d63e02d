"""The pictures of a page: made once, and never more of them than a page should carry.

From original bytes; of images whose bytes are gone from an earlier page, or from the thumbnail that was measured.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from PIL import Image

from curation.dedup.thumbnails import picture_of
from curation.publish.read_back import Original, StoredThumbnail
from flows.report.kit.thumbnails import MADE_BY, SIDE, data_uri, inlined
from shared.images.ids import digest
from shared.stage_runner.memo import Memo, key
from shared.stage_runner.memo_runs import KEY_BYTES
from shared.stage_runner.orders import MEMORY
from shared.storage import Store

MOST = 400
"""Pictures on a page, each at most 8 kB, a third more in base64."""
SCHEMA = pa.schema([("picture", pa.string())])
REMEMBERED = f"{MEMORY}/thumbnails"


def remembered_thumbnails(store: Store) -> Memo:
    """Return the thumbnails of a workspace's earlier pages."""
    return Memo(store, REMEMBERED, SCHEMA)


class PagePicture(NamedTuple):
    """A picture as the page holds it."""

    data: str
    """A data URI."""
    stored: bool = False
    """Whether it is drawn from a thumbnail of 32 × 32 pixels, for want of the original."""


@dataclass
class Thumbnails:
    """What there is of images by uri, and the thumbnails made of it so far."""

    source: Mapping[str, Original | StoredThumbnail]
    memo: Memo | None = None
    """Where those of earlier pages are found again: the pages of a dataset's versions show much the same pictures."""
    most: int = MOST
    made: dict[str, PagePicture | None] = field(default_factory=dict)
    shown: int = 0
    new: dict[bytes, str | None] = field(default_factory=dict)
    keys: dict[str, bytes] = field(default_factory=dict)
    """Of the originals, where there is a memo: also of those that are gone."""

    def __post_init__(self) -> None:
        if self.memo and self.source:
            self.keys = {uri: _key(original) for uri, original in self.source.items()}
            places, rows = self.memo.lookup(pa.array(list(self.keys.values()), pa.binary(KEY_BYTES)))
            uris = list(self.keys)
            self.made |= {
                uris[i]: PagePicture(text) if text else None
                for i, text in zip(places.to_pylist(), rows["picture"].to_pylist(), strict=True)
            }

    def of(self, uri: str) -> PagePicture | None:
        """Return the thumbnail of a uri; null where there is no picture to show, or no room for one more."""
        if uri not in self.made:
            self.made[uri] = self._made(uri)
        self.shown += self.made[uri] is not None
        return self.made[uri] if self.shown <= self.most else None

    def _made(self, uri: str) -> PagePicture | None:
        known = self.source.get(uri)
        if isinstance(known, StoredThumbnail):  # not remembered: the original may come back
            return PagePicture(_enlarged(known), stored=True)
        text = data_uri(known.data, rotation=known.rotation) if known else None
        if uri in self.keys:
            self.new[self.keys[uri]] = text
        return PagePicture(text) if text else None

    @property
    def some_stored(self) -> bool:
        """Whether any was drawn from a stored thumbnail."""
        return any(picture.stored for picture in self.made.values() if picture)

    def remember(self) -> None:
        """Keep the new ones for later pages."""
        if self.memo and self.new:
            rows = pa.table({"picture": list(self.new.values())}, SCHEMA)
            self.memo.append(pa.array(list(self.new), pa.binary(KEY_BYTES)), rows)
            for group in self.memo.groups():
                self.memo.merge(group)


def _key(known: Original | StoredThumbnail) -> bytes:
    """Return the name of what a thumbnail is made of."""
    image_id = known.image_id if isinstance(known, StoredThumbnail) else digest(known.data)
    return key(image_id, f"{known.rotation}".encode(), MADE_BY.encode())


def _enlarged(known: StoredThumbnail) -> str:
    """Return a stored thumbnail in the size that a thumbnail of its image would have, and in its shape."""
    scale = min(1.0, SIDE / max(known.width, known.height))
    width, height = (max(1, round(scale * side)) for side in (known.width, known.height))
    pixels = picture_of(np.frombuffer(known.thumbnail, np.uint8), width, height)
    return inlined(Image.fromarray(pixels))


def name_of(uri: str) -> str:
    """Return the last two parts of a uri: the file and the folder it lies in."""
    return "/".join(PurePosixPath(uri).parts[-2:])
