"""The rows of one Parquet or Arrow file as images: for every source of tables."""

from typing import TYPE_CHECKING, Any, NamedTuple

from curation.sources.folder_labels import HIVE, folder_labels
from curation.sources.listing import IndexRow, Listed, refused
from curation.sources.metadata_files import LABELS, as_json
from curation.sources.notes import Notes
from shared.images.image_table import ImageTable, read_image_table

if TYPE_CHECKING:
    from shared.images.table_cells import Format

LABEL_WORDS = ("auto", "none", "column", "folder", "regex")
"""Ways to find labels that a source of tables understands."""


class TableListing(NamedTuple):
    """What one table gives."""

    rows: list[IndexRow]
    notes: Notes


def table_rows(source: Listed, column: str, uri: str, form: "Format", stamp: str, name: str) -> TableListing:
    """Return a row for each image of a file, and one for its damage; `name` is its path below the source.

    Raises NoImagesError where no column holds images.
    """
    rule, notes = source.label_rule, Notes()
    label_columns = {"auto": LABELS, "column": (rule.detail,)}.get(rule.how, ())
    keeps = source.keeps if source.metadata else None
    table = read_image_table(uri, form, f"Source {source.title!r}", column, label_columns, keeps)
    labels = _labels(source, table, name, notes)
    if table.others:
        notes.guess("images", f"{table.column} (not {', '.join(table.others)})", len(labels))
    kept = [as_json(values) for values in table.kept] if table.kept is not None else [None] * len(labels)
    rows: list[IndexRow] = []
    for i, (label, text) in enumerate(zip(labels, kept, strict=False)):
        for place, member in _members(table, i):
            rows.append(IndexRow(f"{uri}#{i}{place}", uri, stamp, label, form, member, i, metadata=text))
    return TableListing([*rows, refused(uri, table.damage, stamp)] if table.damage else rows, notes)


def _members(table: ImageTable, row: int) -> list[tuple[str, str]]:
    """Return what tells the images of a row apart, and where each lies: one, or as many as its list holds."""
    if table.counts is None:
        return [("", table.column)]
    before, _, behind = table.column.partition("[]")
    count = table.counts[row] if row < len(table.counts) else 0
    return [(f"[{i}]", f"{before}[{i}]{behind}") for i in range(count)]


def _labels(source: Listed, table: ImageTable, name: str, notes: Notes) -> list[str | None]:
    """Return the label of each row: of its column, of what a Hive folder says, or by the path of the file."""
    rule, count = source.label_rule, len(table.labels)
    if table.label_column and table.is_labelled:
        if rule.how == "auto" and any(label is not None for label in table.labels):
            notes.guess("column", table.label_column, count)
        return table.labels
    if table.label_column:
        notes.guess("unusable", table.label_column, count)
    label: Any = None
    if rule.how in ("folder", "regex"):
        label = rule.by_path(name)
    elif rule.how == "auto" and any(HIVE.fullmatch(part) for part in name.split("/")[:-1]):
        label = folder_labels([name], notes)[tuple(name.split("/")[:-1])]
    return [label] * count
