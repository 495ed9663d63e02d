"""The pictures of a page: made once from original bytes, and never more of them than a page should carry."""

from dataclasses import dataclass, field
from pathlib import PurePosixPath

from curation.publish.read_back import Original
from flows.report.kit.thumbnails import data_uri

MOST = 400
"""Pictures on a page, each at most 8 kB, a third more in base64."""


@dataclass
class Thumbnails:
    """Originals by uri, and the thumbnails made of them so far."""

    source: dict[str, Original]
    most: int = MOST
    made: dict[str, str | None] = field(default_factory=dict)
    shown: int = 0

    def of(self, uri: str) -> str | None:
        """Return the thumbnail of a uri; null where there is no picture to show, or no room for one more."""
        if uri not in self.made:
            original = self.source.get(uri)
            self.made[uri] = data_uri(original.data, rotation=original.rotation) if original else None
        self.shown += self.made[uri] is not None
        return self.made[uri] if self.shown <= self.most else None


def name_of(uri: str) -> str:
    """Return the last two parts of a uri: the file and the folder it lies in."""
    return "/".join(PurePosixPath(uri).parts[-2:])
