"""Pairs of near hashes, remembered: of images that were compared before, only the difference is."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.arrays import Ints
from curation.dedup.hash_files import Hashes
from curation.dedup.hash_pairs import near_hashes, nearest_pairs
from curation.dedup.ivf.assign import ASKS, NEW, TARGET, fixed_binary
from curation.dedup.ivf.lists import FoundLists, Members, write_lists
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
    asking, targets = fixed_binary(queries.ids, 16), fixed_binary(stored.ids, 16)
    alone = queries is stored  # all ask, and all may be near
    members = Members(asking, np.full(len(asking), ASKS | TARGET, np.int8)) if alone else Members.of(asking, targets)
    difference = FoundLists.read(rounds.store, file, PAIRS).difference(members, most, keep_full=False)
    left = difference.roles(members)[0]
    asks, held = (left, left) if alone else np.split(left, [len(asking)])
    fresh, new = (asks & ASKS) > 0, (held & NEW) > 0
    kept = pa.concat_tables([PAIRS.empty_table(), *difference.kept()])
    pieces = [_kept(kept, asking, targets)]
    whole = np.ones(len(new), dtype=bool)
    for part, asks, among in (("all", fresh, whole), ("new", ~fresh, new)):
        if asks.any() and among.any():
            one, other = queries.where(asks), stored.where(among)
            image, beside, away = near_hashes(rounds, f"{name}-{part}", one, other, distance, most)
            pieces.append((np.flatnonzero(asks)[image], np.flatnonzero(among)[beside], away))
    image, beside, away = (np.concatenate(column) for column in zip(*pieces, strict=True))
    pairs = nearest_pairs(image, beside, away, most)
    columns = [asking.take(pa.array(pairs[0])), targets.take(pa.array(pairs[1])), pa.array(-pairs[2], pa.float32())]
    write_lists(rounds.store, file, PAIRS, [pa.table(columns, schema=PAIRS)], members, {})
    return pairs, (file,)


def _kept(pairs: pa.Table, asking: pa.Array, targets: pa.Array) -> tuple[Ints, Ints, Ints]:
    place, beside = (
        np.asarray(pc.index_in(pairs[name], value_set=ids).to_numpy(), np.int64)
        for name, ids in (("item", asking), ("other", targets))
    )
    return place, beside, (-pairs["nearness"].to_numpy()).astype(np.int64)
