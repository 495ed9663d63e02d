"""What a reader of one image's facts might stumble over, said in words: evidence that contradicts itself."""

from collections.abc import Iterator, Mapping
from typing import Any

from curation.dedup.geometry.verdicts import LOOK_ALIKE, SAME_SCENE, UPRIGHT
from curation.dedup.resemblance import NEAR, PERCEPTUAL
from flows.commands.escape import shown
from flows.inspect.find_image import ImageRow

Limits = tuple[int | None, float | None]
"""Bits and match from which on two images are copies; None where the recipe does not ask."""

VERIFIED = (PERCEPTUAL, NEAR)


def limits_of(recipe: dict[str, Any], detail: float | None) -> Limits:
    """Return the limits of a published recipe for an image of so much detail.

    A recipe that another version of dinoflow wrote is read as far as it tells.
    """
    dedup = recipe.get("curation", {}).get("dedup", {})
    if detail is None or detail < dedup.get("min_detail", 0.0):  # compared for equality only
        return None, None
    hashes, near = dedup.get("perceptual", {}), dedup.get("near", {})
    bits = hashes.get("distance") if hashes.get("enabled", True) else None
    geometric = near.get("enabled", True) and near.get("verify") == "geometric"
    return bits, (near.get("threshold") or 1.0) if geometric else None


def notes(
    seen: list[ImageRow], near: list[ImageRow] | None, labels: Mapping[str, str | None], limits: Limits
) -> list[str]:
    """Return a sentence for each contradiction: between measures, between then and now, between labels."""
    return [*_of_verdict(seen, near or [], limits), *_of_neighbours(seen, near or [], limits), *_of_labels(labels)]


def _of_verdict(seen: list[ImageRow], near: list[ImageRow], limits: Limits) -> Iterator[str]:
    """Yield what speaks against the verdict of a dropped row."""
    _, match_limit = limits
    by_uri = {row["uri"]: row for row in near}
    for row in seen:
        kept = by_uri.get(row.get("kept_uri") or "")
        if kept is None or kept.get("match") is None or match_limit is None:
            continue
        if row["reason"] in VERIFIED and (kept["match"] < match_limit or kept["verdict"] == LOOK_ALIKE):
            yield (
                f"{shown(row['uri'])} and {shown(kept['uri'])} were found alike when they were compared; today, "
                f"laid over each other, their pixels do not agree ({_match(kept['match'], match_limit)}): "
                "a file or the measure changed."
            )


def _of_neighbours(seen: list[ImageRow], near: list[ImageRow], limits: Limits) -> Iterator[str]:
    """Yield why a kept neighbour that some measure calls a copy is no copy."""
    bits_limit, match_limit = limits
    if match_limit is None or not any(row["state"] == "kept" for row in seen):
        return
    for row in near:
        match = row.get("match")
        if match is None:
            continue
        name = shown(row["uri"])
        if match < match_limit:
            if bits_limit is not None and row["bits"] <= bits_limit:
                yield (
                    f"{name} is a look-alike: {row['bits']} of 64 bits of the hash differ, but laid over each other "
                    f"the pixels do not agree ({_match(match, match_limit)}). Both are kept."
                )
        elif row["verdict"] == LOOK_ALIKE:
            yield (
                f"{name} is a look-alike: laid over each other, most of the pixels agree "
                f"({_match(match, match_limit)}), but what differs is more than compression leaves. Both are kept."
            )
        elif row["verdict"] == SAME_SCENE:
            yield (
                f"{name} shows the same scene ({_match(match, match_limit)}), but something in it is another. "
                "curation.dedup.near.same_scene says whether both are kept."
            )
        elif row["orientation"] != UPRIGHT:
            yield (
                f"{name} matches {row['orientation']} ({match:.2f}) and is kept too: curation.dedup.orientations says "
                "which turns count, and the two may not have been among each other's nearest candidates."
            )
        else:
            yield (
                f"{name} matches ({match:.2f}) and is kept too: the two were not among each other's "
                "nearest candidates. A larger curation.dedup.near.candidates.nearest compares more pairs."
            )


def _match(match: float, limit: float) -> str:
    return f"match {match:.2f}, a copy from {limit:.2f}"


def _of_labels(labels: Mapping[str, str | None]) -> Iterator[str]:
    """Yield that copies of one picture are labelled otherwise."""
    named = {uri: label for uri, label in labels.items() if label is not None}
    if len(set(named.values())) > 1:
        each = ", ".join(f"{shown(label)!r} ({shown(uri)})" for uri, label in sorted(named.items()))
        yield f"labels conflict among copies of this picture: {each}."
