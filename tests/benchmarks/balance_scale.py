"""What does balance cost at scale? Clusters, density and the choice of half of so many drawn vectors, in one process.

    OMP_NUM_THREADS=1 python tests/benchmarks/balance_scale.py [--images 300000] [--dim 256] [--kinds 2000]

Kinds are random directions whose frequencies fall by Zipf's law; an image is its kind's direction and noise. Prints
CPU seconds, the peak of memory, and how even the kinds got beside chance.
"""

import argparse
import resource
import time

import numpy as np

from curation.arrays.vectors import Arrays
from curation.balance.balance import clustered
from curation.balance.evenness import evenness
from curation.balance.sampling import sample
from curation.params.balance import BalanceParams

NOISE = 0.8
CHUNK = 20_000


def main() -> None:
    """Print a line of figures for each step."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=300_000)
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--kinds", type=int, default=2_000)
    arguments = parser.parse_args()
    vectors, kinds, ids = drawn(arguments.images, arguments.dim, arguments.kinds)
    print(f"{arguments.images:,} vectors of {arguments.dim} drawn: peak {peak():.2f} GiB")
    half, started = arguments.images // 2, time.process_time()
    clustering = clustered(Arrays(vectors), ids, BalanceParams(target=half))
    print(f"{clustering.levels[0]:,} clusters: {time.process_time() - started:.1f} CPU s, peak {peak():.2f} GiB")
    quotas = clustering.allotment.quotas(
        np.bincount(clustering.clusters, minlength=clustering.levels[0]), target=half, seed=0
    )
    taken = sample(clustering.clusters, clustering.distances, ids, quotas, seed=0)
    print(f"half taken: {time.process_time() - started:.1f} CPU s, peak {peak():.2f} GiB")
    print(evenness(kinds, taken.astype(float), half, seed=0))


def drawn(images: int, dim: int, kinds: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return vectors [n, dim] in half precision, the kind of each and ids."""
    rng = np.random.default_rng(0)
    frequency = 1 / np.arange(1, kinds + 1)
    kind = rng.permutation(np.repeat(np.arange(kinds), rng.multinomial(images, frequency / frequency.sum())))
    directions = rng.normal(size=(kinds, dim)).astype(np.float32)
    vectors = np.empty((images, dim), np.float16)
    for start in range(0, images, CHUNK):
        around = directions[kind[start : start + CHUNK]]
        noise = rng.normal(size=around.shape).astype(np.float32)
        vectors[start : start + CHUNK] = (around + NOISE * noise) / np.sqrt(dim)
    return vectors, kind, rng.integers(0, 2**64, (images, 2), dtype=np.uint64)


def peak() -> float:
    """Return the most memory that this process has had, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    main()
