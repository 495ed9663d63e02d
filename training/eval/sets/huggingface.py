"""Hugging Face's datasets on a disk, read by pyarrow: Parquet files, or a folder that save_to_disk wrote."""

from typing import TYPE_CHECKING, Literal

from shared.dataset_version import Published
from shared.errors import RecipeError
from training.eval.sets.base import Named

if TYPE_CHECKING:
    from training.eval.sets.labelled import Labelled

WHO = "A Hugging Face dataset"


class HuggingFaceSet(Named):
    """A folder of Parquet files, or one written by save_to_disk."""

    kind: Literal["huggingface"] = "huggingface"
    """A folder that datasets' save_to_disk wrote, or Parquet files with images in a column."""
    url: str
    """The folder: of one dataset, or of its splits."""
    column: str = ""
    """Column of the images; empty = the one whose type says so."""
    label: str = "label"
    """Column of the labels; class numbers are given their names."""

    def content(self) -> str:
        """Return what changes when files are added, removed or get another size."""
        from training.eval.sets.files import folder_content

        return folder_content(WHO, self.url)

    def opened(self, published: Published | None) -> "Labelled":
        """Read the labels. Raises RecipeError where a column or a split is lacking."""
        import numpy as np

        from training.eval.sets.files import opened_folder, tenth
        from training.eval.sets.labelled import HELD_OUT, sides, with_labels
        from training.eval.sets.table_images import TableImages, split_of, table_files

        store = opened_folder(WHO, self.url)
        files = table_files(store)
        if not files:
            raise RecipeError(f"{WHO} needs .parquet or .arrow files, got {self.url} without any.")
        images, labels = TableImages.read(WHO, store, files, self.column, self.label)
        splits = [split_of(name) for name in files]
        rows = [part.rows for part in images.parts]
        of_rows = sides(np.repeat(splits, rows).tolist())
        if of_rows.both:
            labels = [label if side is not None else None for label, side in zip(labels, of_rows.of_each, strict=True)]
            used = [split for split, side in zip(splits, sides(splits).of_each, strict=True) if side is not None]
            is_query = of_rows.is_query
            split = f"{' and '.join(dict.fromkeys(used))} of the dataset{of_rows.left_out}"
        elif True in of_rows.of_each:
            raise RecipeError(
                f"{self.url} needs splits train and test (or val), got {', '.join(dict.fromkeys(splits))}."
            )
        else:
            is_query, split = tenth(images), HELD_OUT
        return with_labels(self.url, self.title(self.url), images, labels, is_query, split)
