"""Principal components of patch features as colours: parts that a model sees as alike are painted alike.

One PCA over the patches of all images together, as in DINOv2 (Oquab et al. 2024, figure 1). Needs numpy alone.

Shapes: B images, N patches, P patches of all images, D width, K components, 3 colours; x any
shape.
"""

from itertools import permutations

import numpy as np

COMPONENTS = 3
BINS = 128
STEEPNESS = 1.6
"""Of the logistic, in units of a component's deviation."""


def projected(patches_BND: np.ndarray, fitted_BN: np.ndarray | None = None) -> np.ndarray:
    """Return scores_BNK on the first components, each of unit deviation; fitted where the mask is true, if given."""
    x_BND = patches_BND.astype(np.float64)
    x_PD = x_BND.reshape(-1, x_BND.shape[-1]) if fitted_BN is None else x_BND[fitted_BN]
    mean_D = x_PD.mean(axis=0)
    _, axes_DD = np.linalg.eigh(np.cov(x_PD - mean_D, rowvar=False))
    axes_DK = axes_DD[:, ::-1][:, :COMPONENTS]
    deviation_K = ((x_PD - mean_D) @ axes_DK).std(axis=0)
    scores_BNK: np.ndarray = (x_BND - mean_D) @ axes_DK / np.maximum(deviation_K, 1e-12)
    return scores_BNK


def aligned(scores_xK: np.ndarray, reference_xK: np.ndarray) -> np.ndarray:
    """Return the scores with their components in the order, and of the signs, that agree best with the reference.

    A component has no sign and no fixed rank: without this, each checkpoint would paint the same thing in colours
    of its own. Agreement is the sum of absolute correlations over all patches.
    """
    x_PK, y_PK = (part.reshape(-1, part.shape[-1]).astype(np.float64) for part in (scores_xK, reference_xK))
    x_PK, y_PK = ((part - part.mean(axis=0)) / np.maximum(part.std(axis=0), 1e-12) for part in (x_PK, y_PK))
    agreement_KK = y_PK.T @ x_PK
    wanted = range(agreement_KK.shape[0])
    order = max(permutations(wanted), key=lambda given: sum(abs(agreement_KK[w, g]) for w, g in enumerate(given)))
    signs_K = [1.0 if agreement_KK[w, g] >= 0 else -1.0 for w, g in enumerate(order)]
    turned_xK: np.ndarray = scores_xK[..., list(order)] * np.array(signs_K)
    return turned_xK


def colours(scores_xK: np.ndarray) -> np.ndarray:
    """Return uint8 colours_x3: a logistic of the score, so that outliers do not darken the rest."""
    return np.rint(255 / (1 + np.exp(-STEEPNESS * scores_xK.astype(np.float64)))).astype(np.uint8)


def foreground(first_BHW: np.ndarray) -> np.ndarray:
    """Return mask_BHW: the side of the first component, cut by Otsu's rule, that touches the images' borders less."""
    above_BHW = first_BHW > _otsu(first_BHW.ravel())
    border_HW = np.ones(first_BHW.shape[1:], dtype=bool)
    border_HW[1:-1, 1:-1] = False
    return above_BHW if above_BHW[:, border_HW].mean() <= above_BHW.mean() else ~above_BHW


def _otsu(values_P: np.ndarray) -> float:
    """Return the cut that separates the means of its two sides most (Otsu 1979)."""
    counts, edges = np.histogram(values_P, BINS)
    centres = (edges[:-1] + edges[1:]) / 2
    below, above = np.cumsum(counts)[:-1], counts.sum() - np.cumsum(counts)[:-1]
    sums = np.cumsum(counts * centres)
    with np.errstate(invalid="ignore", divide="ignore"):
        gap = sums[:-1] / below - (sums[-1] - sums[:-1]) / above
    return float(edges[1:-1][np.nanargmax(below * above * gap**2)])
