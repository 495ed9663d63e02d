"""What to evaluate on: one file for each kind of labelled set, and one line in the union."""

from typing import Annotated

from pydantic import Field

from training.sets.copies import CopySet
from training.sets.dataset import DatasetSet
from training.sets.folder import FolderSet
from training.sets.huggingface import HuggingFaceSet
from training.sets.manifest import ManifestSet
from training.sets.masks import MaskSet

LabelledSet = Annotated[
    DatasetSet | FolderSet | ManifestSet | HuggingFaceSet | MaskSet | CopySet,
    Field(discriminator="kind"),
]

__all__ = ["CopySet", "DatasetSet", "FolderSet", "HuggingFaceSet", "LabelledSet", "ManifestSet", "MaskSet"]
