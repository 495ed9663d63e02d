"""Whether two pictures are copies of each other, as one number."""

from itertools import chain

import cv2

from curation.dedup.geometry.agreement import agreement
from curation.dedup.geometry.alignments import matched, refined, whole
from curation.dedup.geometry.features import LocalFeatures

MIN_DETAIL = 3.0
"""Gray levels of detail below which a picture can only be an exact copy: blanks and gradients all agree."""
PROMISING = 0.5
"""From here on a map that is not accepted may be a copy's, a few pixels off."""


def copy_score(a: LocalFeatures, b: LocalFeatures) -> float:
    """Return how alike two pictures are under the best map found between them: copies from 1.0 on.

    The number is that of `agreement`; 0.0 where either picture has too little detail or no map gives an overlap.
    Maps are tried cheapest first and the first to reach 1.0 ends the search, so a copy's number is a lower
    bound. Symmetric to the bit: the two are put in an order of their own first.
    """
    if min(a.detail, b.detail) < MIN_DETAIL:
        return 0.0
    cv2.setNumThreads(1)  # pairs are spread over cores, not one pair
    a, b = sorted((a, b), key=_order)
    best = 0.0
    for affine in chain(whole(a, b), matched(a, b)):
        score = agreement(a, b, affine)
        if PROMISING <= score < 1 and (finer := refined(a, b, affine)) is not None:
            score = max(score, agreement(a, b, finer))
        best = max(best, score)
        if best >= 1:
            break
    return best


def _order(features: LocalFeatures) -> tuple[tuple[int, int], bytes, bytes]:
    return features.size, features.gray.tobytes(), features.descriptors.tobytes()
