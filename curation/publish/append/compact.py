"""Repacks shards that mostly hold what the newest version does not keep, into a version of the same content."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from curation.publish.append.append_version import ShardFacts, Work, append, lost, with_earlier
from curation.publish.append.draft import Draft, lock_name
from curation.publish.append.section import Section
from shared.dataset_version import FOLDER, SHARDS, Published, open_version, versions
from shared.errors import WorkFailedError, WorkspaceError
from shared.launch.executors import Executor
from shared.launch.progress import Reporter
from shared.storage import Store, locked

COMPACT_ABOVE = 0.3
"""Share of dead bytes above which a shard is packed anew, where nobody says otherwise."""
SMALL = 0.5
"""A shard with fewer than this share of the images that one is to hold is joined with others like it."""
TOLD = ("parts", "shards", "shard_folder", "checksums")
"""What dataset.json tells of where things lie; all else is the same after compaction."""


@dataclass(frozen=True)
class Compaction:
    """A version whose shards were repacked, or would not be."""

    dataset: Published
    repacked: list[str]
    """Shards of the version before that this one does without."""
    removed: int
    """Bytes of shards that no version lists."""


def dead_share(facts: ShardFacts) -> float:
    """Return the share of a shard's bytes that belongs to images which its version does not keep."""
    return 1 - facts["bytes"] / facts["member_bytes"] if facts["member_bytes"] else 0.0


def dead_share_of_all(shards: Iterable[ShardFacts]) -> float:
    """Return the share of dead bytes in all shards of a version together."""
    sums = dict.fromkeys(("bytes", "member_bytes"), 0)
    for facts in shards:
        sums = {key: total + facts[key] for key, total in sums.items()}
    return dead_share(sums)


def to_repack(dataset: Published, dead: float) -> list[str]:
    """Return the shards of a version with more than this share of dead bytes, and small ones that can be joined."""
    shards: dict[str, ShardFacts] = dataset.info["shards"]
    full = dataset.info["recipe"]["curation"]["pack"]["shard_images"]
    small = {name for name, facts in shards.items() if facts["members"] < SMALL * full}
    mostly_dead = {name for name, facts in shards.items() if dead_share(facts) > dead}
    return sorted(mostly_dead | (small if len(small) > 1 else set()))


def compact(store: Store, name: str, dead: float, executor: Executor, reporter: Reporter) -> Compaction:
    """Publish the newest version again without shards that are mostly dead; where there are none, return it.

    Shards that no version lists any more are deleted. Raises WorkspaceError for a version of an older dinoflow,
    WorkFailedError for one whose shards are damaged.
    """
    with locked(store, lock_name(name), f"compacting {name}", reporter.line):
        dataset, repacked = _compacted(store, name, dead, executor, reporter)
        return Compaction(dataset, repacked, _sweep(store, name))


def _compacted(
    store: Store, name: str, dead: float, executor: Executor, reporter: Reporter
) -> tuple[Published, list[str]]:
    dataset = open_version(store, name)
    if "shards" not in dataset.info:
        raise WorkspaceError(
            f"Compaction needs a version that lists its shards, got {name}/{dataset.version} of an older dinoflow. "
            "Run `dinoflow curate` once: it publishes one that does."
        )
    chosen = to_repack(dataset, dead)
    if not chosen:
        return dataset, []
    missing = lost(store, dataset)
    if missing:
        raise WorkFailedError(
            f"Compaction needs every shard of {name}/{dataset.version}, got {len(missing):,} missing or cut short, "
            f"such as {min(missing)}. Delete the version's folder and curate again: what they held is packed anew."
        )
    draft = Draft.begin(store, name)
    try:
        return _repacked(draft, dataset, chosen, executor, reporter), chosen
    except BaseException:
        draft.discard()
        raise


def _sweep(store: Store, name: str) -> int:
    """Delete the shards that no version lists, left by deleted versions and killed publishers; return their bytes."""
    listed = {
        shard for version in versions(store, name) for shard in open_version(store, name, version).info["checksums"]
    }
    folder, removed = f"{FOLDER}/{name}/{SHARDS}", 0
    for file, size in store.sizes(folder).items():
        if f"{SHARDS}/{file.rpartition('.')[0]}.tar" not in listed:
            store.delete(f"{folder}/{file}")
            removed += size
    return removed


def _repacked(draft: Draft, dataset: Published, chosen: list[str], executor: Executor, reporter: Reporter) -> Published:
    home, info = f"{FOLDER}/{dataset.name}/{dataset.version}", dataset.info
    tables = [part["tables"] for part in info["parts"]]
    sections = [
        Section(
            workspace=draft.workspace.url,
            number=number,
            source=f"{home}/{one['manifest']}" if "manifest" in one else "",
            dropped=f"{home}/{one['dropped']}" if "dropped" in one else "",
            span=("", ""),
            exif=info["exif"],
        )
        for number, one in enumerate(tables)
    ]
    sections = with_earlier(sections, [part["first"] for part in info["parts"]], dataset, set(chosen))
    full = info["recipe"]["curation"]["pack"]["shard_images"]
    made = append(sections, dataset, Work(draft, executor, reporter.progress, full, read_exif=False))
    for file in dataset.files("conflicts"):
        draft.workspace.link(f"{home}/{file}", f"{draft.folder}/{file}")
        made["checksums"][file] = info["checksums"][file]
    facts = {key: value for key, value in info.items() if key not in ("version", "created", *TOLD)}
    now = {"created": datetime.now(UTC).isoformat(timespec="seconds"), "content_version": dataset.content_version}
    return draft.publish(facts | now | made)
