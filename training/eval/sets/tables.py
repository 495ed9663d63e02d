"""Tables that people write about images: CSV or Parquet files, read as words."""

import csv
import io
from collections.abc import Mapping, Sequence

from shared.errors import RecipeError
from shared.params import fingerprint
from shared.storage import Store
from training.eval.sets.files import ImageFiles

PARQUET = ".parquet"
LEVELS = 3
"""So many folders above a table are tried as the one that its paths start from."""


def is_table(url: str) -> bool:
    """Tell a table by its name."""
    return url.endswith((".csv", PARQUET))


def opened_table(who: str, url: str) -> tuple[Store, str]:
    """Return a file's folder and its name. Raises RecipeError where there is no file."""
    folder, _, name = url.rpartition("/")
    store = Store(folder or ("/" if url.startswith("/") else "."))
    if not store.exists(name) or store.fs.isdir(store.path(name)):
        raise RecipeError(f"{who} needs a CSV or Parquet file, got {url}, which is none.")
    return store, name


def table_content(who: str, url: str) -> str:
    """Return what changes when the table is written anew with another text."""
    store, name = opened_table(who, url)
    return fingerprint(store.read(name).hex())


def columns_of(who: str, url: str) -> list[str]:
    """Return the names of the columns."""
    store, name = opened_table(who, url)
    with store.open(name) as file:
        if name.endswith(PARQUET):
            import pyarrow.parquet as pq

            return list(pq.read_schema(file).names)
        return next(csv.reader([file.readline().decode("utf-8-sig")]), [])


def words(who: str, url: str, columns: Sequence[str], where: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the rows whose columns hold the words of `where`. Raises RecipeError where a column is not there."""
    wanted, present = list(dict.fromkeys((*columns, *where))), columns_of(who, url)
    absent = [column for column in wanted if column not in present]
    if absent:
        raise RecipeError(
            f"{who} needs a column {absent[0]!r}, got {url} with {', '.join(present) or 'none'}. "
            "Name the columns that it has, in the recipe or as --data '{kind: …, url: …}'."
        )
    store, name = opened_table(who, url)
    with store.open(name) as file:
        if name.endswith(PARQUET):
            import pyarrow.parquet as pq

            rows = pq.read_table(file, columns=wanted).to_pylist()
        else:
            rows = list(csv.DictReader(io.StringIO(file.read().decode("utf-8-sig"))))
    texts = [{key: "" if row[key] is None else str(row[key]) for key in wanted} for row in rows]
    kept = [row for row in texts if all(row[key] == word for key, word in where.items())]
    if not kept:
        values = "; ".join(f"{key}: {', '.join(sorted({row[key] for row in texts})[:6])}" for key in where)
        raise RecipeError(
            f"{url} needs rows where {dict(where)}, got none of {len(texts)}. It has {values or 'no row'}."
        )
    return kept


def files_of(who: str, url: str, root: str, paths: Sequence[str]) -> ImageFiles:
    """Return the files of paths that start from the root or, without one, from the table's folder or one above.

    Raises RecipeError naming the first that is not there.
    """
    store, _ = opened_table(who, url)
    if root:
        store = Store(root)
    else:
        first = next(iter(paths), "")
        above = [store.path()]
        for _ in range(LEVELS):
            above.append(above[-1].rpartition("/")[0])
        protocol = "" if store.local else store.url.partition("://")[0] + "://"
        nearest = next((folder for folder in above if folder and store.fs.exists(f"{folder}/{first}")), above[0])
        store = Store(protocol + nearest)
    lost = next((path for path in paths if store.local and not store.exists(path)), None)
    if lost is not None:
        raise RecipeError(f"{url} names the image {lost}, which is not in {store.path()}. Say where paths start: root.")
    return ImageFiles(store, list(paths))
