"""What a search found is remembered; of a corpus of which images came or went, only the difference is searched.

A remembered list stays right while its image asks, but for targets that are new. Where one of its targets left and
the list was full, another would follow: that image asks again. Members are in memory, lists some at a time.
"""

import json
from collections.abc import Iterable, Iterator
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
from shared.storage.checked import opened_table, write_tables

LISTS = ["item", "count", "stays", "least"]
NO_IDS = pa.array([], pa.binary(16))
AT_ONCE = 1_000_000
"""Members whose rows are written together, as one row group."""


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

    @classmethod
    def none(cls) -> "Members":
        """Return nobody."""
        return cls(NO_IDS, np.zeros(0, np.int8))

    def having(self, role: int) -> pa.Array:
        """Return the digests of a role."""
        return self.ids.filter(pa.array((self.roles & role) > 0))


@dataclass(frozen=True)
class FoundLists:
    """A file of lists: who took part, then each image that asked with its nearest targets, as rows of pairs."""

    store: Store
    file: str
    schema: pa.Schema
    """item, other, how near they are, and whatever else the search says of a pair."""
    members: Members
    facts: dict[str, Any] = field(default_factory=dict)
    """What it says of the whole."""
    groups: int = 0
    """Row groups of members, which come first."""

    @classmethod
    def read(cls, store: Store, name: str, schema: pa.Schema) -> "FoundLists":
        """Return what was written, lists of nobody where nothing was. Raises DamagedFileError."""
        if not store.exists(name):
            return cls(store, name, schema, Members.none())
        with opened_table(store, name) as file:
            said = file.schema_arrow.metadata
            if b"members" not in said:  # of an older dinoflow: all is searched again
                return cls(store, name, schema, Members.none())
            groups = range(int(said[b"members"]))
            rows = file.read_row_groups([*groups], ["item", "role"]).combine_chunks() if groups else None
        ids, roles = (rows["item"].chunk(0), rows["role"].to_numpy()) if rows else (NO_IDS, np.zeros(0, np.int8))
        return cls(store, name, schema, Members(ids, roles), json.loads(said[b"facts"]), len(groups))

    def lists(self) -> Iterator[pa.Table]:
        """Yield the pairs, some at a time, in the order in which they were written; a list is never cut."""
        if not self.groups:
            return
        with opened_table(self.store, self.file) as file:
            rest, last = self.schema.empty_table(), file.num_row_groups - 1
            for group in range(self.groups, last + 1):
                rows = file.read_row_group(group, self.schema.names).cast(self.schema)
                rows = pa.concat_tables([rest, rows]).combine_chunks()
                cut = len(rows) if group == last else _start_of_last(rows["item"])
                yield rows.slice(0, cut)
                rest = rows.slice(cut)

    def covers(self, members: Members) -> bool:
        """Return whether as many took part in each role: nobody left, where nobody is new."""
        return all(len(self.members.having(role)) == len(members.having(role)) for role in (ASKS, TARGET))

    def difference(self, members: Members, count: int, keep_full: bool = True) -> "ListDifference":
        """Return what is known of members, where lists hold so many pairs at most; of full ones nothing, if so said."""
        near = self.schema.names[2]
        gone, silent = (_without(self.members.having(role), members.having(role)) for role in (TARGET, ASKS))
        again, full = [NO_IDS], [pa.table({"item": NO_IDS, "least": pa.array([], pa.float32())})]
        for pairs in self.lists():
            stays = pc.invert(pc.is_in(pairs["other"], value_set=gone))
            lists = pairs.select(["item", near]).append_column("stays", stays).group_by("item")
            lists = lists.aggregate([("stays", "count"), ("stays", "all"), (near, "min")]).rename_columns(LISTS)
            filled = lists.filter(pc.equal(lists["count"], count))
            full.append(filled.select(["item", "least"]))
            again += (filled.filter(pc.invert(filled["stays"])) if keep_full else filled)["item"].chunks
        asking = pa.concat_arrays(again)
        askers = _without(self.members.having(ASKS), asking)
        dropped = pa.concat_arrays([asking, silent])
        return ListDifference(self, gone, dropped, askers, self.members.having(TARGET), pa.concat_tables(full))


@dataclass(frozen=True)
class ListDifference:
    """What is known of the lists of others, and by whom and of whom."""

    lists: FoundLists
    gone: pa.Array
    """Who is a target no more."""
    dropped: pa.Array
    """Whose list is known no more, or asked for no more."""
    askers: pa.Array
    """Who knows its list but for targets that are new."""
    targets: pa.Array
    full: pa.Table
    """item, least: the lists that hold all that they may."""

    def kept(self) -> Iterator[pa.Table]:
        """Yield the pairs that are known still, some at a time, in the order in which they were written."""
        for pairs in self.lists.lists():
            gone = pc.or_(pc.is_in(pairs["other"], self.gone), pc.is_in(pairs["item"], self.dropped))
            yield pairs.filter(pc.invert(gone))

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
    """Commit lists, in place of what was there; some pairs at a time are in memory, and some of the members' rows.

    The pairs of one image follow each other.
    """
    rows = pa.table({"item": members.ids, "role": pa.array(members.roles, pa.int8())})
    some = [rows.slice(begin, AT_ONCE) for begin in range(0, max(1, len(rows)), AT_ONCE)]
    said = {"facts": json.dumps(facts), "members": str(len(some))}
    schema = schema.append(pa.field("role", pa.int8())).with_metadata(said)
    write_tables(store, name, schema, (under(schema, piece) for piece in chain(some, pairs)))


def _start_of_last(items: pa.ChunkedArray) -> int:
    """Return where the rows of the last item begin."""
    others = pc.not_equal(items, items[-1]).to_numpy() if len(items) else np.zeros(0, bool)
    return int(np.flatnonzero(others).max(initial=-1)) + 1


def _without(ids: pa.Array, others: pa.Array) -> pa.Array:
    return ids.filter(pc.invert(pc.is_in(ids, value_set=others)))


def _is_in(ids: pa.Array, among: pa.Array) -> Array:
    return np.asarray(pc.is_in(ids, value_set=among).to_numpy(zero_copy_only=False))
