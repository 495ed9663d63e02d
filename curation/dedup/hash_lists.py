"""Pairs of near hashes, remembered: of images that were compared before, only the difference is."""

import numpy as np
import pyarrow as pa

from curation.arrays import Array, Bools, Ints
from curation.dedup.hash_files import Hashes
from curation.dedup.hash_pairs import near_hashes, nearest_pairs
from curation.dedup.ivf.assign import ASKS, NEW, TARGET, fixed_binary
from curation.dedup.ivf.lists import FoundLists, write_lists
from curation.dedup.ivf.members import AT_ONCE, Members
from curation.dedup.ivf.search import to_ids
from curation.dedup.sorted_ids import SortedIds, halves
from shared.params import fingerprint
from shared.stage_runner import Rounds

PAIRS = pa.schema([("item", pa.binary(16)), ("other", pa.binary(16)), ("nearness", pa.float32())])
"""Nearness is minus the distance."""


def remembered_pairs(
    rounds: Rounds, name: str, made: str, sides: tuple[Hashes, Hashes], distance: int, most: int
) -> tuple[tuple[Ints, Ints, Ints], tuple[str, ...]]:
    """Return what near_hashes does of queries and stored hashes, and the files in which it is remembered.

    `made` names what made the hashes of equal pixels. A list of as many as there may be is searched again: the order
    decides who else would stand there.
    """
    queries, stored = sides
    if not len(queries):  # nobody asks: of what is remembered nothing is wrong
        none = np.zeros(0, np.int64)
        return (none, none, none), ()
    file = f"{rounds.memory}/{name}-{fingerprint(made, distance, most)}.parquet"
    kept, fresh, new = _known(FoundLists.read(rounds.store, file, PAIRS), queries, stored, most)
    pieces, whole = [kept], np.ones(len(new), dtype=bool)
    for part, asking, among in (("all", fresh, whole), ("new", ~fresh, new)):
        if asking.any() and among.any():
            one, other = queries.where(asking), stored.where(among)
            image, beside, away = near_hashes(rounds, f"{name}-{part}", one, other, distance, most)
            pieces.append((np.flatnonzero(asking)[image], np.flatnonzero(among)[beside], away))
    image, beside, away = (np.concatenate(column) for column in zip(*pieces, strict=True))
    pairs = nearest_pairs(image, beside, away, most)
    ends = [fixed_binary(side.ids()[place], 16) for side, place in zip(sides, pairs[:2], strict=True)]
    near = pa.table([*ends, pa.array(-pairs[2], pa.float32())], schema=PAIRS)
    write_lists(rounds.store, file, PAIRS, [near], _members(queries, stored), {})  # sorted again, not held meanwhile
    return pairs, (file,)


def _known(
    before: FoundLists, queries: Hashes, stored: Hashes, most: int
) -> tuple[tuple[Ints, Ints, Ints], Bools, Bools]:
    """Return the pairs that are known still, who asks all [n], and who is a new target [m]."""
    difference = before.difference(_members(queries, stored), most, keep_full=False)
    asking = queries.ids()
    targets = asking if queries is stored else stored.ids()
    asks, held = (_roles(difference.members, ids) for ids in (asking, targets))
    pairs = pa.concat_tables([PAIRS.empty_table(), *difference.kept()])
    del difference
    place, beside = (_places(to_ids(pairs[name]), ids) for name, ids in (("item", asking), ("other", targets)))
    kept = place, beside, (-pairs["nearness"].to_numpy()).astype(np.int64)
    return kept, (asks & ASKS) > 0, (held & NEW) > 0


def _members(queries: Hashes, stored: Hashes) -> Members:
    """Return who takes part; of those who are both sides all ask, and all may be near."""
    sides = [(queries, ASKS | TARGET)] if queries is stored else [(queries, ASKS), (stored, TARGET)]
    high, low = map(np.concatenate, zip(*(halves(side.ids()) for side, _ in sides), strict=True))
    ids, order = SortedIds.sorting(high, low)
    roles = np.concatenate([np.full(len(side), role, np.int8) for side, role in sides])
    return Members.of(ids, roles[order])


def _roles(members: Members, ids: Array) -> Array:
    """Return the roles [n] of all of them, some looked up at a time."""
    return np.concatenate([members.roles_of(ids[i : i + AT_ONCE]) for i in range(0, max(1, len(ids)), AT_ONCE)])


def _places(wanted: Array, ids: Array) -> Ints:
    """Return where each of the wanted digests stands among others, of which all of them are."""
    some, order = SortedIds.of(wanted)
    first = some.firsts()
    known, place = some.where(first), np.zeros(int(first.sum()), np.int64)
    for begin in range(0, len(ids), AT_ONCE):
        found = known.find(ids[begin : begin + AT_ONCE])
        place[found[found >= 0]] = begin + np.flatnonzero(found >= 0)
    where = np.empty(len(wanted), np.int64)
    where[order] = place[np.cumsum(first) - 1]
    return where
