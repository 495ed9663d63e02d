"""Images with the class of each pixel: folders of images and masks, or a table of their paths."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from shared.dataset_version import Published
from shared.errors import RecipeError
from training.eval.sets.base import Named

if TYPE_CHECKING:
    from training.eval.sets.labelled import Labelled


class MaskSet(Named):
    """Images and masks whose pixels are numbers of classes."""

    kind: Literal["masks"] = "masks"
    """Images and masks of the same names: DIR/train/images, DIR/train/masks, and val/ (or test/); or a CSV."""
    url: str
    """The folder, or a CSV or Parquet file with the columns image, mask, split."""
    root: str = ""
    """Folder that paths of a table start from; empty = its own, or the nearest above that has the first image."""
    where: dict[str, str] = Field(default_factory=dict)
    """Only the rows of a table in which these columns hold these words."""
    classes: str = ""
    """CSV with the columns value, name, ignored (0 or 1); empty = classes.csv beside the images or the table, or else
    the values that the masks hold, 255 ignored."""

    def content(self) -> str:
        """Return what changes when files are added, removed or get another size, or when the table changes."""
        from training.eval.sets.files import folder_content
        from training.eval.sets.mask_files import WHO
        from training.eval.sets.tables import is_table, table_content

        return table_content(WHO, self.url) if is_table(self.url) else folder_content(WHO, self.url)

    def opened(self, published: Published | None) -> "Labelled":
        """List images and masks. Raises RecipeError where an image has no mask, or a split is empty."""
        import numpy as np

        from training.eval.sets.labelled import Labelled, sides
        from training.eval.sets.mask_classes import class_maps
        from training.eval.sets.mask_files import from_folder, from_table
        from training.eval.sets.tables import is_table

        pairs = from_table(self.url, self.root, self.where) if is_table(self.url) else from_folder(self.url)
        of_each = sides(pairs.splits)
        if not of_each.both:
            splits = ", ".join(sorted(set(pairs.splits))) or "none"
            raise RecipeError(
                f"{self.url} needs images with masks to learn from (train) and others (val), got: {splits}."
            )
        maps = class_maps(pairs.masks, self.classes, pairs.beside)
        return Labelled(
            name=self.name or "-".join(self.where.values()) or self.title(self.url),
            images=pairs.images,
            bank=np.array([row for row, side in enumerate(of_each.of_each) if side is False]),
            queries=np.flatnonzero(of_each.is_query),
            split=f"train and val as given{of_each.left_out}; {maps.note}",
            classes=maps.names,
            masks=maps,
        )
