"""What a few labelled images of each class are worth, over several draws.

n images of each class are drawn from the bank, and a classifier is made of them alone: multinomial logistic regression
on standardised features with an l2 that is fixed in advance (`top1 n=…`), and the nearest centroid, where a class
stands at the mean of its unit features and the greatest cosine decides (`centroid n=…`; SimpleShot, 2019). The value is
the mean over seeded draws; the deviation between draws stands in the protocol. A class with fewer than n images in the
bank is left out, and so are its queries.

Shapes: Q queries, B images of the bank, D width, Z classes that have n images, n shots.
"""

from statistics import fmean, stdev
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from training.eval.inputs import LabelledFeatures, OmittedError, ScoreRow, score
from training.eval.protocols.evaluation import EvaluationProtocol

if TYPE_CHECKING:
    from torch import Tensor


class FewShot(EvaluationProtocol):
    """Classification from a few images of each class."""

    kind: Literal["few_shot"] = "few_shot"
    """How far do a few labelled images of each class go?"""
    needs = "labels"
    shots: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(1, 5, 10), min_length=1)
    """Images of each class."""
    draws: int = Field(default=10, ge=2)
    """Draws to average over."""
    l2: float = Field(default=1e-2, gt=0)
    """Weight of half the squared norm of the logistic regression."""
    steps: int = Field(default=100, ge=1)
    """L-BFGS iterations of one fit, at most."""
    seed: int = 0
    """Of the draws."""

    def scores(self, inputs: LabelledFeatures) -> list[ScoreRow]:
        """Return `top1 n=…` and `centroid n=…` for each number of shots that two classes and a query can provide."""
        inputs.check()
        scores = [one for shots in self.shots for one in self._of(inputs, shots)]
        if not scores:
            raise OmittedError(f"needs two classes of {min(self.shots)} images in the bank, and a query of one of them")
        return scores

    def _of(self, inputs: LabelledFeatures, shots: int) -> list[ScoreRow]:
        import torch

        rows = [(inputs.bank_label == z).nonzero()[:, 0] for z in sorted(set(inputs.bank_label.tolist()))]
        enough = [row for row in rows if len(row) >= shots]
        known_Z = inputs.bank_label[[int(row[0]) for row in enough]]
        has_class = torch.isin(inputs.query_label, known_Z)
        if len(enough) < 2 or not bool(has_class.any()):
            return []
        queries_QD, label_Q = inputs.queries[has_class], inputs.query_label[has_class]
        right: dict[str, list[float]] = {"top1": [], "centroid": []}
        for draw in range(self.draws):
            shots_ZnD = inputs.bank[_drawn(enough, shots, self.seed + draw)]
            for name, number_Q in (
                ("top1", logistic(queries_QD, shots_ZnD, l2=self.l2, steps=self.steps)),
                ("centroid", nearest_centroid(queries_QD, shots_ZnD)),
            ):
                right[name].append(float((known_Z[number_Q] == label_Q).double().mean()))
        protocol: dict[str, Any] = {
            "shots": shots,
            "draws": self.draws,
            "classes": f"{len(enough)} of {len(rows)} have {shots} images in the bank",
            "queries": len(label_Q),
        }
        classifier: dict[str, dict[str, Any]] = {
            "top1": {"classifier": "logistic regression on standardised features", "l2": self.l2},
            "centroid": {"classifier": "nearest mean of unit features, by cosine"},
        }
        return [
            score(self.kind, f"{name} n={shots}", fmean(of), {**classifier[name], "sd": stdev(of), **protocol})
            for name, of in right.items()
        ]


def _drawn(rows: "list[Tensor]", shots: int, seed: int) -> "Tensor":
    """Return row_Zn: every class draws from a stream of its own, so that another class changes nothing."""
    import torch

    from training.eval.math.splits import shuffled

    return torch.stack([row[shuffled(len(row), seed)[:shots].to(row.device)] for row in rows])


def logistic(queries_QD: "Tensor", shots_ZnD: "Tensor", *, l2: float, steps: int) -> "Tensor":
    """Return class_Q by a classifier fitted on the shots alone."""
    import torch

    from training.eval.math.logistic_regression import Logistic, Standard

    classes, shots, width = shots_ZnD.shape
    standard = Standard.of(shots_ZnD.flatten(0, 1))
    x_BD = standard(shots_ZnD.flatten(0, 1))
    label_B = torch.arange(classes, device=x_BD.device).repeat_interleave(shots)
    probe = Logistic.zero(classes, width, like=x_BD).fitted(x_BD, label_B, l2=l2, steps=steps)
    return probe(standard(queries_QD)).argmax(dim=1)


def nearest_centroid(queries_QD: "Tensor", shots_ZnD: "Tensor") -> "Tensor":
    """Return class_Q by the greatest cosine with the mean of a class's unit features; the first of equals."""
    from training.eval.math.nearest import rounded, unit

    centroid_ZD = unit(unit(shots_ZnD).mean(dim=1))
    return rounded(unit(queries_QD) @ centroid_ZD.T).argmax(dim=1)
