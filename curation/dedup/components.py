"""Connected components of a graph, by SciPy: 50 bytes an edge beside the edges, some 80 million of them in 4 GiB.

Beyond that tests/benchmarks/scale/label_rounds.py shows a way, which nothing needs yet.
"""

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from curation.arrays import Ints

Edges = Ints
"""Pairs of nodes [n, 2]."""


def components(edges: Edges) -> tuple[Ints, Ints]:
    """Return the nodes that have an edge, ascending, and for each the smallest node of its component."""
    ends = np.sort(edges, axis=None)  # np.unique would hold as much again, or hash them in ten times as long
    nodes = ends[np.diff(ends, prepend=ends[:1] - 1) > 0]
    del ends
    row, column = (np.searchsorted(nodes, side).astype(np.int32) for side in edges.T)
    graph = coo_array((np.ones(len(row), np.bool_), (row, column)), shape=(len(nodes), len(nodes)))
    labels = connected_components(graph, directed=False)[1]
    first = np.full(labels.max(initial=-1) + 1, len(nodes), np.int64)
    np.minimum.at(first, labels, np.arange(len(nodes)))
    return nodes, nodes[first[labels]]
