"""From sections to a version: what is new goes into new shards, and tables say where everything lies."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from curation.publish.append.draft import Draft
from curation.publish.append.new_shards import Shard, ShardPlan, plan_shards, write_planned
from curation.publish.append.section import Section, Survey, survey
from curation.publish.append.section_tables import TableRequest, write_tables
from shared.dataset_version import FOLDER, SHARDS, Published
from shared.launch.executors import Executor
from shared.launch.progress import Meter, OnProgress
from shared.storage import Store, sha256

ShardFacts = dict[str, Any]
"""Of a shard of a version: `images` and `bytes` that it keeps, `members` and `member_bytes` that it has, its `size`."""


@dataclass(frozen=True)
class Work:
    """Where a version is made, how, and by whom."""

    draft: Draft
    executor: Executor
    report: OnProgress
    shard_images: int
    read_exif: bool
    """Whether EXIF is taken from the bytes of new members; those of an earlier version have it already."""


def usable(earlier: Published | None, exif: bool) -> bool:
    """Tell whether an earlier version says where its members lie, and wrote them as they would be written now."""
    return earlier is not None and "shards" in earlier.info and earlier.info["exif"] == exif


def lost(workspace: Store, earlier: Published) -> set[str]:
    """Return the shards of a version that are not there any more, or have another size: what they held is new again.

    One that only the version still has, whole, is put back beside the others.
    """
    folder = f"{FOLDER}/{earlier.name}/{SHARDS}"
    common, own = workspace.sizes(folder), earlier.shards.sizes("")
    missing = {name for name, facts in earlier.info["shards"].items() if common.get(name) != facts["size"]}
    restored = {name for name in (missing - common.keys()) & own.keys() if _whole(earlier, name)}
    for name in restored:
        workspace.link(f"{FOLDER}/{earlier.name}/{earlier.version}/{SHARDS}/{name}", f"{folder}/{name}")
    return missing - restored


def _whole(version: Published, shard: str) -> bool:
    with version.shards.fetched(shard) as path:
        return bool(sha256(path) == version.info["checksums"][f"{SHARDS}/{shard}"])


def with_earlier(
    sections: Sequence[Section], firsts: Sequence[str | None], earlier: Published, unusable: set[str]
) -> list[Section]:
    """Return the sections with their spans of ids, and the tables of the earlier version that tell of those.

    Takes the id of the first image of each section, None where it has none; spans of the others cover all ids.
    """
    filled = [i for i, first in enumerate(firsts) if first is not None]
    lows = ["", *(str(firsts[i]) for i in filled[1:])]
    spans = dict(zip(filled, zip(lows, [*lows[1:], ""], strict=True), strict=True))
    parts = [part for part in earlier.info["parts"] if part["first"] is not None]
    begins = ["", *(part["first"] for part in parts[1:])]
    folder = f"{FOLDER}/{earlier.name}/{earlier.version}"

    def tables(span: tuple[str, str]) -> tuple[str, ...]:
        first = bisect_right(begins, span[0]) - 1
        last = bisect_right(begins, span[1]) if span[1] else len(parts)
        names = [part["tables"] for part in parts[first:last]]
        return tuple(f"{folder}/{one[kind]}" for kind in ("hidden", "manifest") for one in names if kind in one)

    without, shards = frozenset(unusable), earlier.shards.url
    return [
        replace(section, span=spans[i], earlier=tables(spans[i]), unusable=without, shards=shards)
        if i in spans
        else section
        for i, section in enumerate(sections)
    ]


def append(sections: Sequence[Section], earlier: Published | None, work: Work) -> dict[str, Any]:
    """Write the shards and tables of a version into its draft.

    Return its `parts`, `shards`, `shard_folder` and `checksums`. Raises FilesChangedError where a source does not hold
    what was measured.
    """
    filled = [section for section in sections if section.source]
    surveys = sorted(work.executor.map(survey, filled, "publish: look up"), key=lambda one: one.number)
    folder = f"{FOLDER}/{work.draft.name}/{SHARDS}"
    planned = plan_shards(surveys, filled, folder, work.shard_images, work.read_exif)
    made = _written(planned, sum(one.new for one in surveys), work)
    before = earlier.info["shards"] if earlier else {}
    shards = _shards(surveys, made, before)
    requests = _requests(sections, planned, made, folder, work.draft.folder, frozenset(before.keys() - shards.keys()))
    written = sorted(work.executor.map(write_tables, requests, "publish: tables"), key=lambda one: one.number)
    checksums = {name: digest for one in written for name, digest in one.checksums.items()}
    sums = {shard.name: shard.sha256 for shard in made}
    earlier_sums = earlier.info["checksums"] if earlier else {}
    for name in shards:
        checksums[f"{SHARDS}/{name}"] = sums.get(name) or earlier_sums[f"{SHARDS}/{name}"]
    return {
        "parts": [{"first": one.first, "tables": one.tables} for one in written],
        "shards": shards,
        "shard_folder": _linked(work.draft, folder, list(shards)),
        "checksums": checksums,
    }


def _written(planned: Sequence[ShardPlan], images: int, work: Work) -> list[Shard]:
    if not planned:
        return []
    meter, made = Meter("publish", images, work.report), list[Shard]()
    for shard in work.executor.map(write_planned, planned, "publish: shards"):
        made.append(shard)
        meter.add(shard.images)
    meter.end()
    return sorted(made, key=lambda shard: shard.number)


def _shards(surveys: Sequence[Survey], made: Sequence[Shard], before: dict[str, ShardFacts]) -> dict[str, ShardFacts]:
    """Return the shards that hold an image of the version, and how much of each it keeps."""
    live: dict[str, list[int]] = {}
    for one in surveys:
        for name, counted in one.live.items():
            live[name] = [a + b for a, b in zip(live.get(name, (0, 0)), counted, strict=True)]
    old = {name: before[name] | {"images": images, "bytes": size} for name, (images, size) in sorted(live.items())}
    new = {
        shard.name: {
            "images": shard.images,
            "bytes": shard.bytes,
            "members": shard.images,
            "member_bytes": shard.bytes,
            "size": shard.size,
        }
        for shard in made
    }
    return old | new


def _requests(
    sections: Sequence[Section],
    planned: Sequence[ShardPlan],
    made: Sequence[Shard],
    shards: str,
    folder: str,
    dead: frozenset[str],
) -> list[TableRequest]:
    fills: dict[int, list[tuple[str, int, int]]] = {}
    for plan, shard in zip(planned, made, strict=True):
        first = 0
        for one in plan.slices:
            last = first + one.stop - one.start
            fills.setdefault(one.section.number, []).append((shard.name, first, last))
            first = last
    return [TableRequest(one, folder, shards, tuple(fills.get(one.number, ())), dead) for one in sections]


def _linked(draft: Draft, folder: str, shards: Sequence[str]) -> str:
    """Show the shards inside the version too, where that costs no bytes; return where they are to be read."""
    if all(draft.workspace.hard_link(f"{folder}/{name}", f"{draft.folder}/{SHARDS}/{name}") for name in shards):
        return SHARDS
    draft.workspace.delete(f"{draft.folder}/{SHARDS}")
    return f"../{SHARDS}"
