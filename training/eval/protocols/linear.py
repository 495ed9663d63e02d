"""A linear probe on frozen features: its strength is chosen on a part of the bank, never on the queries.

Multinomial logistic regression on standardised features, by L-BFGS. Every l2 is fitted on four fifths of each class
of the bank and judged on the last fifth; the best (the stronger of equals) is fitted again on the whole bank. The
queries are looked at once, at the end.

Shapes: Q queries, B images of the bank, D width.
"""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from training.eval.inputs import LabelledFeatures, ScoreRow, score
from training.eval.protocols.evaluation import EvaluationProtocol

if TYPE_CHECKING:
    from torch import Tensor

Strength = Annotated[float, Field(gt=0)]
KEPT_BACK = 0.2


class Linear(EvaluationProtocol):
    """A linear probe."""

    kind: Literal["linear"] = "linear"
    """Can a linear classifier tell the classes apart?"""
    needs = "labels"
    l2: tuple[Strength, ...] = Field(default=(1e-4, 1e-3, 1e-2, 1e-1), min_length=1)
    """Weights of half the squared norm to choose from, on a part of the bank."""
    steps: int = Field(default=100, ge=1)
    """L-BFGS iterations of one fit, at most."""
    seed: int = 0
    """Of the part of the bank on which l2 is chosen."""

    def scores(self, inputs: LabelledFeatures) -> list[ScoreRow]:
        """Return `top1`, with the l2 that was chosen."""
        inputs.check()
        l2, judged = chosen_l2(inputs.bank, inputs.bank_label, self.l2, steps=self.steps, seed=self.seed)
        given_Q = probe_classes(inputs.queries, inputs.bank, inputs.bank_label, l2=l2, steps=self.steps)
        protocol = {
            "classifier": "logistic regression on standardised features",
            "solver": f"L-BFGS, at most {self.steps} steps",
            "l2": l2,
            "l2_tried": list(self.l2),
            "l2_chosen_on": f"{judged} images of the bank" if judged else "nothing: the strongest was taken",
            **inputs.counts,
        }
        return [score(self.kind, "top1", float((given_Q == inputs.query_label).double().mean()), protocol)]


def chosen_l2(
    bank_BD: "Tensor", bank_label_B: "Tensor", tried: tuple[float, ...], *, steps: int, seed: int
) -> tuple[float, int]:
    """Return the l2 that is right most often on the part of the bank that is kept back, and the size of that part."""
    from training.eval.math.logistic_regression import Logistic, Standard
    from training.eval.math.splits import split_evenly

    strongest_first = sorted(set(tried), reverse=True)
    stay, back = split_evenly(bank_label_B, KEPT_BACK, seed)
    if len(strongest_first) == 1 or not len(back):
        return strongest_first[0], 0
    standard = Standard.of(bank_BD[stay])
    x_BD, judged_QD = standard(bank_BD[stay]), standard(bank_BD[back])
    probe = Logistic.zero(int(bank_label_B.max()) + 1, x_BD.shape[1], like=x_BD)
    right = {}
    for l2 in strongest_first:  # each starts where the stronger one ended: fewer steps
        probe = probe.fitted(x_BD, bank_label_B[stay], l2=l2, steps=steps)
        right[l2] = int((probe(judged_QD).argmax(dim=1) == bank_label_B[back]).sum())
    return max(right, key=right.__getitem__), len(back)


def probe_classes(
    queries_QD: "Tensor", bank_BD: "Tensor", bank_label_B: "Tensor", *, l2: float, steps: int
) -> "Tensor":
    """Return the class_Q by a classifier fitted on the whole bank, from zero."""
    from training.eval.math.logistic_regression import Logistic, Standard

    standard = Standard.of(bank_BD)
    x_BD = standard(bank_BD)
    probe = Logistic.zero(int(bank_label_B.max()) + 1, x_BD.shape[1], like=x_BD)
    return probe.fitted(x_BD, bank_label_B, l2=l2, steps=steps)(standard(queries_QD)).argmax(dim=1)
