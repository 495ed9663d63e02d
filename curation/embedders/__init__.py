"""What turns pixels into a vector for near-duplicate search: a written union.

CLIP is missing on purpose: it is no copy detector (recall 0.02 at precision 0.9, DataComp, appendix F).
"""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from curation.embedders.descriptor import DescriptorEmbedder
from curation.embedders.efficientnet import EfficientNetLite0Embedder
from curation.embedders.exported import OnnxEmbedder, TorchScriptEmbedder
from curation.embedders.pretrained import TimmEmbedder
from curation.embedders.teacher import RunEmbedder


def _spelled_out(value: Any) -> Any:
    """Read the short form `kind:what`, such as timm:resnet50 or torchscript:sscd_disc_mixup.torchscript.pt."""
    if not isinstance(value, str):
        return value
    kind, colon, what = value.partition(":")
    return {"kind": kind, **({"model" if kind == "timm" else "path": what} if colon else {})}


Embedder = Annotated[
    DescriptorEmbedder | EfficientNetLite0Embedder | TorchScriptEmbedder | OnnxEmbedder | TimmEmbedder | RunEmbedder,
    Field(discriminator="kind", title="Embedder"),
    BeforeValidator(_spelled_out),
]
"""The trained copy detector SSCD, as `torchscript`, is the best; `descriptor` needs no weights."""
