"""Precision and recall over the limit, from answers about a stratified sample of pairs, with 95 % intervals.

One assumption: a pair of a higher stratum is at least as likely a copy. The estimate is the likeliest such set of
shares (isotonic regression, by pooling adjacent violators; Barlow et al. 1972). An interval holds what no such set
contradicts: it ends where twice the log-likelihood has fallen by chi-squared's 95 % (profile likelihood). What was
answered is known for sure; an answer weighs less, the fewer pairs there are that it stands for.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from flows.inspect.calibrate.pairs import Strata

CHI_SQUARED = 3.841
"""95 % of the chi-squared distribution with one degree of freedom."""
HALVINGS, STEPS, CLOSE = 30, 8, 1e-6


@dataclass(frozen=True)
class Estimate:
    """What a limit would give. Precision of no pair is 1; so is recall where there are no copies."""

    limit: float
    pairs: int
    """From the limit on."""
    precision: float
    precision_interval: tuple[float, float]
    recall: float
    """Of the copies in all strata."""
    recall_interval: tuple[float, float]


@dataclass(frozen=True)
class AnswerWeights:
    """Answers by stratum: weights of yes and no."""

    yes: np.ndarray
    no: np.ndarray

    def shares(self, tilt: np.ndarray) -> np.ndarray:
        """Return the ascending shares p that maximise the log-likelihood + tilt · p."""
        blocks: list[tuple[float, float, float, int]] = []  # yes, no, tilt, strata
        for yes, no, push in zip(self.yes.tolist(), self.no.tolist(), tilt.tolist(), strict=True):
            blocks.append((yes, no, push, 1))
            while len(blocks) > 1 and _best(blocks[-2]) > _best(blocks[-1]):
                top, below = blocks.pop(), blocks.pop()
                blocks.append((below[0] + top[0], below[1] + top[1], below[2] + top[2], below[3] + top[3]))
        return np.array([_best(block) for block in blocks for _ in range(block[3])])

    def log_likelihood(self, share: np.ndarray) -> float:
        """Return the log-likelihood of shares; what was never answered says nothing."""
        with np.errstate(divide="ignore", invalid="ignore"):
            terms = np.where(self.yes > 0, self.yes * np.log(share), 0.0)
            terms += np.where(self.no > 0, self.no * np.log1p(-share), 0.0)
        return float(terms.sum())

    def extreme(self, direction: np.ndarray) -> np.ndarray:
        """Return the shares that go furthest in a direction and are not contradicted by the answers."""
        best = self.log_likelihood(self.shares(np.zeros(len(self.yes))))
        low, high = -20.0, 20.0  # of the logarithm of the push
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            fall = best - self.log_likelihood(self.shares(direction * np.exp(middle)))
            low, high = (middle, high) if 2 * fall < CHI_SQUARED else (low, middle)
        return self.shares(direction * np.exp(low))


def _best(block: tuple[float, float, float, int]) -> float:
    """Return the p in [0, 1] that maximises yes log p + no log (1 - p) + push p, by its quadratic."""
    yes, no, push, _ = block
    total = yes + no
    if not total:
        return 1.0 if push > 0 else 0.0 if push < 0 else 0.5
    if abs(push) < 1e-12 * total:
        return yes / total
    b = total - push
    root = np.sqrt(b * b + 4 * push * yes)
    return float(np.clip(2 * yes / (b + root) if b > 0 else (root - b) / (2 * push), 0.0, 1.0))


def estimates(strata: Strata, answers: Mapping[int, bool], limits: Sequence[float]) -> list[Estimate]:
    """Return an estimate for each limit; `answers` say by a pair's place whether it is a copy."""
    judged = np.zeros(len(strata.scores), dtype=bool)
    copy = np.zeros(len(strata.scores), dtype=bool)
    for place, answer in answers.items():
        judged[place], copy[place] = True, answer
    count, stratum = len(strata.edges), strata.stratum
    rest, answered, yes = (np.bincount(stratum[mask], minlength=count) for mask in (~judged, judged, copy))
    weight = np.divide(rest, rest + answered, out=np.zeros(count), where=rest + answered > 0)
    evidence = AnswerWeights(yes * weight, (answered - yes) * weight)
    return [_estimate(limit, strata, judged, copy, evidence) for limit in limits]


def _estimate(limit: float, strata: Strata, judged: np.ndarray, copy: np.ndarray, evidence: AnswerWeights) -> Estimate:
    above = strata.scores >= limit
    certain = [int((copy & side).sum()) for side in (above, ~above)]
    rest = [np.bincount(strata.stratum[~judged & side], minlength=len(strata.edges)) for side in (above, ~above)]
    pairs = int(above.sum())

    def copies(share: np.ndarray) -> tuple[float, float]:
        """Return the copies that the limit finds, and those that it loses."""
        return certain[0] + float(rest[0] @ share), certain[1] + float(rest[1] @ share)

    def recall(share: np.ndarray) -> float:
        return _recall(*copies(share))

    likeliest = evidence.shares(np.zeros(len(strata.edges)))
    fewest, most = (copies(evidence.extreme(sign * rest[0]))[0] for sign in (-1.0, 1.0))
    worst, best = (_furthest(evidence, recall, rest, sign) for sign in (-1.0, 1.0))
    return Estimate(
        limit=limit,
        pairs=pairs,
        precision=_precision(copies(likeliest)[0], pairs),
        precision_interval=(_precision(_floor(fewest), pairs), _precision(_ceil(most), pairs)),
        recall=recall(likeliest),
        recall_interval=(_recall(*_rounded(copies(worst), -1)), _recall(*_rounded(copies(best), 1))),
    )


def _furthest(
    evidence: AnswerWeights, recall: Callable[[np.ndarray], float], rest: list[np.ndarray], sign: float
) -> np.ndarray:
    """Return the shares of the least or the greatest recall that the answers do not contradict.

    A ratio has no fixed direction: each step goes the way in which it changes most at the value reached so far.
    """
    share = evidence.shares(np.zeros(len(evidence.yes)))
    at = recall(share)
    for _ in range(STEPS):
        share = evidence.extreme(sign * ((1 - at) * rest[0] - at * rest[1]))
        before, at = at, recall(share)
        if abs(at - before) < CLOSE:
            break
    return share


def _precision(copies_found: float, pairs: int) -> float:
    return copies_found / pairs if pairs else 1.0


def _recall(copies_found: float, lost: float) -> float:
    return copies_found / (copies_found + lost) if copies_found + lost > 0 else 1.0


def _rounded(copies: tuple[float, float], sign: int) -> tuple[float, float]:
    """Return whole numbers of copies, away from the estimate."""
    copies_found, lost = copies
    return (_ceil(copies_found), _floor(lost)) if sign > 0 else (_floor(copies_found), _ceil(lost))


def _floor(count: float) -> float:
    return float(np.floor(count + CLOSE))


def _ceil(count: float) -> float:
    return float(np.ceil(count - CLOSE))
