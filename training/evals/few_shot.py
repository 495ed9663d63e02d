"""What a few labelled images of each class are worth: the nearest centroid, over several draws (SimpleShot, 2019).

n images of each class are drawn from the bank; a class stands at the mean of their unit features, and a query goes to
the class of the greatest cosine (the first of equals). Repeated for several seeded draws; the mean is the value, the
deviation between draws stands in the protocol. A class with fewer than n images is left out, and so are its queries.

Shapes: Q queries, B images of the bank, D width, Z classes that have n images, n shots.
"""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from shared.params import Params
from training.evals.seen import Needs, OmittedError, Score, SeenLabels, score

if TYPE_CHECKING:
    from torch import Tensor


class FewShot(Params):
    """Classification from a few images of each class."""

    kind: Literal["few_shot"] = "few_shot"
    """How far do a few labelled images of each class go? Nothing is fitted but the class means."""
    needs: ClassVar[Needs] = "labels"
    shots: tuple[Annotated[int, Field(ge=1)], ...] = Field(default=(1, 5, 10), min_length=1)
    """Images of each class, each reported as `top1 n=…`."""
    draws: int = Field(default=10, ge=2)
    """Draws to average over."""
    seed: int = 0
    """Of the draws."""

    def scores(self, seen: SeenLabels) -> list[Score]:
        """Return `top1 n=…` for each number of shots that two classes and a query can provide."""
        seen.check()
        found = [self._score(seen, shots) for shots in self.shots]
        if not any(found):
            raise OmittedError(f"needs two classes of {min(self.shots)} images in the bank, and a query of one of them")
        return [one for one in found if one]

    def _score(self, seen: SeenLabels, shots: int) -> Score | None:
        import torch

        rows = [(seen.bank_label == z).nonzero()[:, 0] for z in sorted(set(seen.bank_label.tolist()))]
        enough = [row for row in rows if len(row) >= shots]
        known_Z = torch.stack([seen.bank_label[row[0]] for row in enough]) if enough else seen.bank_label[:0]
        asked = torch.isin(seen.query_label, known_Z)
        if len(enough) < 2 or not bool(asked.any()):
            return None
        right = []
        for draw in range(self.draws):
            class_Q = known_Z[nearest_centroid(seen.queries[asked], seen.bank[_drawn(enough, shots, self.seed, draw)])]
            right.append(float((class_Q == seen.query_label[asked]).double().mean()))
        protocol = {
            "shots": shots,
            "classifier": "nearest centroid by cosine",
            "draws": self.draws,
            "sd": float(torch.tensor(right, dtype=torch.float64).std()),
            "classes": f"{len(enough)} of {len(rows)} have {shots} images in the bank",
            "queries": int(asked.sum()),
        }
        return score(self.kind, f"top1 n={shots}", sum(right) / len(right), protocol)


def _drawn(rows: "list[Tensor]", shots: int, seed: int, draw: int) -> "Tensor":
    """Return row_Zn: every class draws from a stream of its own, so that another class changes nothing."""
    import torch

    from training.evals.drawing import shuffled

    return torch.stack([row[shuffled(len(row), seed + draw)[:shots].to(row.device)] for row in rows])


def nearest_centroid(queries_QD: "Tensor", shots_ZnD: "Tensor") -> "Tensor":
    """Return class_Q by the greatest cosine with the mean of a class's unit features."""
    from training.evals.neighbours import rounded, unit

    centroid_ZD = unit(unit(shots_ZnD).mean(dim=1))
    return rounded(unit(queries_QD) @ centroid_ZD.T).argmax(dim=1)
