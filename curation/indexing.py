"""The listing of all sources as one table of parts, in which every uri stands once."""

from collections.abc import Iterator

import pyarrow as pa

from curation.params import IndexParams
from shared.errors import SourceError


def list_sources(params: IndexParams) -> Iterator[pa.Table]:
    """Yield the parts of every source. Raises SourceError for none, for equal names and for nested sources."""
    if not params.sources:
        raise SourceError("Curation needs at least one source, got none. Name one with --source DIR_OR_URL.")
    titles = [source.title for source in params.sources]
    twice = sorted({title for title in titles if titles.count(title) > 1})
    if twice:
        raise SourceError(f"Sources need different names, got {twice} twice. Give each a `name` in the recipe.")
    roots = [source.url.rstrip("/") for source in params.sources]
    for inner in roots:
        for outer in roots:
            if inner is not outer and f"{inner}/".startswith(f"{outer}/"):
                raise SourceError(f"Sources must not overlap: {inner} lies in {outer}. Name only one of them.")
    for source in params.sources:
        yield from source.tables(params.part_images)
