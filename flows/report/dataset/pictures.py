"""The pictures of a page: made once from original bytes, and never more of them than a page should carry."""

from dataclasses import dataclass, field
from pathlib import PurePosixPath

import pyarrow as pa

from curation.publish.read_back import Original
from flows.report.kit.thumbnails import MADE_BY, data_uri
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


@dataclass
class Thumbnails:
    """Originals by uri, and the thumbnails made of them so far."""

    source: dict[str, Original]
    memo: Memo | None = None
    """Where those of earlier pages are found again: the pages of a dataset's versions show much the same pictures."""
    most: int = MOST
    made: dict[str, str | None] = field(default_factory=dict)
    shown: int = 0
    new: dict[bytes, str | None] = field(default_factory=dict)
    keys: dict[str, bytes] = field(default_factory=dict)
    """Of the originals, where there is a memo."""

    def __post_init__(self) -> None:
        if self.memo and self.source:
            self.keys = {uri: _key(original) for uri, original in self.source.items()}
            places, rows = self.memo.lookup(pa.array(list(self.keys.values()), pa.binary(KEY_BYTES)))
            uris = list(self.keys)
            self.made |= {
                uris[i]: text for i, text in zip(places.to_pylist(), rows["picture"].to_pylist(), strict=True)
            }

    def of(self, uri: str) -> str | None:
        """Return the thumbnail of a uri; null where there is no picture to show, or no room for one more."""
        if uri not in self.made:
            original = self.source.get(uri)
            self.made[uri] = data_uri(original.data, rotation=original.rotation) if original else None
            if uri in self.keys:
                self.new[self.keys[uri]] = self.made[uri]
        self.shown += self.made[uri] is not None
        return self.made[uri] if self.shown <= self.most else None

    def remember(self) -> None:
        """Keep the new ones for later pages."""
        if self.memo and self.new:
            rows = pa.table({"picture": list(self.new.values())}, SCHEMA)
            self.memo.append(pa.array(list(self.new), pa.binary(KEY_BYTES)), rows)
            for group in self.memo.groups():
                self.memo.merge(group)


def _key(original: Original) -> bytes:
    """Return the name of what a thumbnail is made of."""
    return key(digest(original.data), f"{original.rotation}".encode(), MADE_BY.encode())


def name_of(uri: str) -> str:
    """Return the last two parts of a uri: the file and the folder it lies in."""
    return "/".join(PurePosixPath(uri).parts[-2:])
