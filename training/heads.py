"""From tokens to prototype scores: an MLP, then cosines with learned prototypes (Caron et al. 2021).

Shapes: R rows (CLS or patch tokens), D width, K prototypes.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from training.params import ObjectiveParams


class Head(nn.Module):
    """Three linear layers to a bottleneck on the unit sphere, then K prototypes.

    The prototypes are weight-normed with gain 1, as in DINO: scores stay in [-1, 1], so no temperature can make
    them overflow. DINOv2 lets the gain train.
    """

    def __init__(self, width: int, params: ObjectiveParams) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(width, params.head_hidden),
            nn.GELU(),
            nn.Linear(params.head_hidden, params.head_hidden),
            nn.GELU(),
            nn.Linear(params.head_hidden, params.bottleneck),
        )
        self.prototypes = nn.Linear(params.bottleneck, params.prototypes, bias=False)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):  # small prototypes too: their length decides how fast they turn
                nn.init.trunc_normal_(layer.weight, std=0.02)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def forward(self, x_RD: Tensor) -> Tensor:
        """Return scores_RK, cosines in [-1, 1]."""
        z_RE = F.normalize(self.mlp(x_RD).float(), dim=-1, eps=1e-6)
        return F.linear(z_RE, F.normalize(self.prototypes.weight.float(), dim=-1, eps=1e-6))
