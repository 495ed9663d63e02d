"""What a source says beside its images: what it holds and does not take for one, and what it guessed.

Everything in a source is either indexed or counted here, once: a hidden or foreign folder counts as one thing.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from shared.images.file_names import printable
from shared.images.image_files import ending

EXAMPLES, SHOWN = 3, 5
LONGEST_ENDING = 12
"""What stands behind the last dot of a sentence is no ending."""

WHYS = {
    "name": "no images by their names",
    "archive": "archives: name each as a source of its own, --source FILE",
    "excluded": "left out by `include` or `exclude`",
    "hidden": "hidden",
    "system": "a system's thumbnails and waste",
    "unfinished": "downloads that are not done",
    "marker": "markers of folders in an object store",
    "special": "pipes, sockets or devices",
    "link": "links that lead out of the source; `follow_links: true` follows them",
    "mask": "taken for masks of other images; name them in `include` to keep them",
    "sidecar": "taken for sidecars of images; name them in `include` to keep them",
    "raw": "RAW photos beside the developed one; name them in `include` to keep them",
    "twice": "named by an earlier line, too",
    "table": "tables without a column of images",
}
"""Why something is passed over → what a person reads."""

GUESSES = {
    "folder": "labels are the names of folders, such as {}",
    "hive": "labels are what folders say, such as {}",
    "metadata": "labels are those of metadata.jsonl or .csv, such as {}",
    "column": "labels are those of the column {}",
    "sidecar": "labels are those of sidecars, such as {}",
    "archive": "labels are the names of archives, such as {}",
    "wrapper": "some folders are no classes, but the one above is: {}",
    "split": "folders that name a split are no classes: {}",
    "shard": "folders that number shards are no classes: {}",
    "images": "images are those of the column {}; `column` names another",
    "homonym": "folders of one name in several places are different classes, such as {}",
    "unusable": "no label is made of lists, structs or bytes: {}",
}
"""What was guessed → what a person reads; where it is about labels, `label` changes it."""


@dataclass
class Tally:
    """How often something was met, and the first few of it."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, example: str, count: int = 1) -> None:
        """Count it."""
        self.count += count
        if len(self.examples) < EXAMPLES and example not in self.examples:
            self.examples.append(example)


@dataclass
class Notes:
    """The notes of one source, or of one archive of it."""

    passed: dict[tuple[str, str], Tally] = field(default_factory=dict)
    """By why and ending."""
    guessed: dict[str, Tally] = field(default_factory=dict)
    """By guess: how many images it labels."""

    def pass_over(self, name: str, why: str) -> None:
        """Count something that is not taken for an image; a folder's name ends with a slash."""
        kind = "/" if name.endswith("/") else ending(name)
        kind = kind if len(kind) <= LONGEST_ENDING else ""
        self.passed.setdefault((why, kind), Tally()).add(printable(name))

    def guess(self, kind: str, example: str, count: int = 1) -> None:
        """Count images that a guess is about."""
        self.guessed.setdefault(kind, Tally()).add(printable(example), count)

    def merge(self, others: "Iterable[Notes] | Notes") -> None:
        """Add what others noted."""
        for other in [others] if isinstance(others, Notes) else others:
            for mine, theirs in ((self.passed, other.passed), (self.guessed, other.guessed)):
                _merge(mine, theirs)

    @property
    def total(self) -> int:
        """How many things were passed over."""
        return sum(tally.count for tally in self.passed.values())

    def facts(self) -> dict[str, Any]:
        """Return the notes as they are stored: the most frequent first."""
        ordered = sorted(self.passed.items(), key=lambda item: (-item[1].count, item[0]))
        return {
            "passed_over": [
                {"why": why, "ending": kind, "count": tally.count, "examples": tally.examples}
                for (why, kind), tally in ordered
            ],
            "guessed": [
                {"guess": kind, "images": tally.count, "text": GUESSES[kind].format(", ".join(tally.examples))}
                for kind, tally in sorted(self.guessed.items())
            ],
        }

    def lines(self) -> list[str]:
        """Return the notes as a person reads them, one a line."""
        return note_lines(self.facts())

    @property
    def aside(self) -> str:
        """What was passed over, as an error says it: ` (4 others were passed over: 3 × .txt, 1 × .zip)`, or nothing."""
        counts: dict[str, int] = {}
        for (_, kind), tally in self.passed.items():
            counts[kind] = counts.get(kind, 0) + tally.count
        ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:5]
        brief = ", ".join(f"{count} × {kind or 'no ending'}" for kind, count in ordered)
        return f" ({self.total} others were passed over: {brief})" if brief else ""


def _merge(mine: dict[Any, Tally], theirs: dict[Any, Tally]) -> None:
    for key, tally in theirs.items():
        own = mine.setdefault(key, Tally())
        own.count += tally.count
        for example in tally.examples:
            own.add(example, 0)


def _of_one_ending(one: dict[str, Any]) -> str:
    return f"{one['count']:,} {one['ending'] or 'without ending'}: {', '.join(one['examples'])}"


def note_lines(facts: dict[str, Any]) -> list[str]:
    """Return stored notes as a person reads them: `3 files were passed over: … (.txt: a.txt, b.txt)`."""
    lines = []
    for why in dict.fromkeys(one["why"] for one in facts["passed_over"]):
        held = [one for one in facts["passed_over"] if one["why"] == why]
        kinds = "; ".join(_of_one_ending(one) for one in held[:SHOWN])
        more = f"; and {len(held) - SHOWN} endings more" if len(held) > SHOWN else ""
        lines.append(f"{sum(one['count'] for one in held):,} passed over, {WHYS[why]} ({kinds}{more})")
    about_labels = [one for one in facts["guessed"] if one["guess"] != "images"]
    lines += [f"guessed: {one['text']} ({one['images']:,} images)" for one in facts["guessed"]]
    return [*lines, "Set `label` of the source to change what its labels are."] if about_labels else lines


def source_lines(info: dict[str, Any]) -> list[str]:
    """Return the notes of each source as dataset.json has them, one a line; of an older dataset none."""
    kinds = {kind: info.get(kind, {}) for kind in ("passed_over", "guessed")}
    names = dict.fromkeys(name for notes in kinds.values() for name in notes)
    facts = {name: {kind: notes.get(name, []) for kind, notes in kinds.items()} for name in names}
    return [f"{name}: {line}" for name in names for line in note_lines(facts[name])]
