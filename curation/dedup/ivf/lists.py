"""What a search found is remembered; of a corpus of which images came or went, only the difference is searched.

A remembered list stays right while its image asks, but for targets that are new. Where one of its targets left and
the list was full, another would follow: that image asks again. Of members those of now are in memory, in 17 bytes each;
those of before come some at a time, and so do lists.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.arrays import Array, Bools, Floats
from curation.dedup.ivf.assign import ANY, ASKS, ASKS_NEW, NEW, TARGET, fixed_binary
from curation.dedup.ivf.members import AT_ONCE, Members
from curation.dedup.ivf.search import to_ids
from shared.schema import under
from shared.storage import Store
from shared.storage.checked import opened_table, write_tables

LISTS = ["item", "count", "stays", "least"]


@dataclass(frozen=True)
class FoundLists:
    """A file of lists: who took part, then each image that asked with its nearest targets, as rows of pairs."""

    store: Store
    file: str
    schema: pa.Schema
    """item, other, how near they are, and whatever else the search says of a pair."""
    facts: dict[str, Any] = field(default_factory=dict)
    """What it says of the whole."""
    groups: int = 0
    """Row groups of members, which come first."""

    @classmethod
    def read(cls, store: Store, name: str, schema: pa.Schema) -> "FoundLists":
        """Return what was written, lists of nobody where nothing was. Raises DamagedFileError."""
        if not store.exists(name):
            return cls(store, name, schema)
        with opened_table(store, name) as file:
            said = file.schema_arrow.metadata
        if b"members" not in said:  # of an older dinoflow: all is searched again
            return cls(store, name, schema)
        return cls(store, name, schema, json.loads(said[b"facts"]), int(said[b"members"]))

    def members(self) -> Iterator[tuple[Array, Array]]:
        """Yield the digests [m] and roles [m] of those who took part, some at a time; a digest may come twice."""
        if not self.groups:
            return
        with opened_table(self.store, self.file) as file:
            for group in range(self.groups):
                rows = file.read_row_group(group, ["item", "role"])
                yield to_ids(rows["item"]), rows["role"].to_numpy()

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

    def difference(self, members: Members, count: int, keep_full: bool = True) -> "ListDifference":
        """Return what is known of members, where lists hold so many pairs at most; of full ones nothing, if so said."""
        known, new = np.zeros(len(members), bool), (members.roles & TARGET) > 0
        gone, left = [np.zeros(0, "V16")], 0
        for ids, roles in self.members():
            place = members.ids.find(ids)
            now = members.roles_at(place)
            known[place[(roles & now & ASKS) > 0]] = True
            new[place[(roles & now & TARGET) > 0]] = False
            lost = roles & ~now & (ASKS | TARGET)
            gone.append(ids[(lost & TARGET) > 0])
            left += int(np.count_nonzero(lost))
        floors, near = np.full(len(members), ANY, np.float32), self.schema.names[2]
        targets = fixed_binary(np.concatenate(gone), 16)
        for pairs in self.lists():
            stays = pc.invert(pc.is_in(pairs["other"], value_set=targets))
            lists = pairs.select(["item", near]).append_column("stays", stays).group_by("item")
            lists = lists.aggregate([("stays", "count"), ("stays", "all"), (near, "min")]).rename_columns(LISTS)
            full = lists.filter(pc.equal(lists["count"], count))
            place = members.ids.find(to_ids(full["item"]))
            again = ~(_flags(full["stays"]) & keep_full)
            known[place[again & (place >= 0)]] = False
            floors[place[place >= 0]] = full["least"].to_numpy()[place >= 0]
        floors[~known] = ANY
        roles = members.roles & (ASKS | TARGET)
        roles[known] += ASKS_NEW - ASKS
        roles[new] |= NEW
        return ListDifference(self, Members(members.ids, roles), floors, targets, left)


@dataclass(frozen=True)
class ListDifference:
    """What is known of the lists of others, and by whom and of whom."""

    lists: FoundLists
    members: Members
    """With the roles that are left to them."""
    floors: Floats
    """The least cosine [n] that is of use to each."""
    gone: pa.Array
    """Who is a target no more."""
    left: int
    """How many lost a role, or took no part again."""

    def kept(self) -> Iterator[pa.Table]:
        """Yield the pairs that are known still, some at a time, in the order in which they were written."""
        for pairs in self.lists.lists():
            known = (self.members.roles_of(to_ids(pairs["item"])) & ASKS_NEW) > 0
            yield pairs.filter(pc.and_not(pa.array(known), pc.is_in(pairs["other"], self.gone)))


def write_lists(
    store: Store, name: str, schema: pa.Schema, pairs: Iterable[pa.Table], members: Members, facts: dict[str, Any]
) -> None:
    """Commit lists, in place of what was there; some pairs at a time are in memory, and some of the members' rows.

    The pairs of one image follow each other.
    """
    some = (pa.table({"item": fixed_binary(ids, 16), "role": pa.array(roles)}) for ids, roles in members.pieces())
    said = {"facts": json.dumps(facts), "members": str(max(1, -(-len(members) // AT_ONCE)))}
    schema = schema.append(pa.field("role", pa.int8())).with_metadata(said)
    write_tables(store, name, schema, (under(schema, piece) for piece in chain(some, pairs)))


def _start_of_last(items: pa.ChunkedArray) -> int:
    """Return where the rows of the last item begin."""
    others = pc.not_equal(items, items[-1]).to_numpy() if len(items) else np.zeros(0, bool)
    return int(np.flatnonzero(others).max(initial=-1)) + 1


def _flags(column: pa.ChunkedArray) -> Bools:
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=bool)
