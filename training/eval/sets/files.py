"""Files of images under a folder or URL: their listing, their bytes, their pixels."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from PIL import Image

from shared.dataset_version import held_out
from shared.errors import RecipeError
from shared.images.decode import UndecodableError, decode
from shared.images.ids import digest
from shared.images.image_files import no_image
from shared.params import fingerprint
from shared.storage import Store


def is_image(name: str) -> bool:
    """Tell an image file by its path below a folder; what is hidden, or lies in a hidden folder, is none."""
    return no_image(name) is None


def listed(where: Store) -> dict[str, int]:
    """Return the size of every file under a folder by its relative path, in the order of paths."""
    root = where.path("")
    entries = where.fs.find(root.rstrip("/") or "/", detail=True)
    return {path.removeprefix(root): int(facts["size"]) for path, facts in sorted(entries.items())}


def opened_folder(who: str, url: str) -> Store:
    """Return the folder as a store. Raises RecipeError where there is none."""
    store = Store(url)
    if not store.fs.isdir(store.path()):
        what = "a file" if store.fs.exists(store.path()) else "nothing"
        raise RecipeError(f"{who} needs a folder, got {url}, where there is {what}.")
    return store


def folder_content(who: str, url: str) -> str:
    """Return what changes when files are added, removed or get another size."""
    return fingerprint(list(listed(opened_folder(who, url)).items()))


@dataclass(frozen=True)
class ImageFiles:
    """Image files by row number."""

    store: Store
    names: list[str]
    """Paths below the store, or absolute ones."""

    def __len__(self) -> int:
        return len(self.names)

    def path(self, row: int) -> str:
        """Return where a file is."""
        return self.store.path(self.names[row])

    def data(self, row: int) -> bytes:
        """Return the bytes of a file."""
        try:
            return self.store.read(self.names[row])
        except OSError as error:
            raise RecipeError(f"The image {self.path(row)} cannot be read: {error}.") from error

    def pixels(self, row: int) -> Image.Image:
        """Return upright RGB pixels. Raises RecipeError naming the file that has none."""
        return pixels_of(self.data(row), self.path(row))


def pixels_of(data: bytes, where: str) -> Image.Image:
    """Return upright RGB pixels. Raises RecipeError that says where the bytes are."""
    try:
        return decode(data).image
    except UndecodableError as error:
        raise RecipeError(
            f"An evaluation needs every image of its set to decode, got {where}: {error}. Mend or remove it."
        ) from error


class FileBytes(Protocol):
    """Images whose bytes can be had by row number."""

    def __len__(self) -> int: ...

    def data(self, row: int) -> bytes:
        """Return the bytes of an image."""
        ...


def tenth(files: FileBytes) -> np.ndarray:
    """Return for each file whether its content puts it into the held-out tenth: equal files go the same way."""
    return np.array([held_out(digest(files.data(row)).hex()) for row in range(len(files))])
