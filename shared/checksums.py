"""The checksum of a local file."""

import hashlib
from pathlib import Path


def sha256(path: Path | str) -> str:
    """Return the SHA-256 of a file, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
