"""Parts of tables on storage, written once, read by column; what is known of one unread stands in its footer."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from shared.errors import DamagedFileError
from shared.storage import Store
from shared.storage.checked import parquet_bytes, read_footer, read_table, with_trailer
from shared.tables.column_digests import DIGEST, column_digests

FOLDER = "stages"
ABSENT = "-" * DIGEST
"""Stands for the digest of an optional column that a part does not have."""


@dataclass(frozen=True)
class Part:
    """One committed Parquet file of a stage: its name without ending, its rows, and its rows for each reason."""

    name: str
    rows: int
    reasons: dict[str, int]
    facts: dict[str, Any]
    """What the stage says of this part beside its rows: a name for its content, a measured recall."""
    checksum: str = ""
    """Of the file; empty where an older dinoflow wrote it."""
    covers: tuple[int, int] | None = None
    """The first and the last part of the index that it speaks of, where it says so by a column `part`."""
    columns: str = ""
    """The names of its columns, a comma between two."""
    digests: str = ""
    """A digest of the values in each column, one after the other; empty where an older dinoflow wrote it."""

    def speaks_of(self, number: int) -> bool:
        """Whether it may say something of a part of the index."""
        return self.covers is None or self.covers[0] <= number <= self.covers[1]

    def content(self, columns: Iterable[str]) -> str:
        """Return what is equal for parts with equal rows in these columns; for one without digests, its name."""
        if not self.digests:
            return self.name
        places = _places(self.columns, tuple(columns))
        found = (ABSENT if at is None else self.digests[at : at + DIGEST] for at in places)
        return f"{self.rows} {''.join(found)}"


@lru_cache(1024)
def _places(columns: str, wanted: tuple[str, ...]) -> tuple[int | None, ...]:
    """Return where among the digests of all columns those of the wanted ones begin."""
    place = {name: number * DIGEST for number, name in enumerate(columns.split(","))}
    return tuple(place.get(name) for name in wanted)


def part_name(stage: str, name: str) -> str:
    """Where a part lies."""
    return f"{FOLDER}/{stage}/{name}.parquet"


def commit_part(store: Store, stage: str, table: pa.Table, name: str | None = None) -> Part:
    """Write a part under its name, or under the digest of its content where none is given.

    Equal rows give equal bytes, of whatever inputs they were made: of a name there are no two files.
    """
    facts, table = facts_of(table), _as_always(table)
    said = _described(table) | {"facts": facts}
    table = table.replace_schema_metadata({"dinoflow": json.dumps(said, sort_keys=True)})
    data = parquet_bytes(table, row_group_size=100_000)
    name = name or hashlib.blake2b(data, digest_size=10).hexdigest()
    data, checksum = with_trailer(data)
    store.write(part_name(stage, name), data)
    return Part(name, table.num_rows, **said, checksum=checksum)


def describe_part(store: Store, stage: str, name: str) -> Part:
    """Return the facts of a part that is on storage, from its footer. Raises DamagedFileError."""
    footer, metadata, checksum = read_footer(store, part_name(stage, name))
    try:
        return part_of(
            {"name": name, "rows": footer.num_rows, **json.loads(metadata[b"dinoflow"]), "checksum": checksum}
        )
    except (KeyError, ValueError, TypeError) as error:
        raise DamagedFileError(part_name(stage, name), "does not say what it holds") from error


def read_part(store: Store, stage: str, name: str, checksum: str = "", **options: Any) -> pa.Table:
    """Read a part; options are those of pyarrow.parquet.read_table. Raises DamagedFileError."""
    return read_table(store, part_name(stage, name), checksum, **options).replace_schema_metadata(None)


def with_facts(table: pa.Table, facts: dict[str, Any]) -> pa.Table:
    """Attach facts to a table that a stage returns; they end in its part and in the manifest."""
    return table.replace_schema_metadata({"facts": json.dumps(facts, sort_keys=True)})


def facts_of(table: pa.Table) -> dict[str, Any]:
    """Return the facts attached to a table."""
    facts: dict[str, Any] = json.loads((table.schema.metadata or {}).get(b"facts", b"{}"))
    return facts


def part_of(said: dict[str, Any]) -> Part:
    """Return a part from what a seal or a footer says of it."""
    covers = said.get("covers")
    return Part(**{**said, "covers": covers and (covers[0], covers[1])})


def _as_always(table: pa.Table) -> pa.Table:
    """Return the table in one chunk, its words numbered as they come, and none that its rows do not hold."""
    words = [pa.types.is_dictionary(column.type) for column in table.columns]
    plain = [c.cast(c.type.value_type) if word else c for c, word in zip(table.columns, words, strict=True)]
    whole = [column.combine_chunks() for column in plain]
    columns = [c.dictionary_encode() if word else c for c, word in zip(whole, words, strict=True)]
    return pa.table(columns, schema=table.schema)


def _described(table: pa.Table) -> dict[str, Any]:
    """Return what the footer of a part says of its table, beside its facts."""
    said: dict[str, Any] = {"reasons": _count_reasons(table)}
    if "part" in table.column_names and table.num_rows:
        said["covers"] = tuple(pc.min_max(table["part"]).as_py().values())
    return said | {"columns": ",".join(table.column_names), "digests": column_digests(table)}


def _count_reasons(table: pa.Table) -> dict[str, int]:
    if "reason" not in table.column_names:
        return {}
    counts = pc.value_counts(table["reason"].cast(pa.string()).drop_null())
    return {entry["values"].as_py(): entry["counts"].as_py() for entry in counts}
