"""Connected components of a graph, by SciPy: 24 bytes an edge and 12 a node, some 100 million edges in 4 GiB.

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
    nodes, ends = np.unique(edges, return_inverse=True)
    ends = ends.reshape(-1, 2)
    graph = coo_array((np.ones(len(ends), np.bool_), (ends[:, 0], ends[:, 1])), shape=(len(nodes), len(nodes)))
    labels = connected_components(graph, directed=False)[1]
    first = np.full(labels.max(initial=-1) + 1, len(nodes), np.int64)
    np.minimum.at(first, labels, np.arange(len(nodes)))
    return nodes, nodes[first[labels]]
