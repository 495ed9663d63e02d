"""Whether two pictures are copies of each other: how much of them agrees, then what differs in spite of that."""

from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np

from curation.arrays import Bytes
from curation.dedup.geometry.agreement import GLIMPSE, TINY, agreement, glance
from curation.dedup.geometry.alignments import (
    Affine,
    between,
    climbed,
    matched,
    orientation,
    parts,
    refined,
    whole,
)
from curation.dedup.geometry.canvas import blank_beyond, framed
from curation.dedup.geometry.differences import Differing, Laid, difference, laid, misfit, softened
from curation.dedup.geometry.features import LocalFeatures
from curation.dedup.geometry.verdicts import UPRIGHT, PairVerdict

MIN_DETAIL = 3.0
"""Gray levels of detail below which a picture can only be an exact copy: blanks and gradients all agree."""
ALIGNED, SIGHT = 0.85, 0.45
"""Of what detail agrees from afar: up to here a guess is made better there, and from here on it is worth a look in the
frames, as of neighbours that are no copies a quarter are."""
PROMISING = 0.4
"""From here on a map that is not accepted may be a copy's, a pixel off."""
FIRST_STEPS, MORE_STEPS, NEARLY = 10, 30, 0.75
"""Steps towards a better map at first, and more of them from that agreement on: what ten steps bring no nearer, forty
do not either.
"""
WORTH_KEYPOINTS = 0.6
"""From here on keypoints may find a better map; of neighbours that are no copies a tenth get there."""
LOOKS = 2
"""Maps under which two pictures that mostly agree are looked at for what differs."""
FINE_STEPS = 15
AMPLE = 0.9
"""A better fit of a smaller part is none: two letters may have a stroke in common."""
PLAIN = 0.7
"""From here on a picture is plain: three shades fill so much of it. Signs, letters, flags, pages and boards are; they
may be each other's mirror images by design, differ in one stroke or one colour, and have little else to be known by.
"""
NOISE_CONFLICT, NOISE_RESIDUAL = 0.03, 0.16
"""A copy: less of it differs than this, in tiles and in energy. Small print at JPEG quality 30
leaves .16 of its energy, sheets of other numbers in one grid .23."""
NOISE_STRENGTH = 0.025
"""Of a plain copy no more of its energy may differ in tiles that conflict: there noise makes many of them, but weak
ones (at most .023 in pages and boards recompressed, shrunk or noisy), other digits few strong ones (.044 and more).
"""
OVERLAID, OVERLAY, CROSSED = 0.18, 0.6, 0.008
"""Or, of a rich picture: at most so much of it differs, so much of that is laid over one and the same of both (a
watermark, a caption, a hole), and at most so much of the picture over the other one. What differs both ways is another
frame of one scene: two people before one fixed camera hide so much of it each."""
SAME_SCENE = 0.3
"""From here on too little agrees to call it one scene."""
SOFT = 2.0
"""Pixels of the finer frame by which rich pictures are blurred for a second look."""
PLAIN_COLOUR, SAME_COLOUR = 4.0, 16.0
"""Differing of colours in a plain copy, and in one that is tiny or has something laid over it. Recoloured photographs
of a proper size are still known by their gray levels."""

AS_IT_IS = np.eye(2, 3)
"""Tried first, with the borders of both files: noise moves the edges of what is written on a page."""

RANK: dict[PairVerdict, int] = {"other": 0, "look-alike": 1, "same scene": 2, "copy": 3}
"""Of the verdicts under several maps, the greatest counts."""


class Comparison(NamedTuple):
    """What a comparison of pixels says of two pictures."""

    score: float
    """How much agrees, as `agreement` tells it: from 1.0 on they may be copies."""
    verdict: PairVerdict
    """copy · same scene: a rich picture agrees but for something in it · look-alike: not enough to be sure · other."""
    orientation: str
    """What lays the first over the second."""


OTHER = Comparison(0.0, "other", UPRIGHT)


def compared(a: LocalFeatures, b: LocalFeatures) -> Comparison:
    """Return what two pictures are to each other under the best map found between them.

    Maps are tried cheapest first, and the first that shows a copy ends the search, so a copy's score is a lower bound;
    it is 0.0 where either picture has too little detail or no map gives an overlap. Symmetric to the bit, but for the
    orientation, which is the inverse: the two are put in an order of their own first.
    """
    if min(a.detail, b.detail) < MIN_DETAIL:
        return OTHER
    cv2.setNumThreads(1)  # pairs are spread over cores, not one pair
    swapped = _order(b) < _order(a)
    one, other = (b, a) if swapped else (a, b)
    best, affine, looks = OTHER, None, LOOKS
    for candidate, score in _maps(one, other):
        verdict, judged = _judged(one, other, candidate) if score >= 1 else (best.verdict, candidate)
        if (score > 0 and affine is None) or (RANK[verdict], score) > (RANK[best.verdict], best.score):
            best, affine = Comparison(score, verdict, UPRIGHT), judged
        looks -= score >= 1
        if verdict == "copy" or not looks:
            break
    if affine is None:
        return OTHER
    turn = np.asarray(cv2.invertAffineTransform(affine), np.float64) if swapped else affine
    return best._replace(orientation=orientation(turn))


def _maps(a: LocalFeatures, b: LocalFeatures) -> Iterator[tuple[Affine, float]]:
    """Yield maps, cheapest first, each made better where that promises something, with how much agrees.

    Guesses are looked at in small frames first, where most end. Keypoints are dear. They are asked where a map is
    promising, or where not even the windows of small pictures agree, as under a turn by other than a right angle.
    """
    best = 0.0
    if (same_file := framed(a, b, AS_IT_IS)) is not None and blank_beyond(a, b):
        best = agreement(a, b, same_file)
        yield same_file, best
    for affine in whole(a, b):
        better, score = _approached(a, b, affine, glance(a, b, affine))
        best = max(best, score)
        yield better, score
    if guesses := [(glance(a, b, part), part) for part in parts(a, b)]:
        seen, affine = max(guesses, key=lambda scored: scored[0])
        affine, score = _approached(a, b, affine, seen)
        yield affine, score
        if max(best, score) < WORTH_KEYPOINTS:
            return
    for affine in matched(a, b):
        yield _better(a, b, affine, agreement(a, b, affine))


def _approached(a: LocalFeatures, b: LocalFeatures, affine: Affine, seen: float) -> tuple[Affine, float]:
    """Return a map between small frames as one between frames, made better where that promises something.

    With how much agrees, or with how well detail correlates from afar where that shows that no more is to be seen.
    """
    if GLIMPSE <= seen < ALIGNED and (finer := climbed(a.small, b.small, affine, FIRST_STEPS)) is not None:
        seen, affine = max((seen, affine), (glance(a, b, finer), finer), key=lambda scored: scored[0])
    affine = between(affine, (a.small.shape, b.small.shape), (a.gray.shape, b.gray.shape))
    if seen < SIGHT:
        return affine, seen
    return _better(a, b, affine, agreement(a, b, affine))


def _better(a: LocalFeatures, b: LocalFeatures, affine: Affine, score: float) -> tuple[Affine, float]:
    for steps, least in ((FIRST_STEPS, PROMISING), (MORE_STEPS, NEARLY)):
        if not least <= score < 1 or (finer := refined(a, b, affine, steps)) is None:
            break
        better = agreement(a, b, finer)
        affine, score = max((affine, score), (finer, better), key=lambda scored: scored[1])
    return affine, score


def _judged(a: LocalFeatures, b: LocalFeatures, affine: Affine) -> tuple[PairVerdict, Affine]:
    """Return what two pictures that mostly agree are, from what differs in their finer frames."""
    maps = [affine, framed(a, b, affine)]
    maps += [refined(a, b, each) for each in maps if each is not None]
    first, second = a.fine(), b.fine()
    small, large = (a.gray.shape, b.gray.shape), (first.shape, second.shape)
    fine = [between(each, small, large) for each in maps if each is not None]
    best = _best_fit(first, second, fine)
    if best is None:
        return "look-alike", affine
    grays = [np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8) for image in (first, second)]
    climb = climbed(grays[0], grays[1], best[1], FINE_STEPS)
    pair, affine = _best_fit(first, second, [best[1], *([] if climb is None else [climb])]) or best
    turn = orientation(affine)
    plain = max(a.plain, b.plain) >= PLAIN
    tiny = min(max(a.size), max(b.size)) < TINY
    verdict = _verdict(difference(pair, plain), plain, tiny, turn)
    if verdict != "copy" and not plain:  # dots of a print and rims of sharpening are gone from afar, content is not
        afar = _verdict(difference(softened(pair, SOFT), plain), plain, tiny, turn)
        verdict = afar if afar == "copy" else verdict
    return verdict, affine


def _best_fit(first: Bytes, second: Bytes, maps: list[Affine]) -> tuple[Laid, Affine] | None:
    """Return the map that fits best of those that show as much as the first."""
    pairs = [(pair, each) for each in maps if (pair := laid(first, second, each)) is not None]
    ample = [(pair, each) for pair, each in pairs if pair.both.sum() >= AMPLE * pairs[0][0].both.sum()]
    return min(ample, key=lambda candidate: misfit(candidate[0]), default=None)


def _verdict(found: Differing, plain: bool, tiny: bool, turn: str) -> PairVerdict:
    weak = found.levels <= NOISE_CONFLICT and found.strength <= NOISE_STRENGTH
    if (weak if plain else found.conflict <= NOISE_CONFLICT) and found.residual <= NOISE_RESIDUAL:
        if plain:
            same = found.colour <= PLAIN_COLOUR and not found.repainted
            return "copy" if turn == UPRIGHT and same else "look-alike"
        return "look-alike" if tiny and found.colour > SAME_COLOUR else "copy"
    if plain or tiny or found.rest > NOISE_RESIDUAL:
        return "look-alike"
    one_sided = found.laying.overlay >= OVERLAY and found.laying.crossed <= CROSSED
    hidden = found.conflict <= OVERLAID and one_sided and found.colour <= SAME_COLOUR
    return "copy" if hidden else "same scene" if found.conflict <= SAME_SCENE else "look-alike"


def _order(features: LocalFeatures) -> tuple[tuple[int, int], bytes, bytes]:
    return features.size, features.gray.tobytes(), features.encoded
