"""A table of paths and labels: CSV or Parquet, with a split where the author has one."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from shared.dataset_version import Published
from shared.errors import RecipeError
from training.eval.sets.base import Named

if TYPE_CHECKING:
    from training.eval.sets.labelled import Labelled

WHO = "A manifest"


class ManifestSet(Named):
    """A CSV or Parquet file that lists images."""

    kind: Literal["manifest"] = "manifest"
    """A CSV or Parquet file with a path and a label for each image, and maybe a split."""
    url: str
    """The file."""
    root: str = ""
    """Folder that paths start from; empty = the file's own, or the nearest above that has the first image."""
    path: str = "path"
    """Column of the paths."""
    label: str = "label"
    """Column of the labels; images without one are left out."""
    split: str = "split"
    """Column that says train or test (or val); where there is none, a tenth decided by content is held out."""
    where: dict[str, str] = Field(default_factory=dict)
    """Only the rows in which these columns hold these words, such as {set: birds}."""

    def content(self) -> str:
        """Return what changes when the table changes."""
        from training.eval.sets.tables import table_content

        return table_content(WHO, self.url)

    def opened(self, published: Published | None) -> "Labelled":
        """Read the table. Raises RecipeError where a column, a file or a split is lacking."""
        from training.eval.sets.files import tenth
        from training.eval.sets.labelled import HELD_OUT, is_split, sides, with_labels
        from training.eval.sets.tables import columns_of, files_of, words

        has_split = self.split in columns_of(WHO, self.url)
        columns = (self.path, self.label, *([self.split] if has_split else []))
        rows = words(WHO, self.url, columns, self.where)
        files = files_of(WHO, self.url, self.root, [row[self.path] for row in rows])
        labels = [row[self.label] or None for row in rows]
        if has_split:
            other = next((row[self.split] for row in rows if not is_split(row[self.split])), None)
            if other is not None:
                raise RecipeError(
                    f"{self.url} needs train or test (or val) in its column {self.split!r}, got {other!r}. "
                    "Leave out such rows by `where`, or set split to '' to hold out a tenth."
                )
            splits = sides([row[self.split] for row in rows])
            labels = [label if side is not None else None for label, side in zip(labels, splits.of_each, strict=True)]
            is_query, split = splits.is_query, f"column {self.split}{splits.left_out}"
        else:
            is_query, split = tenth(files), HELD_OUT
        name = self.name or "-".join(self.where.values())
        return with_labels(self.url, name or self.title(self.url), files, labels, is_query, split)
