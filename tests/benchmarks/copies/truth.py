"""Which pairs of files are copies, of what kind, and how well the pairs that a tool found agree.

A tool tells pairs, which are taken as they are, or groups, of which every pair inside counts as found.
"""

import csv
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from statistics import mean
from typing import NamedTuple

Pair = frozenset[str]
Pairs = set[Pair]


@dataclass
class Truth:
    """What is known of a folder: names of files, which are unique in it."""

    files: list[str]
    groups: list[Pairs]
    """The pairs of each group of copies."""
    left_out: Pairs = field(default_factory=set)
    """Pairs that are neither right nor wrong."""
    negatives: Pairs = field(default_factory=set)
    """Pairs that look alike and are no copies, or any pair with a file that looks like many others."""
    kinds: dict[str, Pairs] = field(default_factory=dict)
    """The pairs of each kind of copy."""
    kinds_are: str = ""

    @property
    def pairs(self) -> Pairs:
        """All true pairs."""
        return set().union(*self.groups)


class Score(NamedTuple):
    """How well found pairs agree with the truth."""

    precision: float
    recall: float
    group_precision: float
    """Mean, over the sets of files that the found pairs connect, of the share of their pairs that is right."""
    group_recall: float
    """Mean, over the groups of the truth, of the share of their pairs that was found."""
    false: int
    false_negatives: int
    """False pairs among the negatives."""

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall over pairs."""
        return 2 * self.precision * self.recall / max(self.precision + self.recall, 1e-12)


def pairs_within(groups: Iterable[Sequence[str]]) -> Pairs:
    """Return every pair inside every group."""
    return {frozenset(pair) for group in groups for pair in combinations(sorted(set(group)), 2)}


def read_truth(folder: Path) -> Truth:
    """Read truth.json, or groups.csv and pairs.csv, beside a folder images/."""
    files = sorted(path.name for path in (folder / "images").iterdir())
    return _from_json(folder, files) if (folder / "truth.json").exists() else _from_tables(folder, files)


def _from_json(folder: Path, files: list[str]) -> Truth:
    """Read {"files": {name: {"group", "kind"}}}: the original of a group has the kind `base`."""
    file_of = json.loads((folder / "truth.json").read_text())["files"]
    members: dict[str, list[str]] = defaultdict(list)
    for name, file in file_of.items():
        if file["group"] is not None:
            members[file["group"]].append(name)
    kinds: dict[str, Pairs] = defaultdict(set)
    for names in members.values():
        originals = [name for name in names if file_of[name]["kind"] == "base"]
        for name in set(names) - set(originals):
            kinds[file_of[name]["kind"]] |= {frozenset((name, original)) for original in originals}
    hard = [name for name, file in file_of.items() if file["kind"].startswith("neg_")]
    return Truth(
        files,
        groups=[pairs_within([names]) for names in members.values()],
        negatives={frozenset((name, other)) for name in hard for other in file_of if other != name},
        kinds=dict(sorted(kinds.items())),
        kinds_are="a copy and its original",
    )


def _from_tables(folder: Path, files: list[str]) -> Truth:
    """Read file,group and a,b,relation,transform: near_shot and ignore are left out, different is a negative."""
    members: dict[str, list[str]] = defaultdict(list)
    for row in _rows(folder / "groups.csv"):
        if row["group"]:
            members[row["group"]].append(Path(row["file"]).name)
    relations: dict[str, Pairs] = defaultdict(set)
    kinds: dict[str, Pairs] = defaultdict(set)
    for row in _rows(folder / "pairs.csv"):
        pair = frozenset(Path(row[side]).name for side in ("a", "b"))
        relations[row["relation"]].add(pair)
        if row["relation"] == "copy":
            kinds[row["transform"].partition(" (")[0]].add(pair)
    left_out = relations["near_shot"] | relations["ignore"]
    groups = [pairs_within([names]) - left_out for names in members.values()]
    return Truth(
        files,
        groups=[group for group in groups if group],
        left_out=left_out,
        negatives=relations["different"],
        kinds=dict(sorted(kinds.items())) | {"near shots, not scored": relations["near_shot"]},
        kinds_are="any two copies of one picture",
    )


def _rows(table: Path) -> list[dict[str, str]]:
    if not table.exists():
        return []
    with table.open() as file:
        return list(csv.DictReader(file))


def score(found: Pairs, truth: Truth) -> Score:
    """Compare found pairs with the truth."""
    true = truth.pairs
    judged = found - truth.left_out
    return Score(
        precision=len(judged & true) / max(1, len(judged)),
        recall=len(judged & true) / max(1, len(true)),
        group_precision=mean([len(part & true) / len(part) for part in connected(judged)] or [0.0]),
        group_recall=mean([len(group & judged) / len(group) for group in truth.groups] or [0.0]),
        false=len(judged - true),
        false_negatives=len((judged - true) & truth.negatives),
    )


def connected(pairs: Pairs) -> list[Pairs]:
    """Return the pairs of each connected set of files."""
    leader: dict[str, str] = {}

    def lead(name: str) -> str:
        while (above := leader.setdefault(name, name)) != name:
            name = leader[name] = leader.setdefault(above, above)
        return name

    for a, b in map(sorted, pairs):
        leader[lead(a)] = lead(b)
    parts: dict[str, Pairs] = defaultdict(set)
    for pair in pairs:
        parts[lead(min(pair))].add(pair)
    return list(parts.values())
