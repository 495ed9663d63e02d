"""The images that are balanced by themselves, a source or all, and how many of them are to be kept."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from curation.arrays import Ints
from curation.params.balance import ALL, BalanceParams
from shared.errors import UserError


class Stratum(NamedTuple):
    """Rows [m] among the images that are left, and how many of them are kept, or drawn in an epoch."""

    rows: Ints
    target: int


def strata_of(sources: pa.ChunkedArray, names: list[str], params: BalanceParams) -> list[Stratum]:
    """Return a stratum for each source with a share, and one for all others; `sources` [n] are those of the images.

    Raises UserError for a share of a source that is not among the `names` of all, or has too few images.
    """
    total = params.images(len(sources))
    if not params.shares:
        return [Stratum(np.arange(len(sources)), total)]
    unknown = sorted(set(params.shares) - set(names))
    if unknown:
        raise UserError(
            f"curation.balance.shares needs names of sources, got {', '.join(unknown)}. "
            f"The sources are: {', '.join(sorted(names))}."
        )
    source = sources.cast(pa.string())
    member_of = {name: pc.equal(source, name).to_numpy() for name in params.shares}
    shares = list(params.shares.values())
    if sum(shares) < 2 - ALL:
        member_of["all other sources"] = ~np.any(list(member_of.values()), axis=0)
        shares.append(1 - sum(shares))
    strata = []
    for (name, members), target in zip(member_of.items(), whole_parts(total, shares), strict=True):
        rows = np.flatnonzero(members)
        enough = len(rows) >= target if params.how == "sample" else len(rows) > 0 or target == 0
        if not enough:
            raise UserError(
                f"curation.balance.shares needs {target:,} images of {name}, {target / total:.0%} of {total:,}, got "
                f"{len(rows):,}. Give it a smaller share, or lower curation.balance.target."
            )
        strata.append(Stratum(rows, target))
    return strata


def whole_parts(total: int, shares: list[float]) -> list[int]:
    """Return whole numbers that make the total, each its share of it rounded: the largest remainders are rounded up."""
    parts = total * np.array(shares) / sum(shares)
    whole = np.floor(parts).astype(int)
    whole[np.argsort(whole - parts, kind="stable")[: total - int(whole.sum())]] += 1
    return [int(part) for part in whole]
