"""Chance that does not depend on the order of the images: a seeded hash of an image's id.

An id is two uint64, the halves of a 128-bit digest. Ids are unique.
"""

import numpy as np

from curation.arrays import Array, Words
from shared.splitmix import SPLITMIX_STEP, splitmix64


def draws(ids: Words, purpose: str, *salts: int) -> Words:
    """Return a random number of 64 bits [n] for each id [n, 2]: another one for another purpose, seed, level, round.

    Needs 24 bytes for each id while it works.
    """
    state = np.zeros(1, np.uint64)
    for salt in (*purpose.encode(), *salts):
        state = mix(state ^ np.uint64(salt % 2**64))
    return mix(mix(ids[:, 0] ^ state) ^ ids[:, 1])


def mix(states: Words) -> Words:
    """Return the next random words, one to one: a step of SplitMix64."""
    return splitmix64(states + SPLITMIX_STEP)


def words(digests: Array) -> Words:
    """Return digests [n] of 16 bytes as ids [n, 2]."""
    return np.asarray(digests.view("<u8").reshape(-1, 2), np.uint64)


def numbered(count: int) -> Words:
    """Return ids [count, 2] for things that have a number and no digest, such as the nodes of a level."""
    return np.stack([np.zeros(count, np.uint64), np.arange(count, dtype=np.uint64)], axis=1)
