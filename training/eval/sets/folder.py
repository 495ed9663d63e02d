"""Class folders: DIR/CLASS/IMAGE, or DIR/train/CLASS/IMAGE and DIR/test/CLASS/IMAGE (or val)."""

from typing import TYPE_CHECKING, Literal

from shared.dataset_version import Published
from shared.errors import RecipeError
from training.eval.sets.base import Named

if TYPE_CHECKING:
    from training.eval.sets.labelled import Labelled, Sides


class FolderSet(Named):
    """Class folders; without train/ and test/ a tenth, decided by the files' content, is held out.

    Beside train/ and test/ nothing else counts, val/ neither; without test/ val/ is asked. What is left out is said.
    """

    kind: Literal["folder"] = "folder"
    """Class folders, or train/ and test/ (or val/) of them."""
    url: str
    """The folder, on a disk or any fsspec filesystem."""

    def content(self) -> str:
        """Return what changes when files are added, removed or get another size."""
        from shared.params import fingerprint
        from training.eval.sets.files import is_image, listed, opened_folder

        files = listed(opened_folder("A set of class folders", self.url))
        return fingerprint([pair for pair in files.items() if is_image(pair[0])])

    def opened(self, published: Published | None) -> "Labelled":
        """List the files. Raises RecipeError where they are no class folders."""
        import numpy as np

        from training.eval.sets.files import ImageFiles, is_image, listed, opened_folder, tenth
        from training.eval.sets.labelled import HELD_OUT, is_split, sides, with_labels

        store = opened_folder("A set of class folders", self.url)
        names = [name for name in listed(store) if is_image(name)]
        if not names:
            raise RecipeError(f"{self.url} needs class folders with images, got no image. Give DIR/CLASS/IMAGE.")
        folders = [name.split("/")[:-1] for name in names]
        splits = sides([inside[0] if inside else "" for inside in folders])
        if any(len(inside) > 1 and is_split(inside[0]) for inside in folders):
            names, folders, splits = _within_splits(names, folders, splits)
        else:  # a class may be called test
            splits = splits.none()
        labels = [inside[0] if inside else None for inside in folders]
        stray = [name for name, label in zip(names, labels, strict=True) if label is None]
        if stray and len(stray) < len(names):
            raise RecipeError(
                f"{self.url} needs every image in a class folder, got {len(stray):,} of {len(names):,} outside, "
                f"such as {stray[0]}. Move them into folders of their classes."
            )
        files, split = ImageFiles(store, names), HELD_OUT
        if stray:
            is_query = np.zeros(len(names), dtype=bool)
        elif splits.both:
            is_query, split = splits.is_query, "train and test folders"
        else:
            is_query = tenth(files)
        return with_labels(self.url, self.title(self.url), files, labels, is_query, split + splits.left_out)


def _within_splits(
    names: list[str], folders: list[list[str]], splits: "Sides"
) -> tuple[list[str], list[list[str]], "Sides"]:
    """Return the files of the splits alone, with what is below them: what lies beside is neither class nor split."""
    kept = [row for row, side in enumerate(splits.of_each) if side is not None]
    of_kept = splits._replace(of_each=[splits.of_each[row] for row in kept])
    return [names[row] for row in kept], [folders[row][1:] for row in kept], of_kept
