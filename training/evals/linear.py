"""A linear probe on frozen features: one fixed protocol, nothing tuned on the queries.

Shapes: Q queries, B images of the bank, D width, Z classes.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def probe_classes(queries_QD: Tensor, bank_BD: Tensor, bank_label_B: Tensor, *, l2: float, steps: int) -> Tensor:
    """Return the class_Q by multinomial logistic regression, fitted on the bank from zero by L-BFGS.

    Features are standardised with the bank's mean and deviation. Minimises
    mean cross-entropy + l2 / 2 · |weights|².
    """
    mean_D, std_D = bank_BD.mean(dim=0), bank_BD.std(dim=0).clamp_min(1e-6)
    x_BD, x_QD = (bank_BD - mean_D) / std_D, (queries_QD - mean_D) / std_D
    classes = int(bank_label_B.max()) + 1
    weight_ZD = torch.zeros(classes, x_BD.shape[1], device=x_BD.device, requires_grad=True)
    bias_Z = torch.zeros(classes, device=x_BD.device, requires_grad=True)
    solver = torch.optim.LBFGS([weight_ZD, bias_Z], max_iter=steps, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        solver.zero_grad()
        value = F.cross_entropy(F.linear(x_BD, weight_ZD, bias_Z), bank_label_B)
        value = value + l2 / 2 * weight_ZD.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    solver.step(loss)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        return F.linear(x_QD, weight_ZD, bias_Z).argmax(dim=1)
