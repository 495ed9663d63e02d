"""What balance did in words, for the terminal and the report: how many images, and how even they got."""

from collections.abc import Iterator
from typing import Any

from curation.embedders.descriptor import DescriptorEmbedder
from curation.params import LAYOUT_BALANCE

AS_CHANCE = 2.0
"""Standard deviations of chance: what is no further below it may be chance."""


def balance_lines(info: dict[str, Any]) -> Iterator[str]:
    """Yield sentences on a published dataset's balance, warnings last; none where nothing was balanced."""
    facts = info.get("search", {}).get("balance") or {}
    if "evenness" not in facts:
        return
    yield from stage_lines(facts)
    kind = info["recipe"]["curation"]["dedup"]["near"]["embedder"]["kind"]
    if kind == DescriptorEmbedder().kind:
        yield LAYOUT_BALANCE.format(kind)


def stage_lines(facts: dict[str, Any]) -> Iterator[str]:
    """Yield sentences on what the stage says of itself."""
    images, sampled, kinds = facts["images"], facts["sampled"], facts["kinds"]
    done = f"{sampled:,} of {images:,} images taken"
    if facts["how"] == "weight":
        done = f"{images:,} images weighted, {facts['epoch']:,} of them in an epoch"
    yield f"balance: {done}, over {kinds:,} {'kind' if kinds == 1 else 'kinds'}"
    even = facts["evenness"]
    if even is None:
        return
    yield (
        f"KL of {even['classes']:,} {even['over']} to uniform (0 is even): {even['before']:.3f} before, "
        f"{even['after']:.3f} after, {even['chance']:.3f} ± {even['chance_sd']:.3f} by chance"
    )
    if facts["how"] == "weight":
        times = f"{even['kept']:.2f} times in an epoch, {even['kept_by_chance']:.2f} by chance"
        yield f"an image of the rarer half of them comes {times}"
    else:
        yield f"of the rarer half of them {even['kept']:.0%} are left, {even['kept_by_chance']:.0%} by chance"
    if even["after"] >= even["chance"] - AS_CHANCE * even["chance_sd"]:
        yield (
            f"warning: the {even['over']} got no more even than by chance: the embedder may not see what tells them "
            "apart, or they were even before. Compare embedders, or switch balance off."
        )
