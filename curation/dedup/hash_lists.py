"""Pairs of near hashes, remembered: of images that were compared before, only the difference is."""

import numpy as np
import pyarrow as pa

from curation.arrays import Array, Ints
from curation.dedup.hash_files import Hashes
from curation.dedup.hash_pairs import near_hashes, nearest_pairs
from curation.dedup.ivf.assign import ASKS, NEW, TARGET, fixed_binary
from curation.dedup.ivf.lists import FoundLists, write_lists
from curation.dedup.ivf.members import AT_ONCE, Members
from curation.dedup.ivf.search import to_ids
from curation.dedup.sorted_ids import SortedIds
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
    if not len(queries.ids):  # nobody asks: of what is remembered nothing is wrong
        none = np.zeros(0, np.int64)
        return (none, none, none), ()
    file = f"{rounds.memory}/{name}-{fingerprint(made, distance, most)}.parquet"
    alone = queries is stored  # all ask, and all may be near
    members = _members(queries.ids) if alone else _members(queries.ids, stored.ids)
    difference = FoundLists.read(rounds.store, file, PAIRS).difference(members, most, keep_full=False)
    asks = _roles(difference.members, queries.ids)
    held = asks if alone else _roles(difference.members, stored.ids)
    fresh, new = (asks & ASKS) > 0, (held & NEW) > 0
    kept = pa.concat_tables([PAIRS.empty_table(), *difference.kept()])
    del difference, asks, held
    pieces = [_kept(kept, queries.ids, stored.ids)]
    whole = np.ones(len(new), dtype=bool)
    for part, asking, among in (("all", fresh, whole), ("new", ~fresh, new)):
        if asking.any() and among.any():
            one, other = queries.where(asking), stored.where(among)
            image, beside, away = near_hashes(rounds, f"{name}-{part}", one, other, distance, most)
            pieces.append((np.flatnonzero(asking)[image], np.flatnonzero(among)[beside], away))
    image, beside, away = (np.concatenate(column) for column in zip(*pieces, strict=True))
    pairs = nearest_pairs(image, beside, away, most)
    ends = [fixed_binary(side.ids[place], 16) for side, place in zip(sides, pairs[:2], strict=True)]
    near = pa.table([*ends, pa.array(-pairs[2], pa.float32())], schema=PAIRS)
    write_lists(rounds.store, file, PAIRS, [near], members, {})
    return pairs, (file,)


def _members(asking: Array, targets: Array | None = None) -> Members:
    """Return who takes part: without targets all who ask are targets, too."""
    sides, roles = ([asking], [ASKS | TARGET]) if targets is None else ([asking, targets], [ASKS, TARGET])
    ids, order = SortedIds.of(sides[0] if targets is None else np.concatenate(sides))
    return Members.of(ids, np.repeat(np.array(roles, np.int8), [*map(len, sides)])[order])


def _roles(members: Members, ids: Array) -> Array:
    """Return the roles [n] of all of them, some looked up at a time."""
    return np.concatenate([members.roles_of(ids[i : i + AT_ONCE]) for i in range(0, max(1, len(ids)), AT_ONCE)])


def _kept(pairs: pa.Table, asking: Array, targets: Array) -> tuple[Ints, Ints, Ints]:
    """Return pairs of digests as pairs of their places, each of which is read off the few digests that have pairs."""
    place, beside = (_places(to_ids(pairs[name]), ids) for name, ids in (("item", asking), ("other", targets)))
    return place, beside, (-pairs["nearness"].to_numpy()).astype(np.int64)


def _places(wanted: Array, ids: Array) -> Ints:
    """Return where each of the wanted digests stands among others, of which all of them are."""
    some, order = SortedIds.of(wanted)
    first = some.firsts()
    known, place = SortedIds(some.high[first], some.low[first]), np.zeros(int(first.sum()), np.int64)
    for begin in range(0, len(ids), AT_ONCE):
        found = known.find(ids[begin : begin + AT_ONCE])
        place[found[found >= 0]] = begin + np.flatnonzero(found >= 0)
    where = np.empty(len(wanted), np.int64)
    where[order] = place[np.cumsum(first) - 1]
    return where
