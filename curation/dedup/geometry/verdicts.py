"""What a comparison of pixels may say of two pictures, in the words that tables, explain and reports share."""

from typing import Literal

PairVerdict = Literal["copy", "same scene", "look-alike", "other"]
SAME_SCENE: PairVerdict = "same scene"
LOOK_ALIKE: PairVerdict = "look-alike"
NO_COPIES = (LOOK_ALIKE, SAME_SCENE)
"""What differs decided, though most agrees: no limit of the score makes copies of these."""
UPRIGHT, MIRRORED = "upright", "mirrored"
"""Orientations of a match that need no turn, and a mirror alone."""
