"""Hugging Face `datasets`: a folder that save_to_disk wrote, or a dataset by its name, in their Arrow files."""

import json
from collections.abc import Iterator
from typing import Any, Literal, Self

from pydantic import model_validator

from curation.sources.files import open_location, stat_file, uri_of
from curation.sources.label_rule import former_labels
from curation.sources.listing import IndexRow, Listed
from curation.sources.notes import Notes
from curation.sources.table_rows import LABEL_WORDS, table_rows
from shared.errors import SourceError


class HuggingFaceSource(Listed):
    """A dataset of Hugging Face's `datasets` library."""

    marks = ("dataset_dict.json", "state.json")
    label_words = LABEL_WORDS
    kind: Literal["huggingface"] = "huggingface"
    """A Hugging Face dataset: `url` of a folder written by save_to_disk, or `dataset`, a name as load_dataset takes.
    label: auto is the column label, fine_label, class or category; class numbers are given their names."""
    url: str = ""
    """Folder written by save_to_disk; on an object store it is read whole once more, to be listed."""
    dataset: str = ""
    """Name on the Hub, or a local folder that load_dataset understands; downloaded to Hugging Face's cache."""
    config: str = ""
    """Configuration of the dataset, where it has several."""
    split: str = ""
    """The split; may be empty where there is only one."""
    revision: str = ""
    """Branch, tag or commit on the Hub: name a commit to get the same images next year."""
    column: str = ""
    """The column with the images; inside of a struct a.b; found by name and type when empty."""

    @model_validator(mode="before")
    @classmethod
    def _former_keys(cls, given: Any) -> Any:
        return former_labels(given, {"label_column": "column:{}".format})

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if bool(self.url) == bool(self.dataset):
            raise ValueError("give either url, a folder written by save_to_disk, or dataset, a name for load_dataset")
        if self.url and (self.config or self.revision):
            raise ValueError("config and revision belong to dataset: a folder written by save_to_disk has none")
        if "[" in self.split or "+" in self.split:
            raise ValueError("split names one whole split; name several as several sources")
        return self

    @property
    def title(self) -> str:
        """The source's name."""
        return self.name or (self.url or self.dataset).rstrip("/").rpartition("/")[2]

    def rows(self, notes: Notes) -> Iterator[IndexRow]:
        """Yield the rows of each Arrow file, in the order of the dataset."""
        files, expected = self._saved() if self.url else self._loaded()
        count = 0
        for path in files:
            fs, plain = open_location(path, self.title)
            stamp = stat_file(fs, plain).stamp
            listing = table_rows(self, self.column, uri_of(fs, plain), "arrow", stamp, plain.rpartition("/")[2])
            notes.merge(listing.notes)
            count += sum(row.offset == 0 or row.reader == "arrow" for row in listing.rows)
            yield from listing.rows
        if not count:
            raise SourceError(f"Source {self.title!r} needs images, but {self.url or self.dataset} has no rows.")
        if expected is not None and expected != count:
            raise SourceError(
                f"Source {self.title!r} needs Arrow files with the {expected} rows of {self.dataset}, got {count}. "
                "Write it with save_to_disk and give the folder as url."
            )

    def _saved(self) -> tuple[list[str], None]:
        fs, root = open_location(self.url, self.title)
        root = root.rstrip("/")
        splits = _json(fs, f"{root}/dataset_dict.json")
        if splits:
            root = f"{root}/{self._chosen(splits['splits'])}"
        state = _json(fs, f"{root}/state.json")
        if not state:
            raise SourceError(f"Source {self.title!r} needs a folder written by save_to_disk, but {root} is none.")
        if state.get("_indices_data_files"):
            raise SourceError(
                f"Source {self.title!r} needs a dataset without an indices mapping, but {root} was saved with "
                "one by an old release of `datasets`. Load it, call flatten_indices() and save it again."
            )
        return [uri_of(fs, f"{root}/{file['filename']}") for file in state["_data_files"]], None

    def _loaded(self) -> tuple[list[str], int]:
        import datasets

        try:
            loaded: Any = datasets.load_dataset(
                self.dataset,
                self.config or None,
                split=self.split or None,
                revision=self.revision or None,
                keep_in_memory=False,
            )
        except (OSError, ValueError, datasets.exceptions.DatasetsError) as error:
            raise SourceError(f"Source {self.title!r} needs the dataset {self.dataset!r}, but: {error}") from error
        if isinstance(loaded, datasets.DatasetDict):
            loaded = loaded[self._chosen(list(loaded))]
        return [file["filename"] for file in loaded.cache_files], len(loaded)

    def _chosen(self, splits: list[str]) -> str:
        wanted = self.split or (splits[0] if len(splits) == 1 else "")
        if wanted not in splits:
            raise SourceError(
                f"Source {self.title!r} needs a split, got {self.split or 'none'}. "
                f"Set `split` to one of: {', '.join(splits)}."
            )
        return wanted


def _json(fs: Any, path: str) -> Any:
    return json.loads(fs.cat_file(path)) if fs.exists(path) else None
