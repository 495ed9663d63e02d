"""What every labelled set shares: a name."""

from shared.params import Params


class Named(Params):
    """The fields of every set."""

    name: str = ""
    """What tables call it; the last part of its path when empty."""

    def title(self, url: str) -> str:
        """Return the name."""
        return self.name or url.rstrip("/").rpartition("/")[2] or url
