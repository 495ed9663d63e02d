"""The page of a calibration: each pair as two pictures side by side, all in one file."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from curation.publish.lineage import Lineage
from curation.publish.read_back import originals
from flows.commands.escape import shown
from flows.inspect.calibrate.pairs import Pair, pair_id
from flows.report.kit.pages import page
from flows.report.kit.thumbnails import data_uri
from shared.dataset_version import Published

SIDE, BYTES = 720, 120_000
"""Pixels and bytes of a picture: thirty pairs are some 5 MB."""


def pictures(dataset: Published, lineage: Lineage, pairs: Sequence[Pair]) -> dict[str, str]:
    """Return a picture of each uri that can still be read."""
    files = originals(dataset, lineage, {uri for pair in pairs for uri in pair})
    drawn = {uri: data_uri(one.data, SIDE, BYTES, one.rotation) for uri, one in files.items()}
    return {uri: picture for uri, picture in drawn.items() if picture}


def render(
    dataset: str,
    calibration: str,
    pairs: Sequence[Pair],
    drawn: Mapping[str, str],
    answers: Mapping[str, bool | None],
    served: bool,
) -> str:
    """Return the page. Pairs stand in an order that tells nothing of their scores."""
    shuffled = sorted(pairs, key=lambda pair: hashlib.blake2b(f"order {pair_id(pair)}".encode()).hexdigest())
    cards: list[dict[str, Any]] = [
        {"id": pair_id(pair)}
        | {side: {"picture": drawn[uri], "name": shown(uri)} for side, uri in zip(("one", "other"), pair, strict=True)}
        for pair in shuffled
    ]
    return page(
        __package__ or "",
        "calibrate.html",
        dataset=dataset,
        calibration=calibration,
        pairs=cards,
        answers=dict(answers),
        served=served,
    )
