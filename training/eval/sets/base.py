"""What every labelled set shares: a name; and which truths a set may hold. Needs neither numpy nor torch."""

from typing import Literal

from shared.params import Params

Needs = Literal["images", "labels", "copies", "masks"]
"""What an evaluation cannot do without; it is left out, with a note, where a set has none."""
IGNORED = 255
"""In a mask: this pixel counts for nothing."""


class Named(Params):
    """The fields of every set."""

    name: str = ""
    """What tables call it; the last part of its path when empty."""

    def title(self, url: str) -> str:
        """Return the name."""
        return self.name or url.rstrip("/").rpartition("/")[2] or url
