"""How well a curation found what was planted: recall for each kind, precision for each reason."""

from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from curation.publish.reasons import DUPLICATES
from flows.demo.corpus.copies import COPIES
from flows.demo.corpus.corpus import Truth
from flows.demo.corpus.defects import DEFECTS

REASONS_OF: dict[str, tuple[str, ...]] = {
    "broken": ("unreadable",),
    "blurred": ("blurry",),
    "dark": ("dark",),
    "blank": ("low_information", "dark", "bright", "blurry"),
    "strip": ("odd_aspect",),
    "small": ("too_small",),
}
"""Which reasons are right for a bad file; a blank picture may as well be called dark, bright or blurry."""


DroppedFiles = dict[str, tuple[str, str | None]]
"""Name of a file → why it was dropped, and the name of the kept image that it copies."""


class ScoreLine(NamedTuple):
    """One line of the table: of a planted kind (precision is null) or of a reason (recall is null).

    `planted` is how many files were planted as the kind, or how many were dropped for the reason;
    `found` is how many of them were right.
    """

    kind: str
    planted: int
    found: int
    precision: float | None
    recall: float | None


def score(truth: Truth, kept: pa.Table, dropped: pa.Table) -> list[ScoreLine]:
    """Compare a curation's manifest and dropped tables with the truth; images from elsewhere are left out.

    A copy is found when it was dropped as a duplicate of a member of its group (its original and the other
    copies), or when its original was dropped in favour of the copy itself.
    """
    files = _dropped_files(truth, dropped)
    scores = [_of_kind(truth, files, kind) for kind in (*COPIES, *DEFECTS)]
    kept_names = {_name(truth, uri) for uri in kept["uri"].to_pylist()}
    originals = [name for name, planted in truth.files.items() if planted.kind == "original"]
    groups = {_group(truth, name) for name in kept_names if name in truth.files}
    alive = sum(name in groups for name in originals)
    scores.append(ScoreLine("original", len(originals), alive, None, _share(alive, len(originals))))
    for reason in sorted({reason for reason, _ in files.values()}):
        of_reason = [(name, kept_name) for name, (why, kept_name) in files.items() if why == reason]
        right = sum(_right(truth, name, reason, kept_name) for name, kept_name in of_reason)
        scores.append(ScoreLine(reason, len(of_reason), right, _share(right, len(of_reason)), None))
    return scores


def _dropped_files(truth: Truth, dropped: pa.Table) -> DroppedFiles:
    """Return name → (reason, name of the kept image) of every dropped file of the corpus."""
    columns = (dropped[name].to_pylist() for name in ("uri", "reason", "kept_uri"))
    named = ((_name(truth, uri), reason, _name(truth, kept)) for uri, reason, kept in zip(*columns, strict=True))
    return {name: (reason, kept) for name, reason, kept in named if name in truth.files}


def _name(truth: Truth, uri: str | None) -> str | None:
    if uri is None:
        return None
    path, root = Path(uri.removeprefix("file://")), truth.images.resolve()
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else uri


def _group(truth: Truth, name: str | None) -> str | None:
    """Return the original that a file is, or is a copy of; null for a bad file."""
    planted = truth.files.get(name or "")
    if planted is None or planted.kind in DEFECTS:
        return None
    return planted.of or name


def _of_kind(truth: Truth, dropped: DroppedFiles, kind: str) -> ScoreLine:
    names = [name for name, planted in truth.files.items() if planted.kind == kind]
    found = 0
    for name in names:
        if kind in REASONS_OF:
            found += name in dropped and dropped[name][0] in REASONS_OF[kind]
        else:
            found += _matched(truth, dropped, name) or _replaced_its_original(truth, dropped, name)
    return ScoreLine(kind, len(names), found, None, _share(found, len(names)))


def _matched(truth: Truth, dropped: DroppedFiles, name: str) -> bool:
    return name in dropped and dropped[name][0] in DUPLICATES and _right(truth, name, *dropped[name])


def _replaced_its_original(truth: Truth, dropped: DroppedFiles, name: str) -> bool:
    reason, kept = dropped.get(truth.files[name].of or "", ("", None))
    return reason in DUPLICATES and kept == name


def _right(truth: Truth, name: str, reason: str, kept: str | None) -> bool:
    if reason in DUPLICATES:
        return _group(truth, name) is not None and _group(truth, name) == _group(truth, kept)
    return reason in REASONS_OF.get(truth.files[name].kind, ())


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
