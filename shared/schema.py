"""The shape of a table: its columns, their types, and beside whose rows its own stand."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

TEXT = "string"
WORD = "word"
"""Text with few different values, stored as a dictionary."""
ID = "id"
"""128-bit BLAKE2b digest: at 1.2 billion images a collision has probability 2e-21."""
INT, LONG, FLOAT = "int32", "int64", "float32"
HASH = "hash"
"""64 bits."""
HASHES = "hashes"
"""Eight hashes of 64 bits, one for each orientation of the image."""
THUMBNAIL = "thumbnail"
"""Gray levels [32, 32], blue and red difference [8, 8] each."""
VECTOR = "vector"
"""A list of 16-bit floats."""
SCORES = "scores"
"""A list of 32-bit floats."""


@dataclass(frozen=True)
class Contract:
    """The columns of one table, and beside whose rows its own stand."""

    name: str
    columns: dict[str, str]
    aligned: str | None = "images"
    optional: dict[str, str] = field(default_factory=dict)
    """Columns that a table may have besides, where a recipe asks for them."""

    @cached_property
    def schema(self) -> "pa.Schema":
        """The Arrow schema; Arrow is imported only when a table is at hand, so that help is quick."""
        return self.wide(())

    def wide(self, optional: Collection[str]) -> "pa.Schema":
        """Return the schema with some of the optional columns."""
        import pyarrow as pa

        types = {
            WORD: pa.dictionary(pa.int32(), pa.string()),
            ID: pa.binary(16),
            HASH: pa.binary(8),
            HASHES: pa.binary(64),
            THUMBNAIL: pa.binary(32 * 32 + 2 * 8 * 8),
            VECTOR: pa.list_(pa.float16()),
            SCORES: pa.list_(pa.float32()),
        }
        columns = self.columns | {name: kind for name, kind in self.optional.items() if name in optional}
        return pa.schema([(name, types.get(kind) or pa.type_for_alias(kind)) for name, kind in columns.items()])

    def only(self, *names: str) -> "Contract":
        """Return the table with some of its columns, for a stage that reads no others. Raises TypeError."""
        columns, optional = (
            {name: kind for name, kind in kinds.items() if name in names} for kinds in (self.columns, self.optional)
        )
        unknown = set(names) - {*columns, *optional}
        if unknown:
            raise TypeError(f"Table {self.name} needs names of its columns, got {min(unknown)}.")
        return replace(self, columns=columns, optional=optional)

    def check(self, table: "pa.Table", who: str) -> "pa.Table":
        """Return the table with its columns in the contract's order; raise TypeError on any other shape."""
        schema = self.wide(table.column_names)
        given, wanted = set(table.column_names), set(schema.names)
        if given != wanted:
            raise TypeError(
                f"{who} must write the columns of {self.name}: missing {sorted(wanted - given)}, "
                f"unexpected {sorted(given - wanted)}."
            )
        return table.select(schema.names).cast(schema).replace_schema_metadata(table.schema.metadata)


def under(schema: "pa.Schema", table: "pa.Table") -> "pa.Table":
    """Return the columns of a schema: those of the table that it has, nulls for the others."""
    import pyarrow as pa

    columns = [
        table[one.name].cast(one.type) if one.name in table.column_names else pa.nulls(len(table), one.type)
        for one in schema
    ]
    return pa.table(columns, schema=schema)
