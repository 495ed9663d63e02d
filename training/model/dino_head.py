"""From tokens to the unit sphere where prototypes live: an MLP, and the prototypes (Caron et al. 2021).

Shapes: R rows (CLS or patch tokens), D width, E bottleneck, K prototypes.
"""

from torch import Tensor, nn
from torch.nn import functional as F


class Head(nn.Module):
    """Three linear layers to a bottleneck on the unit sphere; scores are cosines with K prototypes.

    The prototypes are weight-normed with gain 1, as in DINO: scores stay in [-1, 1], so that their exponentials
    cannot overflow. DINOv2 lets the gain train.
    """

    def __init__(self, width: int, hidden: int, bottleneck: int, prototypes: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(width, hidden),
            nn.GELU(),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Linear(hidden, bottleneck),
        )
        self.prototypes = nn.Linear(bottleneck, prototypes, bias=False)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):  # small prototypes too: their length decides how fast they turn
                nn.init.trunc_normal_(layer.weight, std=0.02)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, x_RD: Tensor) -> Tensor:
        """Return z_RE, of unit length."""
        return F.normalize(self.mlp(x_RD).float(), dim=-1, eps=1e-6)
