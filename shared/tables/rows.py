"""All rows of a finished table, for a stage that must see them together."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from shared.schema import Contract
from shared.storage import Store
from shared.tables.outputs import Output
from shared.tables.parts import read_part


@dataclass(frozen=True)
class Rows:
    """All rows of an output, for a stage that must see them together."""

    store: Store
    output: Output
    reads: Contract | None = None
    """The columns that the stage declares, for what it makes is named by them alone; None = all, for no stage."""

    def readable(self, columns: Iterable[str]) -> Output:
        """Return the output, for whoever reads these columns in its files. Raises TypeError for one not declared."""
        undeclared = set(columns) - {*self.reads.columns, *self.reads.optional} if self.reads else None
        if undeclared:
            raise TypeError(
                f"A stage needs its columns declared, got {min(undeclared)} of {self.output.stage}. "
                "Name it in `reads` of the stage."
            )
        return self.output

    def tables(self, columns: Iterable[str] | None = None) -> Iterator[pa.Table]:
        """Yield the parts in order, only the columns named; without names all, or those that the stage declares."""
        wanted = list(columns) if columns is not None else [*self.reads.columns] if self.reads else None
        output = self.readable(wanted or ())
        for part in output.parts:
            yield read_part(self.store, output.stage, part.name, part.checksum, columns=wanted)

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
