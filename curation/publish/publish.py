"""From packed parts to an immutable dataset version, one publisher at a time. All or nothing: see append/draft.py."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from curation.params import PackParams
from curation.publish.alarms import alarms
from curation.publish.append.append_version import Work, append, lost, usable, with_earlier
from curation.publish.append.draft import Draft, lock_name
from curation.publish.append.section import Section
from curation.publish.conflicts import EVIDENCE, LABELLED, conflicting_labels, labelled_copies, write_conflicts
from curation.publish.counts import DROPPED_BY, KEPT_BY, counted, tally, tools
from curation.publish.pack import DROPPED_FILE
from shared.catalog import DECISIONS, IMAGES
from shared.dataset_version import FOLDER, Published, open_version, read_tables, versions
from shared.errors import DamagedFileError, WorkFailedError
from shared.launch.executors import Executor
from shared.launch.progress import Reporter
from shared.params import fingerprint
from shared.storage import Store, locked
from shared.tables import FOLDER as STAGES
from shared.tables import Output, Rows, part_name

EXAMPLES = 3


@dataclass(frozen=True)
class PublishRequest:
    """What is to be published."""

    name: str
    outputs: dict[str, Output]
    recipe: dict[str, Any]
    params: PackParams
    seconds: dict[str, float]


def publish(store: Store, request: PublishRequest, executor: Executor, reporter: Reporter) -> tuple[Published, bool]:
    """Return the dataset version that holds these outputs, and whether it is new.

    What is published already is found by fingerprint, not published twice. Raises WorkFailedError when the tables do
    not add up: every indexed uri must be kept or dropped, once. Raises FilesChangedError as `append` does.
    """
    with locked(store, lock_name(request.name), f"publishing {request.name}", reporter.line):
        published = published_as(store, request.name, request.outputs["pack"])
        if published:
            return published, False
        _refuse_nothing(store, request.outputs)
        earlier = open_version(store, request.name) if versions(store, request.name) else None
        try:
            return _appended(store, request, earlier, executor, reporter), True
        except DamagedFileError as error:
            if earlier is None or not error.file.startswith(f"{FOLDER}/{request.name}/{earlier.version}/"):
                raise
            reporter.line(f"{error.file} {error.why}: nothing of {earlier.version} is used, all is packed anew")
            return _appended(store, request, None, executor, reporter), True


def _appended(
    store: Store, request: PublishRequest, earlier: Published | None, executor: Executor, reporter: Reporter
) -> Published:
    draft = Draft.begin(store, request.name)
    try:
        return draft.publish(_made(draft, request, earlier, executor, reporter))
    except BaseException:  # of a kill with a warning too: without one, the next publisher cleans up
        draft.discard()
        raise


def published_as(store: Store, name: str, packed: Output) -> Published | None:
    """Return the newest version when it holds just the content of these packed parts."""
    if not versions(store, name):
        return None
    newest = open_version(store, name)
    return newest if newest.info["fingerprint"] == content_name(packed) else None


def content_name(packed: Output) -> str:
    """Name what a version of these parts says of its images: nothing of shards, versions or how it came about."""
    return fingerprint("dataset", [part.facts["content"] for part in packed.parts])


def _made(
    draft: Draft, request: PublishRequest, before: Published | None, executor: Executor, reporter: Reporter
) -> dict[str, Any]:
    """Write everything but dataset.json, and return what that is to say."""
    outputs, params = request.outputs, request.params
    work = Work(draft, executor, reporter.progress, params.shard_images, read_exif=params.exif)
    sections, earlier = _sections(draft, request, before)
    made = append(sections, earlier, work)
    names = {kind: [n for n in made["checksums"] if n.startswith(f"{kind}/")] for kind in ("manifest", "dropped")}

    def tables(kind: str, columns: Sequence[str]) -> Iterator[pa.Table]:
        """One at a time: a corpus has more rows than a machine holds."""
        return (read_tables(draft.store, [name], columns) for name in names[kind])

    kept, dropped = tally(tables("manifest", KEPT_BY), KEPT_BY), tally(tables("dropped", DROPPED_BY), DROPPED_BY)
    copies = labelled_copies(tables("dropped", [*LABELLED, *EVIDENCE]))
    conflicts = conflicting_labels(copies, chain(tables("manifest", LABELLED), tables("dropped", LABELLED)))
    made["checksums"] |= write_conflicts(draft.store, conflicts) if len(conflicts) else {}
    return {
        "name": request.name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "fingerprint": content_name(outputs["pack"]),
        "counts": counted(kept, dropped, outputs["index"].rows),
        "alarms": alarms(kept, dropped),
        "label_conflicts": len(conflicts),
        "recipe": request.recipe,
        "lineage": {stage: output.key for stage, output in outputs.items()},
        "passed_over": _notes(outputs["index"], "passed_over"),
        "guessed": _notes(outputs["index"], "guessed"),
        "search": _facts(outputs, "candidates", "dedup", "decontaminate", "balance"),
        "tools": tools(),
        "exif": params.exif,
        **made,
        "seconds": request.seconds,
    }


def _sections(
    draft: Draft, request: PublishRequest, earlier: Published | None
) -> tuple[list[Section], Published | None]:
    """Return a section for each packed part, and the earlier version whose shards are used, if any."""
    store, parts, exif = draft.workspace, request.outputs["pack"].parts, request.params.exif
    sections = [
        Section(
            workspace=store.url,
            number=number,
            source=part_name("pack", part.name) if part.rows else "",
            dropped=f"{STAGES}/pack/{part.name}/{DROPPED_FILE}",
            span=("", ""),
            exif=exif,
            sums={f"{STAGES}/pack/{part.name}/{DROPPED_FILE}": part.facts["dropped"]},
        )
        for number, part in enumerate(parts)
    ]
    if earlier is None or not usable(earlier, exif):
        return sections, None
    return with_earlier(sections, [part.facts["first"] for part in parts], earlier, lost(store, earlier)), earlier


def _facts(outputs: dict[str, Output], *stages: str) -> dict[str, Any]:
    """Return what the deciding stages say of themselves: how many were compared, which recall was measured."""
    facts = {stage: outputs[stage].parts[0].facts for stage in stages if outputs[stage].parts}
    return {stage: own for stage, own in facts.items() if own}


def _notes(index: Output, kind: str) -> dict[str, Any]:
    """Return what each source passed over, or guessed; only of sources that did."""
    return {source: notes[kind] for source, notes in index.facts.get("sources", {}).items() if notes[kind]}


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
