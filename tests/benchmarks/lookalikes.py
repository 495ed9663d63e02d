"""Look-alikes and copies, dinoflow beside other tools: false drops by kind of picture, recall by kind of edit.

    python tests/benchmarks/lookalikes.py [--pictures 8] [--folder EXTRA…] [--only NAME…] [--keep DIR] [--seed 0]

Draws so many pictures of every kind, all of them different, and for every third of them copies as they are on the web.
Files are walked in one order, as a cleaner would: one that a tool pairs with an earlier one that stays is dropped. The
drop is false where the two are not copies; a copy is found where it falls, or its original does. EXTRA are folders of
pictures that are all different, each a kind of its own: icons, flags, products. Kinds marked * were drawn only after
the rules of verification were settled.
"""

import argparse
import datetime
import platform
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from copies.edits import EDITS, PHOTO_EDITS
from copies.lookalikes import graphics, pages, photos
from copies.tools import DINOFLOW, OTHERS, FoundPairs, SkippedError, python_of, run
from copies.truth import Pairs
from duplicates import hardware, table
from PIL import Image

PEERS = ("czkawka, 10", "PDQ, ≤ 31, quality ≥ 50", "imagededup, PHash ≤ 10")
OURS = ("dinoflow", "dinoflow, efficientnet")
EVERY = 3
"""Of so many pictures one has copies."""
COPIES = 3
Kind = Callable[[np.random.Generator, int], Image.Image]


class Drawn(NamedTuple):
    """A file of the set."""

    name: str
    kind: str
    picture: str
    """What it shows: copies show the same."""
    edit: str | None


def main() -> None:
    """Draw the set, run the tools, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=8, help="of each kind")
    parser.add_argument("--folder", action="append", default=[], type=Path, help="pictures that are all different")
    parser.add_argument("--only", action="append", default=[], help="run the tools whose name contains this")
    parser.add_argument("--environments", type=Path, default=Path.home() / ".cache" / "dinoflow-benchmarks")
    parser.add_argument("--keep", type=Path, help="draw into this folder")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    tools = [tool for tool in DINOFLOW + OTHERS if tool.name in OURS + PEERS]
    tools = [tool for tool in tools if not options.only or any(part in tool.name for part in options.only)]
    print(f"{hardware()}, Python {platform.python_version()}, {datetime.date.today()}, seed {options.seed}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        drawn = [*draw(folder, options.pictures, options.seed), *taken(folder, options.folder)]
        found: dict[str, FoundPairs] = {}
        for tool in tools:
            print(tool.name, file=sys.stderr)
            try:
                found[tool.name] = run(tool, python_of(tool, options.environments), folder)
            except SkippedError as error:
                print(f"- {tool.name}: skipped, {error}")
    print("\n".join(report(drawn, {name: each.pairs for name, each in found.items()})))


def draw(folder: Path, count: int, seed: int) -> Iterator[Drawn]:
    """Draw pictures of every kind, and copies of some."""
    number = 0
    for module in (pages, graphics, photos):
        for kind in module.KINDS:
            for i in range(count):
                rng = np.random.default_rng([seed, zlib.crc32(kind.__name__.encode()), i])
                image, stem = kind(rng, i).convert("RGB"), f"{kind.__name__}-{i:03d}"
                image.save(folder / f"{stem}.png")
                yield Drawn(f"{stem}.png", kind.__name__, stem, None)
                if i % EVERY == 0:
                    edits = EDITS | (PHOTO_EDITS if kind.__name__ in photos.RICH else {})
                    for step in range(COPIES):
                        edit = list(edits)[(number + step * 5) % len(edits)]
                        name = f"{stem}-{edit.replace(' ', '-').replace('%', '')}.png"
                        edits[edit](image).save(folder / name)
                        yield Drawn(name, kind.__name__, stem, edit)
                    number += 1


def taken(folder: Path, extras: list[Path]) -> Iterator[Drawn]:
    """Copy pictures of other folders beside the drawn ones."""
    for extra in extras:
        for path in sorted(path for path in extra.rglob("*") if path.is_file()):
            name = f"{extra.name}-{'-'.join(path.relative_to(extra).parts)}"
            (folder / name).write_bytes(path.read_bytes())
            yield Drawn(name, extra.name, name, None)


def dropped(drawn: list[Drawn], pairs: Pairs) -> dict[str, str]:
    """Return each dropped file and the kept one that it was paired with, a copy if there is one."""
    partners: dict[str, set[str]] = {}
    for one, other in map(sorted, pairs):
        partners.setdefault(one, set()).add(other)
        partners.setdefault(other, set()).add(one)
    picture = {file.name: file.picture for file in drawn}
    kept: set[str] = set()
    matches: dict[str, str] = {}
    for file in drawn:
        near = sorted(partners.get(file.name, set()) & kept, key=lambda name: (picture[name] != file.picture, name))
        if near:
            matches[file.name] = near[0]
        else:
            kept.add(file.name)
    return matches


def report(drawn: list[Drawn], found: dict[str, Pairs]) -> list[str]:
    """Return the lines of both tables."""
    picture = {file.name: file.picture for file in drawn}
    matches = {name: dropped(drawn, pairs) for name, pairs in found.items()}
    false = {
        name: Counter(file.kind for file in drawn if file.name in m and picture[m[file.name]] != file.picture)
        for name, m in matches.items()
    }
    right = {
        name: Counter(file.edit for file in drawn if file.edit and picture.get(m.get(file.name, "")) == file.picture)
        for name, m in matches.items()
    }
    kinds, edits = Counter(file.kind for file in drawn), Counter(file.edit for file in drawn if file.edit)
    late = pages.HELD_OUT | graphics.HELD_OUT | photos.HELD_OUT
    drops = [
        [kind + "*" * (kind in late), str(n), *(str(false[name][kind]) for name in found)] for kind, n in kinds.items()
    ]
    all_drops = ["all", str(len(drawn)), *(f"{sum(false[name].values())}" for name in found)]
    finds = [[edit, str(n), *(str(right[name][edit]) for name in found)] for edit, n in sorted(edits.items())]
    all_finds = ["all", str(edits.total()), *(f"{right[name].total()}" for name in found)]
    heads = ["files", *found]
    return [
        "",
        "False drops, by kind of picture:",
        "",
        *table(["kind", *heads], [*drops, all_drops]),
        "",
        "Copies found, by kind of edit:",
        "",
        *table(["edit", *heads], [*finds, all_finds]),
    ]


if __name__ == "__main__":
    main()
