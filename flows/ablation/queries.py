"""The questions that all variants are asked: which images, and what nobody may train on for their sake.

Arrays in, arrays out. N images of the index.
"""

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from shared.errors import UserError
from training.data.published_images import UNLABELLED

MOST_OF_A_CLASS = 2
"""A class has at most so many times the queries of the median class: a frequent one must not be the whole test."""
FEWEST = 20
"""With fewer queries one image is more than five per cent."""


def copy_groups(images: int, pairs_P2: np.ndarray) -> np.ndarray:
    """Return group_N: images that a chain of copies connects have one number."""
    ones = np.ones(len(pairs_P2), dtype=bool)
    graph = coo_matrix((ones, (pairs_P2[:, 0], pairs_P2[:, 1])), shape=(images, images))
    groups: np.ndarray = connected_components(graph, directed=False)[1]
    return groups


def one_of_each(group_N: np.ndarray, able_N: np.ndarray, order_N: np.ndarray) -> np.ndarray:
    """Return the rows of the first able image of each group in an order, in that order."""
    rows: np.ndarray = order_N[able_N[order_N]]
    first: np.ndarray = rows[np.sort(np.unique(group_N[rows], return_index=True)[1])]
    return first


def choose_queries(group_N: np.ndarray, label_N: np.ndarray, able_N: np.ndarray, order_N: np.ndarray) -> np.ndarray:
    """Return the rows of the queries: one able image of each group, no class far above the median class.

    The order is that of image ids, which is random and belongs to the data.
    """
    rows = one_of_each(group_N, able_N & (label_N != UNLABELLED), order_N)
    if not len(rows):
        return rows
    counts = np.bincount(label_N[rows])
    most = MOST_OF_A_CLASS * max(1, int(np.median(counts[counts > 0])))
    rank = np.zeros(len(rows), dtype=np.int64)
    for label in np.flatnonzero(counts):
        of_class = label_N[rows] == label
        rank[of_class] = np.arange(of_class.sum())
    return rows[rank < most]


def choose_bank(group_N: np.ndarray, label_N: np.ndarray, kept_by_all_N: np.ndarray, order_N: np.ndarray) -> np.ndarray:
    """Return the rows of the bank: labelled images that every variant trains on, one of each group of copies."""
    return one_of_each(group_N, kept_by_all_N & (label_N != UNLABELLED), order_N)


def check_size(queries: int, classes: int, bank: int) -> None:
    """Raise UserError where the questions are too few to tell anything."""
    if queries < FEWEST or classes < 2 or bank < FEWEST:
        raise UserError(
            f"ablate needs labelled images to ask about: at least {FEWEST} queries of 2 classes, and {FEWEST} images "
            f"that every variant trains on; got {queries} queries of {classes} classes, and {bank}. Queries are a "
            "tenth of the labelled images: use a larger corpus with class folders, or milder variants."
        )
