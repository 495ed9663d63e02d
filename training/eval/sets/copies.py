"""A folder of images, and a table that says which pairs of them are copies."""

from typing import TYPE_CHECKING, Literal

from shared.dataset_version import Published
from shared.errors import RecipeError
from training.eval.sets.base import Named

if TYPE_CHECKING:
    from training.eval.sets.labelled import Labelled

WHO = "A set of copies"
COLUMNS = ("a", "b", "relation")


class CopySet(Named):
    """Images in a folder, and a CSV or Parquet file of pairs with the columns a, b, relation."""

    kind: Literal["copies"] = "copies"
    """Images in a folder, and a table of pairs: a, b, relation. Every pair that is not listed is no copy."""
    url: str
    """Folder of the images: all of them are looked at, also those without a copy."""
    pairs: str = ""
    """The table; empty = pairs.csv in the folder or in the one above."""
    count: tuple[str, ...] = ("copy",)
    """Relations that are copies."""
    ignore: tuple[str, ...] = ("ignore", "near_shot")
    """Relations that count for nothing; others are no copies."""

    def content(self) -> str:
        """Return what changes when files are added, removed or get another size, or when the table changes."""
        from shared.params import fingerprint
        from training.eval.sets.files import folder_content
        from training.eval.sets.tables import table_content

        return fingerprint(folder_content(WHO, self.url), table_content(WHO, self._table()))

    def _table(self) -> str:
        from shared.storage import Store

        above = self.url.rstrip("/").rpartition("/")[0]
        places = [self.pairs] if self.pairs else [f"{folder}/pairs.csv" for folder in (self.url.rstrip("/"), above)]
        return next((place for place in places if Store(place).exists("")), places[0])

    def opened(self, published: Published | None) -> "Labelled":
        """Read the pairs. Raises RecipeError where one names an image that is not there, or where none counts."""
        import numpy as np

        from training.eval.sets.files import ImageFiles, is_image, listed, opened_folder
        from training.eval.sets.labelled import Labelled
        from training.eval.sets.tables import words

        store = opened_folder(WHO, self.url)
        names = [name for name in listed(store) if is_image(name)]
        number = {name: row for row, name in enumerate(names)}
        table = self._table()
        rows = words(WHO, table, COLUMNS, {})
        lost = next((row[side] for row in rows for side in "ab" if row[side] not in number), None)
        if lost is not None:
            raise RecipeError(f"{table} names the image {lost}, which is not in {self.url}. Paths start from there.")

        def among(relations: tuple[str, ...]) -> np.ndarray:
            rows_of_pairs = {
                tuple(sorted((number[row["a"]], number[row["b"]]))) for row in rows if row["relation"] in relations
            }
            return np.array(sorted(rows_of_pairs), dtype=np.int64).reshape(-1, 2)

        copies = among(self.count)
        if not len(copies):
            relations = ", ".join(sorted({row["relation"] for row in rows}))
            raise RecipeError(f"{table} needs pairs whose relation is {' or '.join(self.count)}, got: {relations}.")
        rows_B = np.arange(len(names))
        return Labelled(
            self.title(self.url), ImageFiles(store, names), rows_B, copies=copies, ignored=among(self.ignore)
        )
