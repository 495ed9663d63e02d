"""Where images and their masks lie."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import NamedTuple

from shared.errors import RecipeError
from training.eval.sets.files import ImageFiles, is_image, listed, opened_folder
from training.eval.sets.tables import files_of, words

WHO = "A set with masks"
IMAGES, MASKS = "images", "masks"


class ImageMaskPairs(NamedTuple):
    """Images and masks, one to one."""

    images: ImageFiles
    masks: ImageFiles
    splits: list[str]
    beside: list[str]
    """Folders in which a classes.csv may lie, nearest first."""


def from_folder(url: str) -> ImageMaskPairs:
    """Return what lies in SPLIT/images and SPLIT/masks. Raises RecipeError for an image without a mask."""
    store = opened_folder(WHO, url)
    names = [name for name in listed(store) if is_image(name)]
    masks = {_stem(name, MASKS): name for name in names if f"/{MASKS}/" in f"/{name}"}
    images = [name for name in names if f"/{IMAGES}/" in f"/{name}"]
    if not images or not masks:
        raise RecipeError(
            f"{url} needs SPLIT/{IMAGES} and SPLIT/{MASKS}, got {len(images)} images and {len(masks)} masks there. "
            "Or give a CSV with the columns image, mask, split."
        )
    bare = next((name for name in images if _stem(name, IMAGES) not in masks), None)
    if bare is not None:
        raise RecipeError(
            f"{url} needs a mask for every image, got none for {bare}. Their names differ in the end alone."
        )
    paired = [masks[_stem(name, IMAGES)] for name in images]
    splits = [name.split("/")[0] for name in images]
    return ImageMaskPairs(ImageFiles(store, images), ImageFiles(store, paired), splits, [store.url])


def _stem(name: str, folder: str) -> str:
    path = PurePosixPath(name)
    return str(path.with_suffix("")).replace(f"{folder}/", "", 1)


def from_table(url: str, root: str, where: Mapping[str, str]) -> ImageMaskPairs:
    """Return what the columns image, mask and split say. Raises RecipeError for a file that is not there."""
    rows = words(WHO, url, ("image", "mask", "split"), where)
    images, masks = (files_of(WHO, url, root, [row[column] for row in rows]) for column in ("image", "mask"))
    inside = images.path(0).split("/")
    beside = ["/".join(inside[:-level]) for level in range(1, 4)]
    return ImageMaskPairs(images, masks, [row["split"] for row in rows], [*beside, url.rpartition("/")[0]])
