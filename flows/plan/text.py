"""A plan in words: one block for curation, one for training, one for time and memory, one for warnings."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from flows.plan.costs import GIB, TYPICAL
from training.loop.run_facts import facts_text
from training.params import PretrainParams
from training.params.published import Deviation


def lines(
    plan: dict[str, Any], params: PretrainParams, warned: list[str], deviations: Sequence[Deviation] = ()
) -> Iterator[str]:
    """Yield the lines of a plan."""
    memory, available = plan["memory"], plan["device_memory"]
    yield f"Curation of {plan['images']:,} images, in {plan['parts']:,} parts"
    yield from _curation(plan)
    yield _line(
        "storage",
        f"{_bytes(plan['shard_bytes'])} of shards, {_bytes(plan['table_bytes'])} of tables, "
        f"{_bytes(plan['memory_bytes'])} of remembered rows; up to {_bytes(plan['scratch_bytes'])} more while "
        "candidates are searched",
    )
    yield _coordinator(plan["coordinator"])
    yield "\nTraining"
    yield from ("  " + line for line in facts_text(plan, params).splitlines())
    yield _line("launch", plan["launch"])
    yield "\nTime and memory"
    yield _line(
        "time",
        f"{_time(24 * plan['days_at_peak'])} at the peak, "
        f"{_time(24 * plan['days_at_typical'])} at {TYPICAL:.0%} of it: "
        f"{plan['device_hours_at_typical']:,.3g} device-hours"
        + (f" = {plan['price']:,.0f} at {plan['price_of_hour']:g} an hour" if "price" in plan else ""),
    )
    yield _line("MFU needed", f"{plan['mfu_needed']:.1%} for {plan['deadline_days']:g} days")
    cores = plan["images_per_second_needed"] * plan["crop_ms"] / 1000
    yield _line("loader", f"{plan['images_per_second_needed']:,.3g} images/s then: {cores:,.2g} cores in all")
    yield _line(
        "memory",
        f"{memory['total'] / GIB:,.1f} GiB a device"
        + (f" of {available / GIB:,.0f}" if available else "")
        + f": state {memory['state'] / GIB:,.1f}, activations {memory['activations'] / GIB:,.1f}, "
        f"made again {memory['recomputed'] / GIB:,.1f}, scores {memory['chunk'] / GIB:,.1f}",
    )
    if deviations:
        yield "\nNot as in DINOv2 (there → here: why)"
        for why, group in groupby(deviations, key=lambda one: one.why):
            yield f"  - {', '.join(f'{one.what} {one.dinov2} → {one.here}' for one in group)}: {why}"
    if warned:
        yield "\nBeware"
        yield from (f"  - {warning}" for warning in warned)


def _curation(plan: dict[str, Any]) -> Iterator[str]:
    """Yield a line for each stage, then all together and what that rests on."""
    units, by_chance = plan["unit_costs"], plan["chance_pairs"] / 2
    for one in plan["curation"]:
        asked = f"{one['ms']:>9.3f} ms an image  {one['core_hours']:>12,.2f} core-hours"
        yield f"  {one['stage']:<20}{asked if one['images'] else '        – not asked for'}"
    yield _line(
        "work",
        f"{_time(plan['core_hours_to_curate'])} of one core, {plan['core_hours_per_million']:.2f} core-hours a million",
    )
    yield _line(
        "assumed",
        f"{plan['megapixels']:.2g} MP an image, as so many kilobytes were where it was measured (--image-kb); "
        f"{plan['pairs_per_image'] - by_chance:.3g} pairs of candidates an image (--pairs-per-image), beside "
        f"{by_chance:.2g} whose hashes are close by chance",
    )
    yield _line(
        "as measured",
        f"{units['date']} on {units['hardware'].partition(',')[0]}: {units['images']:,} JPEGs of "
        f"{units['megapixels']:g} MP and {units['kilobytes']:g} kB with {units['pairs_per_image']:g} pairs an image; "
        f"measure and verify grow as to {units['enlarged']:g} MP. Candidates by the descriptor, which is searched in "
        "eight orientations; they grow as synthetic vectors did from 100,000 to ten million images. Dedup and balance "
        f"on {units['synthetic'][0]:,} and {units['synthetic'][1]:,} synthetic images.",
    )
    if plan["network"]:
        yield _line(
            "", "The embedder's network comes on top; its vectors are searched as synthetic ones of 256 numbers"
        )


def _coordinator(held: dict[str, Any]) -> str:
    """Return the line of what one process holds of the whole corpus."""
    each = f"{held['image_bytes']:.0f} bytes an image"
    return _line("coordinator", f"about {_bytes(held['bytes'])} in one process, in {held['stage']}: {each}")


def _line(name: str, text: str) -> str:
    return f"  {name:<13} {text}"


def _time(hours: float) -> str:
    """Return hours in the unit that reads best."""
    for size, unit in ((24, "days"), (1, "hours"), (1 / 60, "minutes")):
        if hours >= 2 * size:
            return f"{hours / size:,.1f} {unit}"
    return f"{hours * 3600:,.0f} seconds"


def _bytes(count: float) -> str:
    """Return bytes in the unit that reads best."""
    for size, unit in ((1e12, "TB"), (1e9, "GB")):
        if count >= size:
            return f"{count / size:,.3g} {unit}"
    return f"{count / 1e6:,.3g} MB"
