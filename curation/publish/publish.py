"""From packed parts to an immutable dataset version. The version exists once its dataset.json does."""

import hashlib
import importlib.metadata
import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.publish.alarms import alarms
from curation.publish.conflicts import LABELLED, conflicting_labels
from curation.publish.pack import DROPPED_FILE, SHARD
from shared.catalog import CONFLICTS, DECISIONS, IMAGES
from shared.dataset_version import FOLDER, Published, open_version, versions
from shared.errors import WorkFailedError
from shared.params import fingerprint
from shared.storage import Store
from shared.tables import FOLDER as STAGES
from shared.tables import Output, Part, Rows, part_name

EVIDENCE = ["reason", "value", "kept_uri"]
EXAMPLES = 3
TOOLS = ("dinoflow", "faiss-cpu", "faiss-gpu", "imagededup", "numpy", "pillow", "pyarrow")


def publish(
    store: Store, name: str, outputs: dict[str, Output], recipe: dict[str, Any], seconds: dict[str, float]
) -> tuple[Published, bool]:
    """Return the dataset version that holds these outputs, and whether it is new.

    What is published already is found by fingerprint, not published twice. Raises WorkFailedError when the
    tables do not add up: every indexed uri must be kept or dropped, once.
    """
    packed = outputs["pack"]
    published = published_as(store, name, packed)
    if published:
        return published, False
    earlier = versions(store, name)
    version = f"v{int(earlier[-1][1:]) + 1 if earlier else 1:04d}"
    dataset = Published(store.sub(FOLDER, name, version), name, version)
    _refuse_nothing(store, outputs)
    checksums: dict[str, str] = {}
    for number, part in enumerate(packed.parts):
        checksums |= _place(store, f"{FOLDER}/{name}/{version}", number, part)
    kept, dropped = dataset.table("manifest", LABELLED), dataset.table("dropped", [*LABELLED, *EVIDENCE])
    conflicts = conflicting_labels(kept, dropped)
    checksums |= _beside(dataset, conflicts) if len(conflicts) else {}
    facts = {
        "name": name,
        "version": version,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "fingerprint": _fingerprint(packed),
        "counts": _counts(dataset, outputs),
        "alarms": alarms(kept, dropped),
        "label_conflicts": len(conflicts),
        "recipe": recipe,
        "lineage": {stage: output.key for stage, output in outputs.items()},
        "search": _facts(outputs, "candidates", "dedup", "decontaminate", "balance"),
        "tools": _tools(),
        "checksums": checksums,
        "seconds": seconds,
    }
    dataset.store.write("dataset.json", json.dumps(facts, indent=1))
    return dataset, True


def published_as(store: Store, name: str, packed: Output) -> Published | None:
    """Return the newest version when it holds just these packed parts."""
    if not versions(store, name):
        return None
    newest = open_version(store, name)
    return newest if newest.info["fingerprint"] == _fingerprint(packed) else None


def _facts(outputs: dict[str, Output], *stages: str) -> dict[str, Any]:
    """Return what the deciding stages say of themselves: how many were compared, which recall was measured."""
    facts = {stage: outputs[stage].parts[0].facts for stage in stages if outputs[stage].parts}
    return {stage: own for stage, own in facts.items() if own}


def _fingerprint(packed: Output) -> str:
    return fingerprint([part.name for part in packed.parts])


def _place(store: Store, folder: str, number: int, part: Part) -> dict[str, str]:
    """Link one packed part into the version; return the checksums of its files."""
    made = f"{STAGES}/pack/{part.name}"
    tables = {
        f"manifest/part-{number:06d}.parquet": part_name("pack", part.name),
        f"dropped/part-{number:06d}.parquet": f"{made}/{DROPPED_FILE}",
    }
    checksums = {}
    for name, source in tables.items():
        store.link(source, f"{folder}/{name}")
        checksums[name] = hashlib.sha256(store.read(source)).hexdigest()
    if "sha256" in part.facts:
        shard = f"shards/shard-{number:06d}.tar"
        store.link(f"{made}/{SHARD}", f"{folder}/{shard}")
        checksums[shard] = part.facts["sha256"]
    return checksums


def _beside(dataset: Published, conflicts: pa.Table) -> dict[str, str]:
    """Write the table of conflicting labels into the version; return the checksum of its file."""
    sink = pa.BufferOutputStream()
    pq.write_table(conflicts, sink, compression="zstd")
    data, name = sink.getvalue().to_pybytes(), f"{CONFLICTS.name}/part-000000.parquet"
    dataset.store.write(name, data)
    return {name: hashlib.sha256(data).hexdigest()}


def _refuse_nothing(store: Store, outputs: dict[str, Output]) -> None:
    """Raise WorkFailedError where no image is kept: a version without images would be trained on by name only."""
    indexed, reasons = outputs["index"].rows, outputs["select"].reasons
    if sum(reasons.values()) < indexed:
        return
    most = max(reasons, key=lambda reason: reasons[reason])
    counts = ", ".join(f"{reason} {count:,}" for reason, count in sorted(reasons.items(), key=lambda pair: -pair[1]))
    uris = Rows(store, outputs["index"]).table(IMAGES, ["uri"])["uri"]
    taken = pc.equal(Rows(store, outputs["select"]).table(DECISIONS, ["reason"])["reason"].cast("string"), most)
    examples = ", ".join(uris.filter(taken).slice(0, EXAMPLES).to_pylist())
    raise WorkFailedError(
        f"Curation needs at least one image to keep, got none of {indexed:,}: {most} took {reasons[most]:,} "
        f"({counts}), such as {examples}. Nothing is published. Look at them, and change what dropped them with --set."
    )


def _counts(dataset: Published, outputs: dict[str, Output]) -> dict[str, Any]:
    kept, dropped = dataset.table("manifest", ["source"]), dataset.table("dropped", ["source", "reason"])
    indexed = outputs["index"].rows
    if indexed != kept.num_rows + dropped.num_rows:
        raise WorkFailedError(
            f"Every indexed image must be kept or dropped, but {indexed} ≠ {kept.num_rows} + {dropped.num_rows}. "
            "The stage cache is damaged: delete the folder `stages` of the workspace and run again."
        )
    sources = {"kept": _tally(kept["source"]), "dropped": _tally(dropped["source"])}
    return {
        "indexed": indexed,
        "kept": kept.num_rows,
        "dropped": dropped.num_rows,
        "reasons": _tally(dropped["reason"]),
        "sources": {
            source: {
                "indexed": sources["kept"][source] + sources["dropped"][source],
                "kept": sources["kept"][source],
                "dropped": sources["dropped"][source],
            }
            for source in sorted({*sources["kept"], *sources["dropped"]})
        },
    }


def _tally(column: Any) -> Counter[str]:
    counts = pc.value_counts(column.cast("string"))
    pairs = ((entry["values"].as_py(), entry["counts"].as_py()) for entry in counts)
    return Counter(dict(sorted(pairs, key=lambda pair: -pair[1])))


def _tools() -> dict[str, str]:
    installed = {}
    for tool in TOOLS:
        try:
            installed[tool] = importlib.metadata.version(tool)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed
