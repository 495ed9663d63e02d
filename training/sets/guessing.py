"""Which kind of set lies at a path."""

from typing import Any

from shared.errors import RecipeError
from shared.storage import Store


def set_at(url: str) -> dict[str, Any]:
    """Return the fields of the set at a path or URL. Raises RecipeError where nothing is there."""
    store = Store(url)
    if not store.exists(""):
        raise RecipeError(f"A set to evaluate on is needed at {url}, where there is nothing. Give a folder or a file.")
    return {"kind": "folder", "url": url}
