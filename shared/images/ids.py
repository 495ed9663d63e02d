"""The names of images: digests of bytes, so that equal ones have one name wherever they lie."""

import hashlib
from typing import Any


def digest(*pieces: Any) -> bytes:
    """Return the 128-bit BLAKE2b digest of the pieces' bytes, one after the other: of a file's bytes, its image id."""
    state = hashlib.blake2b(digest_size=16)
    for piece in pieces:
        state.update(piece)
    return state.digest()


def pixels_digest(*pieces: Any) -> bytes:
    """Return 128 bits of the SHA-256 digest of decoded pixels: processors have instructions for it, pixels are many."""
    state = hashlib.sha256()
    for piece in pieces:
        state.update(piece)
    return state.digest()[:16]
