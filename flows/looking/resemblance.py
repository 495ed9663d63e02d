"""The geometric score of an image with its neighbours, where the recipe lets geometry decide."""

from curation.lineage import Lineage
from curation.originals import Original, originals
from curation.report.dataset import verified_by
from curation.report.words import GEOMETRIC
from flows.looking.finding import Row
from shared.images import UndecodableError, decode
from shared.published import Published


def resemblances(
    dataset: Published, lineage: Lineage, uri: str, near: list[Row] | None, data: bytes | None = None
) -> None:
    """Add `match` to each neighbour: from the recipe's threshold on (1 by default) it is a copy."""
    if not near or verified_by(dataset.info.get("recipe", {})) != GEOMETRIC:
        return
    found = originals(dataset, lineage, [uri, *(row["uri"] for row in near)])
    if data is not None:
        found[uri] = Original(data)
    mine = _features(found.get(uri))
    from curation.geometry.compare import resemblance

    for row in near:
        theirs = _features(found.get(row["uri"]))
        row["match"] = float(resemblance(mine, theirs)) if mine and theirs else None


def _features(original: Original | None):  # type: ignore[no-untyped-def]
    from curation.geometry.features import describe

    try:
        return describe(decode(original.data, original.rotation).image) if original else None
    except UndecodableError:
        return None
