"""Average precision, exact where scores are equal: equal scores enter the ranking together (as in scikit-learn).

For each right answer: the share of right ones among all that score at least as high; then the mean. No order among
equals can change it, and a model that gives every pair the same score gets the share of right answers, no more.

Shapes: Q queries, B answers to each, P right pairs.
"""

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor


def average_precision(score_QB: Tensor, right_QB: Tensor) -> Tensor:
    """Return ap_Q of rankings that each hold a right answer; an answer that scores -inf is not in the ranking.

    The slow form:

    for b in right answers: terms.append(right answers with score >= score[b] / all with score >= score[b])
    ap = mean(terms)
    """
    of_right_QB = score_QB.where(right_QB, -torch.inf)
    at_least = [_at_least(among_QB, score_QB) for among_QB in (of_right_QB, score_QB)]
    precision_QB = at_least[0] / at_least[1]
    return (precision_QB * right_QB).sum(dim=1) / right_QB.sum(dim=1)


def _at_least(among_QB: Tensor, score_QB: Tensor) -> Tensor:
    """Return, for each score of a row, how many of the same row of `among` are not below it."""
    below_QB = torch.searchsorted(among_QB.sort(dim=1).values, score_QB.contiguous())
    return (among_QB.shape[1] - below_QB).double()


@dataclass
class PairRanking:
    """One ranking of all pairs, of which only the right ones are held: the wrong ones are counted as they come."""

    score: Tensor
    """score_P of the right pairs, ascending."""
    counts: Tensor
    """How many wrong pairs lie between them: P + 1 numbers."""

    @classmethod
    def of(cls, score_P: Tensor) -> Self:
        """Start with the right pairs alone."""
        return cls(score_P.sort().values, torch.zeros(len(score_P) + 1, dtype=torch.int64, device=score_P.device))

    def add_wrong(self, score: Tensor) -> None:
        """Count wrong pairs."""
        self.counts += torch.bincount(torch.searchsorted(self.score, score, right=True), minlength=len(self.counts))

    @property
    def _right(self) -> Tensor:
        return (len(self.score) - torch.searchsorted(self.score, self.score)).double()

    @property
    def _precision(self) -> Tensor:
        first_P = torch.searchsorted(self.score, self.score)  # of equal ones
        wrong_P = self.counts.flip(0).cumsum(0).flip(0)[first_P + 1]
        return self._right / (self._right + wrong_P)

    def average_precision(self) -> float:
        """Return the area under precision over recall, as a sum over the right pairs."""
        return float(self._precision.mean())

    def recall_at(self, precision: float) -> tuple[float, float | None]:
        """Return the greatest recall of a threshold with this precision, and the threshold; 0 and None if none has."""
        good = (self._precision >= precision).nonzero()[:, 0]
        if not len(good):
            return 0.0, None
        lowest = good[0]
        return float(self._right[lowest] / len(self.score)), float(self.score[lowest])
