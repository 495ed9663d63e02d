"""Where the CLS token looks in the last block, head by head.

Shapes: B images, C colours, H W pixels, h heads of E numbers, T = 1 + registers + N tokens, N patches, D width.
"""

import torch
from torch import Tensor

from training.model.vit import Backbone, Tokens


@torch.inference_mode()
def tokens_and_attention(backbone: Backbone, images_BCHW: Tensor) -> tuple[Tokens, Tensor]:
    """Look at normalised images; return the tokens, and attention_BhN of CLS to patches, in one pass.

    softmax(q · k / sqrt(E)) over all tokens: what the patches get sums to less than 1 in each head.
    """
    attention = backbone.vit.blocks[-1].attn
    outputs: list[Tensor] = []
    hook = attention.qkv.register_forward_hook(lambda _module, _given, qkv_L3D: outputs.append(qkv_L3D))
    try:
        tokens: Tokens = backbone(images_BCHW)
    finally:
        hook.remove()
    qkv_BT3hE = outputs[0].view(len(images_BCHW), -1, 3, attention.num_heads, attention.head_dim)
    q_BhE, k_BThE = qkv_BT3hE[:, 0, 0], qkv_BT3hE[:, :, 1]
    logits_BhT = torch.einsum("bhe,bthe->bht", q_BhE, k_BThE) * attention.head_dim**-0.5
    return tokens, logits_BhT.softmax(dim=-1)[..., backbone.vit.num_prefix_tokens :]
