"""What to evaluate on: one file for each kind of labelled set, and one line in the union."""

from typing import Annotated

from pydantic import Field

from training.sets.dataset import DatasetSet
from training.sets.folder import FolderSet

LabelledSet = Annotated[DatasetSet | FolderSet, Field(discriminator="kind")]

__all__ = ["DatasetSet", "FolderSet", "LabelledSet"]
