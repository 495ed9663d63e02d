"""What a stage is given of its inputs: the columns that it declares, since by these alone its work is named."""

from dataclasses import replace
from typing import Any

import pyarrow as pa

from shared.schema import Contract
from shared.storage import Store
from shared.tables import Output, Part, Rows, read_part


def read_declared(store: Store, stage: str, part: Part, contract: Contract, filters: Any = None) -> pa.Table:
    """Return the declared columns of a part, optional ones where it has them; filters as pyarrow's."""
    columns, has = [*contract.columns], part.columns.split(",")
    if contract.optional and not part.columns:  # of an older dinoflow, which did not say
        table = read_part(store, stage, part.name, part.checksum, filters=filters)
        return table.select([*columns, *(name for name in contract.optional if name in table.column_names)])
    columns += [name for name in contract.optional if name in has]
    return read_part(store, stage, part.name, part.checksum, columns=columns, filters=filters)


def declared_rows(store: Store, output: Output, contract: Contract) -> Rows:
    """Return all rows of an output without its facts: another dinoflow may have found others, of the same rows."""
    parts = tuple(replace(part, facts={}) if part.facts else part for part in output.parts)
    return Rows(store, replace(output, parts=parts, facts={}), contract)
