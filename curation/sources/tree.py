"""From everything that lies in a folder or an archive to its images: what is taken, with labels and metadata.

Every entry ends as a row or is counted in the notes, once.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from curation.sources.folder_labels import folder_labels
from curation.sources.label_rule import LabelRule, label_of
from curation.sources.layouts import beside_images
from curation.sources.listing import IndexRow, Listed
from curation.sources.metadata_files import StatedRows, as_json, is_metadata, label_column, read_metadata
from curation.sources.notes import Notes
from curation.sources.patterns import matches
from curation.sources.sidecars import Sidecars
from shared.images.image_files import no_image

MAX_METADATA = 1 << 30


class Entry(NamedTuple):
    """A file of a folder, a tar or a zip."""

    name: str
    """Its path below the root, which no other entry has."""
    row: IndexRow
    """How it is read, were it an image; without a label."""
    size: int | None
    read: Callable[[], bytes]
    time: int = 0
    """How many entries before had the same path."""
    written: str = ""
    """The path as an archive has it, where `name` was made another one."""

    @property
    def path(self) -> str:
        """The path that says what the entry is: an archive may hold one twice."""
        return self.written or self.name


def pick(
    entries: Sequence[Entry], source: Listed, notes: Notes, sidecars: Sidecars, archive: str | None = None
) -> list[IndexRow]:
    """Return the rows of the images among the entries, in their order. `archive` is a label where nothing else is."""
    images: list[Entry] = []
    for entry in entries:
        why = source.leaves_out(entry.path) or no_image(entry.path)
        if why:
            notes.pass_over(entry.path, why)
        else:
            images.append(entry)
    beside = beside_images({entry.path: entry.read for entry in images if not matches(source.include, entry.path)})
    for entry in images:
        if entry.path in beside:
            notes.pass_over(entry.path, beside[entry.path])
    images = [entry for entry in images if entry.path not in beside]
    metadata = _metadata(entries, source)
    readable = [entry for entry in images if entry.row.reader != "refused"]
    labels = _labels(readable, source.label_rule, sidecars, metadata, archive, notes)
    rows = {
        entry.name: entry.row._replace(label=label, metadata=_kept(entry, source, sidecars, metadata))
        for entry, label in zip(readable, labels, strict=True)
    }
    return [rows.get(entry.name, entry.row) for entry in images]


def _metadata(entries: Sequence[Entry], source: Listed) -> StatedRows:
    if source.label_rule.how not in ("auto", "metadata") and not source.metadata:
        return {}
    rows: StatedRows = {}
    for entry in entries:
        if is_metadata(entry.path) and (entry.size or 0) <= MAX_METADATA:
            rows |= read_metadata(entry.path, entry.read())
    return rows


def _kept(entry: Entry, source: Listed, sidecars: Sidecars, metadata: StatedRows) -> str | None:
    if not source.metadata:
        return None
    stated = metadata.get(entry.path, {})
    chosen = {key: value for key, value in stated.items() if source.keeps(key)}
    return as_json(chosen | sidecars.kept(entry.path, entry.time))


def _labels(
    images: Sequence[Entry],
    rule: LabelRule,
    sidecars: Sidecars,
    metadata: StatedRows,
    archive: str | None,
    notes: Notes,
) -> list[str | None]:
    if rule.how == "none":
        return [None] * len(images)
    if rule.how == "archive":
        return [archive] * len(images)
    if rule.how in ("folder", "regex"):
        return [rule.by_path(entry.path) for entry in images]
    labels = [sidecars.label(entry.path, entry.time) or _stated(metadata.get(entry.path), rule) for entry in images]
    if rule.how != "auto":
        return labels
    _note_stated(images, labels, metadata, notes)
    rest = [entry.path for entry, label in zip(images, labels, strict=True) if label is None]
    by_folder = folder_labels(rest, notes) if rest else {}
    return [
        label or by_folder[tuple(entry.path.split("/")[:-1])] or _by_archive(archive, notes)
        for entry, label in zip(images, labels, strict=True)
    ]


def _stated(row: dict[str, object] | None, rule: LabelRule) -> str | None:
    column = (rule.detail or label_column(row)) if row and rule.how in ("auto", "metadata") else None
    return label_of(row.get(column)) if row and column else None


def _note_stated(images: Sequence[Entry], labels: Sequence[str | None], metadata: StatedRows, notes: Notes) -> None:
    for entry, label in zip(images, labels, strict=True):
        if label is not None:
            notes.guess("metadata" if entry.path in metadata else "sidecar", label)


def _by_archive(archive: str | None, notes: Notes) -> str | None:
    if archive is not None:
        notes.guess("archive", archive)
    return archive
