"""What is done with single files of this machine: their checksum, and the moment when a draft gets its name."""

import hashlib
import os
from pathlib import Path


def named(draft: Path, target: str) -> None:
    """Give a draft a name that nothing has. Raises FileExistsError where something has it."""
    try:
        os.link(draft, target)
    except FileExistsError:
        raise
    except OSError:  # a filesystem without hard links
        with open(target, "xb") as file:
            file.write(draft.read_bytes())


def settle(draft: Path, lasts: bool = True) -> None:
    """Make a draft readable for others before it gets its name, and bring one that lasts to the disk."""
    if lasts:
        with draft.open("rb") as file:
            os.fsync(file.fileno())
    draft.chmod(0o644)


def sha256(path: Path | str) -> str:
    """Return the SHA-256 of a local file, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
