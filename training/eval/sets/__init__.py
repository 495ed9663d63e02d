"""What to evaluate on: one file for each kind of labelled set, and one line in the union."""

from typing import Annotated

from pydantic import Field

from training.eval.sets.copies import CopySet
from training.eval.sets.folder import FolderSet
from training.eval.sets.huggingface import HuggingFaceSet
from training.eval.sets.manifest import ManifestSet
from training.eval.sets.masks import MaskSet
from training.eval.sets.published import DatasetSet

LabelledSet = Annotated[
    DatasetSet | FolderSet | ManifestSet | HuggingFaceSet | MaskSet | CopySet,
    Field(discriminator="kind"),
]

__all__ = ["CopySet", "DatasetSet", "FolderSet", "HuggingFaceSet", "LabelledSet", "ManifestSet", "MaskSet"]
