"""What a search found is remembered; of a corpus of which images came or went, only the difference is searched.

A remembered list stays right while its image asks, but for targets that are new. Where one of its targets left and
the list was full, another would follow: that image asks again.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.arrays import Array, Floats
from curation.dedup.ivf.assign import ANY, ASKS, ASKS_NEW, NEW, TARGET
from shared.schema import under
from shared.storage import Store
from shared.storage.checked import read_table, write_tables

LISTS = ["item", "count", "stays", "least"]
NO_IDS = pa.array([], pa.binary(16))
AT_ONCE = 1_000_000
"""Members whose rows are written together."""


@dataclass(frozen=True)
class Members:
    """Who takes part in a search: digests [n] of 16 bytes, and their roles [n]; a digest may stand there twice."""

    ids: pa.Array
    roles: Array

    @classmethod
    def of(cls, asking: pa.Array, targets: pa.Array) -> "Members":
        """Return those who ask, then those who may be a neighbour."""
        return cls(
            pa.concat_arrays([asking, targets]),
            np.repeat(np.array([ASKS, TARGET], np.int8), [len(asking), len(targets)]),
        )

    def having(self, role: int) -> pa.Array:
        """Return the digests of a role."""
        return self.ids.filter(pa.array((self.roles & role) > 0))


@dataclass(frozen=True)
class FoundLists:
    """Each image that asked with its nearest targets, as rows of pairs, and who took part."""

    pairs: pa.Table
    """item, other, how near they are, and whatever else the search says of a pair."""
    members: Members
    facts: dict[str, Any] = field(default_factory=dict)
    """What it says of the whole."""

    @classmethod
    def read(cls, store: Store, name: str, schema: pa.Schema) -> "FoundLists":
        """Return what was written, lists of nobody where nothing was. Raises DamagedFileError."""
        if not store.exists(name):
            return cls(schema.empty_table(), Members(NO_IDS, np.zeros(0, np.int8)))
        table = read_table(store, name)
        facts = json.loads(table.schema.metadata[b"facts"])
        member = pc.is_valid(table["role"])
        pairs, members = table.filter(pc.invert(member)), table.filter(member).combine_chunks()
        ids = members["item"].chunk(0) if len(members) else NO_IDS
        return cls(pairs.select(schema.names).cast(schema), Members(ids, members["role"].to_numpy()), facts)

    def write(self, store: Store, name: str) -> None:
        """Commit the lists whole, in place of what was there."""
        write_lists(store, name, self.pairs.schema, [self.pairs], self.members, self.facts)

    def covers(self, members: Members) -> bool:
        """Return whether as many took part in each role: nobody left, where nobody is new."""
        return all(len(self.members.having(role)) == len(members.having(role)) for role in (ASKS, TARGET))

    def difference(self, members: Members, count: int, keep_full: bool = True) -> "ListDifference":
        """Return what is known of members, where lists hold so many pairs at most; of full ones nothing, if so said."""
        near = self.pairs.column_names[2]
        stays = pc.is_in(self.pairs["other"], value_set=members.having(TARGET))
        lists = self.pairs.append_column("stays", stays).group_by("item")
        lists = lists.aggregate([("stays", "count"), ("stays", "all"), (near, "min")]).rename_columns(LISTS)
        full = pc.equal(lists["count"], count)
        again = lists.filter(pc.and_(full, pc.invert(lists["stays"])) if keep_full else full)["item"]
        askers = self.members.having(ASKS)
        askers = askers.filter(pc.invert(pc.is_in(askers, value_set=again)))
        kept = pc.and_(stays, pc.is_in(self.pairs["item"], value_set=askers))
        kept = pc.and_(kept, pc.is_in(self.pairs["item"], value_set=members.having(ASKS)))
        return ListDifference(self.pairs.filter(kept), askers, self.members.having(TARGET), lists.filter(full))


@dataclass(frozen=True)
class ListDifference:
    """What is known of the lists of others, and by whom and of whom."""

    pairs: pa.Table
    askers: pa.Array
    """Who knows its list but for targets that are new."""
    targets: pa.Array
    full: pa.Table
    """item, least: the lists that hold all that they may."""

    def leaves(self, members: Members) -> bool:
        """Return whether there is anything left to search."""
        return bool((self.roles(members)[0] & (ASKS | NEW)).any())

    def roles(self, members: Members) -> tuple[Array, Floats]:
        """Return the roles [n] that are left to members, and the least cosine [n] that is of use to each."""
        asks, targets = ((members.roles & role) > 0 for role in (ASKS, TARGET))
        repeats = asks & _is_in(members.ids, self.askers)
        new = targets & ~_is_in(members.ids, self.targets)
        roles = np.zeros(len(asks), np.int8)
        roles[asks] = ASKS
        roles[repeats] = ASKS_NEW
        roles[targets] += TARGET
        roles[new] += NEW
        row = pc.index_in(members.ids, value_set=self.full["item"])
        least = pc.fill_null(self.full["least"].take(row), ANY).to_numpy()
        return roles, np.where(repeats, least, np.float32(ANY)).astype(np.float32)


def write_lists(
    store: Store, name: str, schema: pa.Schema, pairs: Iterable[pa.Table], members: Members, facts: dict[str, Any]
) -> None:
    """Commit lists, in place of what was there; some pairs at a time are in memory, and some of the members' rows."""
    schema = schema.append(pa.field("role", pa.int8())).with_metadata({"facts": json.dumps(facts)})
    rows = pa.table({"item": members.ids, "role": pa.array(members.roles, pa.int8())})
    some = (rows.slice(begin, AT_ONCE) for begin in range(0, len(rows), AT_ONCE))
    write_tables(store, name, schema, (under(schema, piece) for piece in chain(pairs, some)))


def _is_in(ids: pa.Array, among: pa.Array) -> Array:
    return np.asarray(pc.is_in(ids, value_set=among).to_numpy(zero_copy_only=False))
