"""Does balance make a long tail even? Draws of labelled folders, beside chance and other levels, as Markdown.

    python tests/benchmarks/balance.py FOLDER [FOLDER…] [--images 300 1200 5000] [--seeds 3] [--vectors DIR]
        [--embedder efficientnet-lite0 | descriptor] [--no-levels]

A FOLDER holds a folder for each class, with images below it. Of each, sets with long tails are drawn: which class is
how frequent is chance, sizes fall by Zipf's law, geometrically (30 to 1), or a fifth of the classes has 15 times the
images of the others; a class that has too few gives all. Half of each set is kept. A set whose classes are equally
frequent shows what balance costs where there is nothing to do. Vectors are computed once where DIR is given.

KL is the divergence of the classes' frequencies from uniform, in nats; `/ chance` its share of what halving by chance
leaves; `rarer` how much of the rarer half of the classes is kept (with weights: how often it comes in an epoch);
`limit` what the labels themselves would allow.
"""

import argparse
import datetime
import os
import platform
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from curation.arrays.vectors import Arrays
from curation.balance.balance import clustered
from curation.balance.evenness import evenness
from curation.balance.sampling import allocate, sample
from curation.dedup.geometry.frame import trimmed_picture
from curation.embedders.descriptor import DescriptorEmbedder
from curation.embedders.efficientnet import EfficientNetLite0Embedder
from curation.params.balance import BalanceParams
from shared.images.decode import UndecodableError, decode

BATCH = 64
EMBEDDERS = {"efficientnet-lite0": EfficientNetLite0Embedder, "descriptor": DescriptorEmbedder}
SHAPES: dict[str, Callable[[int], np.ndarray]] = {
    "Zipf": lambda classes: 1 / np.arange(1, classes + 1),
    "geometric": lambda classes: 30.0 ** -np.linspace(0, 1, classes),
    "step": lambda classes: np.where(np.arange(classes) < max(1, round(classes / 5)), 15.0, 1.0),
}
"""Rank of a class, from 0 → how frequent it is."""
EVEN = "even"


class Folder(NamedTuple):
    """The images of a labelled folder."""

    name: str
    vectors: np.ndarray
    classes: np.ndarray


class Row(NamedTuple):
    """What one way leaves of one draw."""

    kl: float
    of_chance: float
    rarer: float


def main() -> None:
    """Print a table for each folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--images", nargs="+", type=int, default=[300, 1200, 5000])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--vectors", type=Path, help="a folder that keeps vectors for the next time")
    parser.add_argument("--no-levels", action="store_true", help="leave out what levels make of it, which takes long")
    parser.add_argument("--embedder", choices=EMBEDDERS, default="efficientnet-lite0")
    arguments = parser.parse_args()
    print(f"{hardware()}, Python {platform.python_version()}, {datetime.date.today()}, {arguments.seeds} seeds")
    for path in arguments.folders:
        folder = read(path, arguments.vectors, arguments.embedder)
        print(f"\n## {folder.name}: {len(folder.classes):,} images of {len(set(folder.classes))} classes", flush=True)
        for images in arguments.images:
            if images <= len(folder.classes):
                print("\n".join(["", *table(folder, images, arguments.seeds, not arguments.no_levels)]), flush=True)


def table(folder: Folder, images: int, seeds: int, levels: bool) -> Iterator[str]:
    """Yield the lines of one table: a row for each way, a column for each shape."""
    rows: dict[str, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    sizes = []
    for shape in (*SHAPES, EVEN):
        for seed in range(seeds):
            chosen = draw(folder.classes, images, shape, seed)
            classes = np.unique(folder.classes[chosen], return_inverse=True)[1].astype(np.int64)
            sizes.append(len(chosen))
            for way, row in compared(folder.vectors[chosen], classes, seed, levels):
                rows[way][shape].append(row)
    yield f"about {np.mean(sizes):,.0f} images"
    yield ""
    yield f"| | {' | '.join(SHAPES)} | all three: KL | / chance | rarer | {EVEN}: KL |"
    yield f"|---|{'--:|' * (len(SHAPES) + 4)}"
    for way, by_shape in rows.items():
        cells = [f"{np.mean([row.of_chance for row in by_shape[shape]]):.2f}" for shape in SHAPES]
        every = np.mean([row for shape in SHAPES for row in by_shape[shape]], axis=0)
        cells += [f"{every[0]:.3f}", f"**{every[1]:.2f}**", f"{every[2]:.0%}"]
        cells.append(f"{np.mean([row.kl for row in by_shape[EVEN]]):.3f}")
        yield f"| {way} | {' | '.join(cells)} |"


def compared(vectors: np.ndarray, classes: np.ndarray, seed: int, levels: bool) -> Iterator[tuple[str, Row]]:
    """Yield what each way leaves of a set: half of it, or an epoch of half its length."""
    images, half = len(classes), len(classes) // 2
    ids = np.random.default_rng([seed, 1]).integers(0, 2**64, (images, 2), dtype=np.uint64)
    counts = np.bincount(classes)
    most = sample(classes, np.zeros(images, np.float32), ids, allocate(counts, half, ids[: len(counts), 0]), seed=seed)
    yield "before", judged(classes, np.ones(images), half, seed)
    facts = evenness(classes, np.ones(images), half, seed)
    assert facts is not None
    yield "chance", Row(facts["chance"], 1.0, facts["kept_by_chance"])
    for name, given in (("levels 1/50, 1/500, …", tenths(images)), ("one level of n/8", (images // 8,))):
        if levels:
            yield name, judged(classes, kept(vectors, ids, half, seed, levels=given), half, seed)
    yield "default", judged(classes, kept(vectors, ids, half, seed), half, seed)
    yield "default, weights", judged(classes, kept(vectors, ids, half, seed, how="weight"), half, seed)
    yield "limit", judged(classes, most.astype(float), half, seed)


def kept(vectors: np.ndarray, ids: np.ndarray, target: int, seed: int, **params: object) -> np.ndarray:
    """Return how often each image counts after balance."""
    settings = BalanceParams.model_validate({"target": target, "seed": seed, **params})
    clustering = clustered(Arrays(vectors), ids, settings)
    sizes = np.bincount(clustering.clusters, minlength=clustering.levels[0])
    if settings.how == "weight":
        most = settings.heaviest * target / len(vectors)
        return clustering.allotment.weights(sizes, target, most)[clustering.clusters]
    quotas = clustering.allotment.quotas(sizes, target, seed)
    return sample(clustering.clusters, clustering.distances, ids, quotas, seed=seed).astype(float)


def judged(classes: np.ndarray, shares: np.ndarray, drawn: int, seed: int) -> Row:
    """Return how even a selection is beside chance."""
    facts = evenness(classes, shares, drawn, seed)
    assert facts is not None
    return Row(facts["after"], facts["after"] / facts["chance"], facts["kept"])


def tenths(images: int) -> tuple[int, ...]:
    """Return a first level of one cluster for 50 images, and levels of a tenth each: the default until version 1."""
    levels = [max(1, min(10_000, images // 50))]
    while levels[-1] // 10 >= 10:
        levels.append(levels[-1] // 10)
    return tuple(levels)


def draw(classes: np.ndarray, images: int, shape: str, seed: int) -> np.ndarray:
    """Return the rows of a set of about so many images, at least two of each class."""
    rng = np.random.default_rng(seed)
    names, available = np.unique(rng.permutation(classes), return_counts=True)
    ranks = rng.permutation(len(names))
    frequent = (SHAPES[shape](len(names)) if shape in SHAPES else np.ones(len(names)))[ranks]
    low, high = 0.0, float(images)
    for _ in range(60):
        scale = (low + high) / 2
        low, high = (scale, high) if np.minimum(available, scale * frequent).sum() < images else (low, scale)
    wanted = np.maximum(np.floor(np.minimum(available, high * frequent)).astype(int), 2)
    rows = [rng.permutation(np.flatnonzero(classes == name))[:count] for name, count in zip(names, wanted, strict=True)]
    return rng.permutation(np.concatenate(rows))


def read(path: Path, cache: Path | None, embedder: str) -> Folder:
    """Return a folder's vectors and classes, from the cache where it has them."""
    stored = cache / embedder / f"{path.name}.npz" if cache else None
    if stored is None or not stored.exists():
        vectors, classes = embedded(path, embedder)
        if stored is None:
            return Folder(path.name, vectors, classes)
        stored.parent.mkdir(parents=True, exist_ok=True)
        np.savez(stored, vectors=vectors, classes=classes)
    held = np.load(stored)
    return Folder(path.name, held["vectors"].astype(np.float32), held["classes"])


def embedded(path: Path, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the vectors and classes of every image that decodes, as measuring makes them."""
    embedder, classes, vectors = EMBEDDERS[kind](), [], []
    files = [file for file in sorted(path.rglob("*")) if file.is_file()]
    for start in range(0, len(files), BATCH):
        prepared = []
        for file in files[start : start + BATCH]:
            try:
                prepared.append(embedder.prepared(trimmed_picture(decode(file.read_bytes()).picture)))
            except UndecodableError:
                continue
            classes.append(file.relative_to(path).parts[0])
        if prepared:
            vectors.append(embedder.vectors(prepared).astype(np.float16))
    return np.concatenate(vectors), np.array(classes)


def hardware() -> str:
    """Name the processor and the cores that this process may use."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if "model name" in line
    ]
    return f"{names[0] if names else platform.machine()}, {len(os.sched_getaffinity(0))} cores"


if __name__ == "__main__":
    main()
