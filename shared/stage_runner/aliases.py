"""Other keys of remembered rows: a row stands once, under one key, and is found by whatever else names it."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shared.stage_runner.memo import Memo
from shared.stage_runner.memo_runs import KEY_BYTES
from shared.storage import Store

STANDS = "stands"
SCHEMA = pa.schema([(STANDS, pa.binary(KEY_BYTES))])


@dataclass(frozen=True)
class Aliases:
    """Keys, and those under which their rows stand."""

    memo: Memo

    @classmethod
    def of(cls, store: Store, folder: str, listed: tuple[str, ...] | None) -> "Aliases":
        """Return what a folder holds, looked up in the listed runs."""
        return cls(Memo(store, folder, SCHEMA, listed, whole=True))

    @property
    def none(self) -> bool:
        """Whether no key has an alias."""
        return self.memo.listed == ()

    def resolved(self, keys: pa.Array) -> pa.Array:
        """Return for each key the one under which its row stands: itself, if it is no alias."""
        if self.none:
            return keys
        places, rows = self.memo.lookup(keys)
        is_alias = np.zeros(len(keys), dtype=bool)
        is_alias[places.to_numpy()] = True
        return pc.replace_with_mask(keys, pa.array(is_alias), rows[STANDS].combine_chunks())

    def append(self, keys: pa.Array, stands: pa.Array) -> None:
        """Remember under which keys rows stand; they are committed before, or an alias would lead nowhere."""
        self.memo.append(keys, pa.table([stands], schema=SCHEMA))
