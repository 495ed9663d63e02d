"""Labels that folders give, where nobody says which of them are classes: a guess by the usual layouts.

Splits (train/, val/), shards of img2dataset (00000/000000001.jpg) and folders like `images` below each class are no
classes; label=cat is Hive's cat; and two folders of one name under different ones are two classes.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from urllib.parse import unquote

from curation.sources.notes import Notes

SPLITS = frozenset("train training val valid validation test testing dev eval trainval".split())  # noqa: SIM905
WRAPPERS = frozenset(
    "images image img imgs jpg jpeg jpegs jpegimages png pngs photos photo pictures pics originals frames".split()  # noqa: SIM905
)
HIVE = re.compile(r"(label|class|class_name|category|target|species)=(.+)", re.IGNORECASE)
SHARD = re.compile(r"\d{4,}")
MERGED = "/"
"""Between the names of folders that are told apart by the one above."""

Folders = tuple[str, ...]


def folder_labels(names: Sequence[str], notes: Notes) -> dict[Folders, str | None]:
    """Return the label of each folder that directly holds images, by their paths below the source."""
    files: dict[Folders, list[str]] = defaultdict(list)
    for name in names:
        *above, file = name.split("/")
        files[tuple(above)].append(file)
    splits = _splits(files)
    classes: dict[Folders, Folders] = {}
    hive: dict[Folders, str] = {}
    for folders, held in files.items():
        stated = [found for part in folders if (found := HIVE.fullmatch(part))]
        if stated:
            hive[folders] = unquote(stated[-1][2])
            notes.guess("hive", stated[-1][0], len(held))
        else:
            classes[folders] = _class(folders, held, splits, notes)
    labels: dict[Folders, str | None] = {**hive, **_told_apart(classes, files, notes)}
    for folders, label in labels.items():
        if label is not None and folders not in hive:
            notes.guess("folder", label, len(files[folders]))
    return labels


def _splits(files: Iterable[Folders]) -> set[Folders]:
    """Return the folders that are splits: each of their siblings is named like one, too. `train` may be a class."""
    below: dict[Folders, set[str]] = defaultdict(set)
    for folders in files:
        for depth, part in enumerate(folders):
            below[folders[:depth]].add(part)
    return {
        (*above, part)
        for above, parts in below.items()
        for part in parts
        if all(other.lower() in SPLITS for other in parts)
    }


def _class(folders: Folders, held: list[str], splits: set[Folders], notes: Notes) -> Folders:
    """Return the folders that name the class of those images: those above it come first."""
    kept = [part for depth, part in enumerate(folders) if folders[: depth + 1] not in splits]
    if len(kept) < len(folders):
        notes.guess("split", "/".join(folders), len(held))
    if kept and SHARD.fullmatch(kept[-1]) and all(_is_numbered(file, kept[-1]) for file in held):
        notes.guess("shard", kept[-1], len(held))
        kept.pop()
    if kept and kept[-1].lower() in WRAPPERS:
        notes.guess("wrapper", "/".join(folders), len(held))
        kept.pop()
    return tuple(kept)


def _is_numbered(file: str, shard: str) -> bool:
    """Img2dataset numbers its images through: the shard's number, then the image's."""
    stem = file.partition(".")[0]
    return stem.isdigit() and stem.startswith(shard) and len(stem) > len(shard)


def _told_apart(
    classes: dict[Folders, Folders], files: dict[Folders, list[str]], notes: Notes
) -> dict[Folders, str | None]:
    """Return the shortest ends of the classes' paths that no other class has."""
    labels: dict[Folders, str | None] = {}
    ends: dict[str, set[Folders]] = defaultdict(set)
    for parts in set(classes.values()):
        for length in range(1, len(parts) + 1):
            ends[MERGED.join(parts[-length:])].add(parts)
    last: dict[str, set[Folders]] = defaultdict(set)
    for parts in set(classes.values()):
        if parts:
            last[parts[-1]].add(parts)
    for folders, parts in classes.items():
        if not parts:
            labels[folders] = None
            continue
        length = 1
        if len(last[parts[-1]]) > 1:
            while length < len(parts) and len(ends[MERGED.join(parts[-length:])]) > 1:
                length += 1
        labels[folders] = MERGED.join(parts[-length:])
        if length > 1:
            notes.guess("homonym", MERGED.join(parts[-length:]), len(files[folders]))
    return labels
