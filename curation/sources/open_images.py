"""Open Images: a folder or tars of images named by their ids, with labels and rotations in the official CSVs."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from curation.sources.files import open_location
from curation.sources.folder import FolderSource
from curation.sources.listing import IndexRow, Listed
from curation.sources.notes import Notes
from curation.sources.tar import COMPRESSED, TarSource
from shared.errors import SourceError

if TYPE_CHECKING:
    import pyarrow as pa


class OpenImagesSource(Listed):
    """Open Images, as it is downloaded."""

    kind: Literal["open_images"] = "open_images"
    """Open Images: a folder of images or of tars, with the official CSVs. Its .tar.gz must be decompressed first.
    label: auto is that of image_labels."""
    image_labels: str = ""
    """CSV with ImageID, LabelName, Confidence: the label is the one with the highest confidence above 0."""
    class_descriptions: str = ""
    """CSV without a header that names the classes: /m/0abc,Cat."""
    rotations: str = ""
    """CSV with ImageID and Rotation, degrees counter-clockwise that an image must be turned to stand upright."""

    def rows(self, notes: Notes) -> Iterator[IndexRow]:
        """Yield the images with their labels and rotations."""
        rows = list(self._images().rows(notes))
        ids = [_id(row.uri) for row in rows]
        labels, turns = self._labels(ids), self._turns(ids)
        for row, key in zip(rows, ids, strict=True):
            label = labels.get(key) if self.label == "auto" else row.label
            yield row._replace(label=label, rotation=turns.get(key))

    def _images(self) -> FolderSource | TarSource:
        fs, path = open_location(self.url, self.title)
        common: dict[str, Any] = {"url": self.url, "name": self.title, "include": self.include, "exclude": self.exclude}
        common |= {"label": "none" if self.label == "auto" else self.label, "metadata": self.metadata}
        common |= {"follow_links": self.follow_links}
        tars = path.endswith((".tar", *COMPRESSED)) or (fs.isdir(path) and _holds_tars(fs, path))
        if tars or set(path) & set("*?{"):
            return TarSource(**common)
        return FolderSource(**common)

    def _labels(self, ids: list[str]) -> dict[str, str]:
        if not self.image_labels:
            return {}
        import pyarrow as pa
        import pyarrow.compute as pc

        best: list[pa.Table] = []
        kinds = {"ImageID": pa.string(), "LabelName": pa.string(), "Confidence": pa.float64()}
        for block in self._blocks(self.image_labels, kinds, ids):
            block = block.filter(pc.greater(block["Confidence"], 0))
            best.append(_first_of_each(block))
            if sum(table.num_rows for table in best[1:]) > best[0].num_rows:  # merged as often as its size doubles
                best = [_first_of_each(pa.concat_tables(best))]
        names = self._names()
        firsts = _first_of_each(pa.concat_tables(best))
        pairs = zip(firsts["ImageID"].to_pylist(), firsts["LabelName"].to_pylist(), strict=True)
        return {key: names.get(label, label) for key, label in pairs}

    def _names(self) -> dict[str, str]:
        if not self.class_descriptions:
            return {}
        import csv

        fs, path = open_location(self.class_descriptions, self.title)
        try:
            with fs.open(path, "r", encoding="utf-8", newline="") as file:
                return {row[0]: row[1] for row in csv.reader(file) if len(row) > 1}
        except (OSError, ValueError) as error:
            raise self._bad_csv(self.class_descriptions, error) from error

    def _turns(self, ids: list[str]) -> dict[str, int]:
        if not self.rotations:
            return {}
        import pyarrow as pa

        turns: dict[str, int] = {}
        for block in self._blocks(self.rotations, {"ImageID": pa.string(), "Rotation": pa.float64()}, ids):
            for key, degrees in zip(block["ImageID"].to_pylist(), block["Rotation"].to_pylist(), strict=True):
                if degrees and degrees % 90:
                    raise self._bad_csv(self.rotations, f"{key} has a rotation of {degrees:g}, no multiple of 90")
                if degrees and degrees % 360:
                    turns[key] = int(degrees) % 360
        return turns

    def _blocks(self, url: str, kinds: dict[str, "pa.DataType"], ids: list[str]) -> "Iterator[pa.Table]":
        """Stream a CSV that may be far larger than memory; keep the rows of the images that are here."""
        import pyarrow as pa
        import pyarrow.compute as pc
        from pyarrow import csv

        fs, path = open_location(url, self.title)
        wanted = pa.array(ids, pa.string())
        try:
            with (
                fs.open(path, "rb", compression="infer") as file,
                csv.open_csv(
                    file,
                    csv.ReadOptions(block_size=1 << 27),
                    csv.ParseOptions(newlines_in_values=True),  # titles of photographs have them
                    csv.ConvertOptions(column_types=kinds, include_columns=list(kinds)),
                ) as blocks,
            ):
                for block in blocks:
                    table = pa.Table.from_batches([block])
                    yield table.filter(pc.is_in(table["ImageID"], wanted))
        except (OSError, pa.ArrowException, KeyError) as error:
            raise self._bad_csv(url, error) from error

    def _bad_csv(self, url: str, error: Any) -> SourceError:
        return SourceError(f"Source {self.title!r} needs {url} as Open Images publishes it, but: {error}.")


def _id(uri: str) -> str:
    return uri.rpartition("/")[2].rpartition("#")[2].partition(".")[0]


def _holds_tars(fs: Any, path: str) -> bool:
    return any(str(name).endswith((".tar", *COMPRESSED)) for name in fs.ls(path, detail=False))


def _first_of_each(labels: "pa.Table") -> "pa.Table":
    """Return the row with the highest confidence for each image, the first by name among equals."""
    import pyarrow as pa

    order = [("ImageID", "ascending"), ("Confidence", "descending"), ("LabelName", "ascending")]
    labels = labels.sort_by(order).combine_chunks()
    ids = labels["ImageID"].to_numpy(zero_copy_only=False)
    return labels.filter(pa.array([True, *(ids[1:] != ids[:-1])][: len(ids)], pa.bool_()))
