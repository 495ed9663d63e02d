"""Connected components of a graph whose edges lie in many files, by exchanges of labels.

The alternating rounds of Kiveris et al. 2014 ("Connected Components in MapReduce and Beyond"): both steps look at one
node's edges alone, so an exchange on the node makes them a map. Some log n rounds; what a round writes never grows
beyond its edges.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from curation.arrays import Ints
from curation.dedup.components import Edges


def large_star(edges: Edges) -> Edges:
    """Join every larger neighbour of a node to the smallest of them and itself: of all edges of some nodes.

    `edges` holds (node, neighbour) in both directions, all of a node's together in one call.
    """
    node, neighbour = _sorted(edges)
    least = _least(node, neighbour, np.minimum(node, neighbour))
    larger = neighbour > node
    return _unique(neighbour[larger], least[larger])


def small_star(edges: Edges) -> Edges:
    """Join a node and its smaller neighbours to the smallest: of all (node, smaller neighbour) of some nodes."""
    node, neighbour = _sorted(edges)
    least = _least(node, neighbour, neighbour)
    return _unique(np.concatenate([neighbour, node]), np.concatenate([least, least]))


def by_rounds(edges: Iterable[Edges], buckets: int) -> Iterator[Edges]:
    """Yield (node, smallest node of its component) in buckets: what a driver with an exchange on storage does."""
    parts = [_unique(part.max(axis=1), part.min(axis=1)) for part in edges]
    while True:
        both = _exchange([np.concatenate([part, part[:, ::-1]]) for part in parts], buckets)
        large = _exchange([large_star(part) for part in both], buckets)
        small = _exchange([small_star(_unique(*part.T)) for part in large], buckets)
        new = [_unique(*part.T) for part in small]
        if all(np.array_equal(*pair) for pair in zip(new, parts, strict=False)) and len(new) == len(parts):
            break
        parts = new
    yield from parts


def _exchange(parts: list[Edges], buckets: int) -> list[Edges]:
    rows = np.concatenate(parts)
    return [rows[rows[:, 0] % buckets == bucket] for bucket in range(buckets)]


def _sorted(edges: Edges) -> tuple[Ints, Ints]:
    order = np.lexsort((edges[:, 1], edges[:, 0]))
    return edges[order, 0], edges[order, 1]


def _least(node: Ints, neighbour: Ints, values: Ints) -> Ints:
    """Return, for each row, the smallest value over the rows of its node."""
    if not len(node):
        return values
    begins = np.flatnonzero(np.diff(node, prepend=node[0] - 1))
    return np.repeat(np.minimum.reduceat(values, begins), np.diff(begins, append=len(node)))


def _unique(one: Ints, another: Ints) -> Edges:
    """Return the distinct edges [n, 2] between different nodes, sorted."""
    rows = np.stack([one, another], axis=1)[one != another]
    order = np.lexsort((rows[:, 1], rows[:, 0]))
    rows = rows[order]
    new = np.ones(len(rows), dtype=bool)
    new[1:] = (rows[1:] != rows[:-1]).any(axis=1)
    return np.asarray(rows[new])
