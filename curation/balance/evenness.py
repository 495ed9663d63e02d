"""How even a selection is, over labels or kinds, beside what chance would have made of the same images.

The measure is KL(p ‖ uniform) = ln K + Σ p ln p over K classes: 0 where all are equally frequent, ln K where one is
left. Chance raises it, as the last images of rare classes go.
"""

from typing import Any

import numpy as np

from curation.arrays import Doubles, Ints

DRAWS = 50
DIGITS = 4


def evenness(classes: Ints, shares: Doubles, drawn: int, seed: int) -> dict[str, Any] | None:
    """Return how even images are before and after; None where fewer than two classes are among them.

    `classes` [n] number what each image is, -1 where it is not known; `shares` [n] say how often each image counts
    afterwards. Chance draws `drawn` of the images without looking. `kept` is how much of the rarer half of the
    classes is left, as a share of its images.
    """
    known = classes >= 0
    before = np.bincount(classes[known])
    present = before > 0
    if present.sum() < 2:
        return None
    before, after = before[present], np.bincount(classes[known], shares[known])[present]
    colours = np.append(before, (~known).sum())
    rng = np.random.default_rng(seed)
    chance = rng.multivariate_hypergeometric(colours, min(drawn, len(classes)), DRAWS, method="marginals")[:, :-1]
    rarer = np.argsort(before, kind="stable")[: len(before) // 2]
    by_chance = np.array([kl_to_uniform(row) for row in chance])
    facts = {
        "before": kl_to_uniform(before),
        "after": kl_to_uniform(after),
        "chance": by_chance.mean(),
        "chance_sd": by_chance.std(ddof=1),
        "kept": after[rarer].sum() / before[rarer].sum(),
        "kept_by_chance": chance[:, rarer].sum(axis=1).mean() / before[rarer].sum(),
    }
    return {"classes": len(before)} | {name: round(float(value), DIGITS) for name, value in facts.items()}


def kl_to_uniform(counts: np.ndarray) -> float:
    """Return ln K + Σ p ln p of K counts, in nats; ln K where there is nothing."""
    total = counts.sum()
    shares = counts[counts > 0] / total if total else np.ones(1)
    return float(np.log(len(counts)) + (shares * np.log(shares)).sum())
