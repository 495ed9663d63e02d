"""The listing of all sources as one table of parts, in which every uri stands once; and what is passed over."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import PurePosixPath
from typing import Any

import pyarrow as pa

from curation.params import IndexParams
from curation.params.copies import DecontaminateParams
from curation.sources import Source
from curation.sources.listing import Listed
from curation.sources.notes import Notes
from shared.errors import SourceError

log = logging.getLogger(__name__)

SET_PART_IMAGES = 2_000
"""Images in a part of an evaluation set: they are few, and many processes want some."""


def list_sources(params: IndexParams) -> Iterator[pa.Table | dict[str, Any]]:
    """Yield the parts of every source, then what each of them holds beside its images.

    Sources of one name are told apart by the folders above. Raises SourceError for none, for names that a recipe
    gives twice and for one file in two.
    """
    if not params.sources:
        raise SourceError("Curation needs at least one source, got none. Name one with --source DIR_OR_URL.")
    for part in _apart(_named_apart(params.sources), params.part_images):
        yield _restamped(part, params.changed) if params.changed and isinstance(part, pa.Table) else part


def _restamped(part: pa.Table, changed: Mapping[str, str]) -> pa.Table:
    """Add to the stamps of changed files what they were found to hold, so that their part has another name."""
    stamps = [
        f"{stamp}#{changed[uri]}" if uri in changed else stamp
        for uri, stamp in zip(part["uri"].to_pylist(), part["stamp"].to_pylist(), strict=True)
    ]
    place = part.schema.get_field_index("stamp")
    return part.set_column(place, part.schema.field(place), pa.array(stamps, part.schema.field(place).type))


def list_sets(params: DecontaminateParams) -> Iterator[pa.Table | dict[str, Any]]:
    """Yield the parts of every evaluation set, under its name; nothing when there are none.

    Raises SourceError for one file in two sets.
    """
    sources = [one.source.model_copy(update={"name": one.name}) for one in params.sets]
    yield from _apart(sources, SET_PART_IMAGES)


def _named_apart(sources: Sequence[Source]) -> list[Source]:
    """Give sources of one name those of the folders above, as many as it takes: `a/train` and `b/train`."""
    titles = [source.title for source in sources]
    given = [source.name for source in sources if source.name]
    twice = sorted({name for name in titles if titles.count(name) > 1 and name in given})
    if twice:
        raise SourceError(f"Sources need different names, got {twice} twice. Give each a `name` of its own.")
    for depth in count(2):
        again = {title for title in titles if titles.count(title) > 1}
        if not again:
            break
        for place, source in enumerate(sources):
            if titles[place] in again:
                titles[place] = "/".join(PurePosixPath(source.url.rstrip("/")).parts[-depth:]).replace("//", "/")
        if depth > max(len(PurePosixPath(source.url).parts) for source in sources):
            raise SourceError(f"Sources must not be the same, got {sorted(again)} twice. Leave one of them out.")
    return [source.model_copy(update={"name": title}) for source, title in zip(sources, titles, strict=True)]


def _apart(sources: Sequence[Source], part_images: int) -> Iterator[pa.Table | dict[str, Any]]:
    """A file may hold images of one source only: by the file, because folders, patterns and lists hide what they share.

    Files are remembered by hash(), which is good for one process: 8 bytes of table and 28 of number for each.
    """
    others: dict[int, str] = {}
    alone, metadata = len(sources) == 1, any(source.metadata for source in sources)
    facts: dict[str, Any] = {}
    for source in sources:
        own: dict[int, str] = {}
        notes = Notes()
        for table in source.tables(part_images, notes, metadata):
            for path in () if alone else table["path"].unique().to_pylist():
                if hash(path) in others:
                    raise SourceError(
                        f"Sources must not overlap: {path} is in {others[hash(path)]!r} and in {source.title!r}. "
                        "Leave it to one of them."
                    )
                own[hash(path)] = source.title
            yield table
        others |= own
        facts[source.title] = notes.facts()
        _log(source, notes)
    if facts:
        yield {"sources": facts}


def _log(source: Listed, notes: Notes) -> None:
    for line in notes.lines():
        log.info("%s: %s", source.title, line)
