"""SplitMix64 against the published sequence: what is drawn by a key today is drawn by it on every machine."""

import numpy as np

from shared.splitmix import SPLITMIX_STEP, splitmix64


def test_the_sequence_of_seed_0_is_that_of_the_reference_implementation():
    states = SPLITMIX_STEP * np.arange(1, 4, dtype=np.uint64)
    assert [f"{word:016x}" for word in splitmix64(states)] == [
        "e220a8397b1dcdaf",
        "6e789e6aa1b965f4",
        "06c45d188009454f",
    ]
