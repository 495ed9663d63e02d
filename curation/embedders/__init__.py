"""What turns pixels into a vector for near-duplicate search: a written union.

A new embedder is one file and one line in the union: embedding.py says what it must offer and tell of itself.

CLIP is missing on purpose: it is no copy detector (recall 0.02 at precision 0.9, DataComp, appendix F).
"""

from typing import Annotated, Any, get_args

from pydantic import BeforeValidator, Field

from curation.embedders.descriptor import DescriptorEmbedder
from curation.embedders.efficientnet import EfficientNetLite0Embedder
from curation.embedders.embedding import Embedding
from curation.embedders.exported import OnnxEmbedder, TorchScriptEmbedder
from curation.embedders.pretrained import TimmEmbedder
from curation.embedders.teacher import RunEmbedder


def _spelled_out(value: Any) -> Any:
    """Read the short form `kind:what`, such as timm:resnet50 or torchscript:sscd_disc_mixup.torchscript.pt."""
    if not isinstance(value, str):
        return value
    kind, colon, what = value.partition(":")
    field = EMBEDDERS[kind].shorthand if kind in EMBEDDERS else ""
    return {"kind": kind, **({field or "path": what} if colon else {})}


Embedder = Annotated[
    DescriptorEmbedder | EfficientNetLite0Embedder | TorchScriptEmbedder | OnnxEmbedder | TimmEmbedder | RunEmbedder,
    Field(discriminator="kind", title="Embedder"),
    BeforeValidator(_spelled_out),
]
"""The trained copy detector SSCD, as `torchscript`, is the best; `descriptor` needs no weights."""

_members: tuple[type[Embedding], ...] = get_args(get_args(Embedder)[0])

EMBEDDERS: dict[str, type[Embedding]] = {str(one.model_fields["kind"].default): one for one in _members}
"""Every embedder, by its kind."""
