"""The listing of all sources as one table of parts, in which every uri stands once."""

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from curation.params import IndexParams
from curation.params.copies import DecontaminateParams
from curation.sources import Source
from shared.errors import SourceError

SET_PART_IMAGES = 2_000
"""Images in a part of an evaluation set: they are few, and many processes want some."""


def list_sources(params: IndexParams) -> Iterator[pa.Table]:
    """Yield the parts of every source. Raises SourceError for none, for equal names and for one file in two."""
    if not params.sources:
        raise SourceError("Curation needs at least one source, got none. Name one with --source DIR_OR_URL.")
    titles = [source.title for source in params.sources]
    twice = sorted({title for title in titles if titles.count(title) > 1})
    if twice:
        raise SourceError(f"Sources need different names, got {twice} twice. Give each a `name` in the recipe.")
    for part in _apart(params.sources, params.part_images):
        yield _restamped(part, params.changed) if params.changed else part


def _restamped(part: pa.Table, changed: Mapping[str, str]) -> pa.Table:
    """Add to the stamps of changed files what they were found to hold, so that their part has another name."""
    stamps = [
        f"{stamp}#{changed[uri]}" if uri in changed else stamp
        for uri, stamp in zip(part["uri"].to_pylist(), part["stamp"].to_pylist(), strict=True)
    ]
    place = part.schema.get_field_index("stamp")
    return part.set_column(place, part.schema.field(place), pa.array(stamps, part.schema.field(place).type))


def list_sets(params: DecontaminateParams) -> Iterator[pa.Table]:
    """Yield the parts of every evaluation set, under its name; nothing when there are none.

    Raises SourceError for one file in two sets.
    """
    sources = [one.source.model_copy(update={"name": one.name}) for one in params.sets]
    yield from _apart(sources, SET_PART_IMAGES)


def _apart(sources: Sequence[Source], part_images: int) -> Iterator[pa.Table]:
    """A file may hold images of one source only: by the file, because folders, patterns and lists hide what they share.

    Files are remembered by hash(), which is good for one process: 8 bytes of table and 28 of number for each.
    """
    others: dict[int, str] = {}
    alone = len(sources) == 1
    for source in sources:
        own: dict[int, str] = {}
        for table in source.tables(part_images):
            for path in () if alone else table["path"].unique().to_pylist():
                if hash(path) in others:
                    raise SourceError(
                        f"Sources must not overlap: {path} is in {others[hash(path)]!r} and in {source.title!r}. "
                        "Leave it to one of them."
                    )
                own[hash(path)] = source.title
            yield table
        others |= own
