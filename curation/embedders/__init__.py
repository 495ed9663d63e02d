"""What turns pixels into a vector for near-duplicate search: a written union.

CLIP is missing on purpose: it is no copy detector (recall 0.02 at precision 0.9, DataComp, appendix F).
"""

from typing import Annotated

from pydantic import Field

from curation.embedders.descriptor import DescriptorEmbedder

Embedder = Annotated[DescriptorEmbedder, Field(title="Embedder")]
"""One embedder so far; the next makes this a union discriminated by `kind`."""
