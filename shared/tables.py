"""Parts of tables on storage: named by what made them, written once, read by column."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shared.errors import DamagedFileError
from shared.schema import Contract
from shared.storage import Store
from shared.storage.checked import parquet_bytes, read_footer, read_table, with_trailer
from shared.storage.checked_json import json_text, read_facts

FOLDER = "stages"
REMEMBERED = "remembered"
"""The fact of an output that names the files in which the next run finds again what this one found."""


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

    def speaks_of(self, number: int) -> bool:
        """Whether it may say something of a part of the index."""
        return self.covers is None or self.covers[0] <= number <= self.covers[1]


@dataclass(frozen=True)
class Output:
    """A finished table: what made it, and its parts in order."""

    stage: str
    key: str
    aligned: str | None
    parts: tuple[Part, ...]
    facts: dict[str, Any] = field(default_factory=dict)
    """What the stage says of the whole: it names nothing, so that it may change without a part."""

    @property
    def rows(self) -> int:
        """All rows of all parts."""
        return sum(part.rows for part in self.parts)

    @property
    def reasons(self) -> dict[str, int]:
        """Rows for each reason, over all parts."""
        total: dict[str, int] = {}
        for part in self.parts:
            for reason, count in part.reasons.items():
                total[reason] = total.get(reason, 0) + count
        return total

    def seal(self, store: Store, facts: dict[str, Any]) -> "Output":
        """Write the manifest: from now on the same request finds this output."""
        manifest = {**facts, "aligned": self.aligned, "parts": [asdict(part) for part in self.parts]}
        manifest |= {"facts": self.facts} if self.facts else {}
        store.write(manifest_name(self.stage, self.key), json_text(manifest))
        return self


def manifest_name(stage: str, key: str) -> str:
    """Where the manifest of an output lies."""
    return f"{FOLDER}/{stage}/{key}.json"


def part_name(stage: str, name: str) -> str:
    """Where a part lies."""
    return f"{FOLDER}/{stage}/{name}.parquet"


def sealed(store: Store, stage: str, key: str) -> Output | None:
    """Return the finished output, or None when it was never sealed or lost a part since.

    Raises DamagedFileError for a seal that is not as it was written.
    """
    name = manifest_name(stage, key)
    try:
        manifest = read_facts(store, name)
    except FileNotFoundError:
        return None
    output = output_of(manifest, stage, key)
    existing = set(store.names(f"{FOLDER}/{stage}"))
    return output if all(f"{part.name}.parquet" in existing for part in output.parts) else None


def recorded(store: Store, stage: str, key: str) -> Output:
    """Return an output that is known to be sealed, without looking for its parts."""
    name = manifest_name(stage, key)
    return output_of(read_facts(store, name), stage, key)


def output_of(manifest: dict[str, Any], stage: str, key: str) -> Output:
    """Return the output that a seal tells of. Raises DamagedFileError for one that tells of none."""
    try:
        parts = tuple(_part(part) for part in manifest["parts"])
        return Output(stage, key, manifest["aligned"], parts, manifest.get("facts", {}))
    except (KeyError, TypeError) as error:
        raise DamagedFileError(manifest_name(stage, key), "is no seal of a stage") from error


def made_by(store: Store, output: Output) -> str:
    """Return what made a sealed output, without what it was made of: stage, version and parameters, as JSON."""
    facts = read_facts(store, manifest_name(output.stage, output.key))
    return json.dumps([facts["stage"], facts["version"], facts["params"]], sort_keys=True)


def newest_manifest(store: Store, stage: str) -> dict[str, Any] | None:
    """Return the manifest that was sealed last for a stage, or None when there is none that can be read."""
    newest = store.newest(f"{FOLDER}/{stage}", ".json")
    if newest is None:
        return None
    try:
        return read_facts(store, newest)
    except DamagedFileError:
        return None


def commit_part(store: Store, stage: str, table: pa.Table, name: str | None = None) -> Part:
    """Write a part under its name, or under the digest of its content where none is given."""
    described: dict[str, Any] = {"reasons": _count_reasons(table), "facts": facts_of(table)}
    if "part" in table.column_names and table.num_rows:
        described["covers"] = tuple(pc.min_max(table["part"]).as_py().values())
    table = table.replace_schema_metadata({"dinoflow": json.dumps(described, sort_keys=True)})
    data = parquet_bytes(table, row_group_size=100_000)
    name = name or hashlib.blake2b(data, digest_size=10).hexdigest()
    data, checksum = with_trailer(data)
    store.write(part_name(stage, name), data)
    return Part(name, table.num_rows, **described, checksum=checksum)


def describe_part(store: Store, stage: str, name: str) -> Part:
    """Return the facts of a part that is on storage, from its footer. Raises DamagedFileError."""
    footer, metadata, checksum = read_footer(store, part_name(stage, name))
    try:
        return _part({"name": name, "rows": footer.num_rows, **json.loads(metadata[b"dinoflow"]), "checksum": checksum})
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


def _part(described: dict[str, Any]) -> Part:
    covers = described.get("covers")
    return Part(**{**described, "covers": covers and (covers[0], covers[1])})


def _count_reasons(table: pa.Table) -> dict[str, int]:
    if "reason" not in table.column_names:
        return {}
    counts = pc.value_counts(table["reason"].cast(pa.string()).drop_null())
    return {entry["values"].as_py(): entry["counts"].as_py() for entry in counts}


@dataclass(frozen=True)
class Rows:
    """All rows of an output, for a stage that must see them together."""

    store: Store
    output: Output

    def tables(self, columns: Iterable[str] | None = None) -> Iterator[pa.Table]:
        """Yield the parts in order, only the columns named."""
        wanted = None if columns is None else list(columns)
        for part in self.output.parts:
            yield read_part(self.store, self.output.stage, part.name, part.checksum, columns=wanted)

    def table(self, contract: Contract, columns: Iterable[str]) -> pa.Table:
        """Return the named columns of all parts as one table."""
        wanted = list(columns)
        empty = pa.schema([contract.schema.field(name) for name in wanted]).empty_table()
        tables = [empty, *self.tables(wanted)]
        return pa.concat_tables(tables).unify_dictionaries().combine_chunks()

    def numbers(self, places: pa.Table) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Return, for each `part` and `row`, the row's number in the whole table."""
        firsts = np.cumsum([0, *(part.rows for part in self.output.parts)])
        return np.asarray(firsts[places["part"].to_numpy()] + places["row"].to_numpy(), dtype=np.int64)

    def places(self, numbers: np.ndarray[Any, np.dtype[np.int64]]) -> pa.Table:
        """Return `part` and `row` of the rows of these numbers."""
        firsts = np.cumsum([0, *(part.rows for part in self.output.parts)])
        part = np.searchsorted(firsts, numbers, "right") - 1
        return pa.table({"part": pa.array(part, pa.int32()), "row": pa.array(numbers - firsts[part], pa.int32())})

    def taken(self, contract: Contract, columns: Iterable[str], numbers: np.ndarray[Any, Any]) -> pa.Table:
        """Return the named columns of the rows of these numbers, in their order, read part by part."""
        wanted, first = list(columns), 0
        ascending, inverse = np.unique(numbers, return_inverse=True)
        pieces = [pa.schema([contract.schema.field(name) for name in wanted]).empty_table()]
        for part in self.tables(wanted):
            low, high = np.searchsorted(ascending, (first, first + part.num_rows))
            pieces.append(part.take(pa.array(ascending[low:high] - first)))
            first += part.num_rows
        table = pa.concat_tables(pieces).unify_dictionaries().combine_chunks()
        del pieces  # of many rows there are two copies for a moment, not three
        return table if np.array_equal(ascending, numbers) else table.take(pa.array(inverse))
