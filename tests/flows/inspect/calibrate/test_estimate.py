"""Precision and recall from a few answers: against slow methods, and against simulations whose truth is known."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.isotonic import IsotonicRegression

from flows.inspect.calibrate.estimate import CHI_SQUARED, AnswerWeights, Estimate, estimates
from flows.inspect.calibrate.pairs import chosen, stratified
from flows.inspect.calibrate.verdict import lines, verdict

SHAPES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "sharp": lambda score: 1 / (1 + np.exp(-(score - 1.0) / 0.02)),
    "too strict": lambda score: 1 / (1 + np.exp(-(score - 0.85) / 0.05)),
    "too loose": lambda score: 1 / (1 + np.exp(-(score - 1.06) / 0.03)),
    "soft": lambda score: 1 / (1 + np.exp(-(score - 0.95) / 0.15)),
}
"""How the chance of a copy rises with the score, beside a limit of 1."""


def world(shape: str, seed: int, count: int = 30) -> tuple[Estimate, float, float, float]:
    """Simulate a collection and honest answers; return the estimate at the limit and the true precision and recall,

    and the precision that one would read off the answers without weights.
    """
    rng = np.random.default_rng(seed)
    scores = np.concatenate([rng.beta(2, 3, 900), rng.uniform(0.7, 1.18, 300)])
    copies = rng.random(len(scores)) < SHAPES[shape](scores)
    pairs = [(f"a{i}-{seed}", f"b{i}") for i in range(len(scores))]
    truth = dict(zip(pairs, copies.tolist(), strict=True))
    strata = stratified(pairs, scores.tolist(), 1.0)
    copy = np.array([truth[pair] for pair in strata.pairs])
    answers = {place: bool(copy[place]) for place in chosen(strata, count)}
    (one,) = estimates(strata, answers, [1.0])
    above = strata.scores >= 1.0
    unweighted = sum(a for p, a in answers.items() if above[p]) / sum(copy[list(answers)])
    return one, float(copy[above].mean()), float(copy[above].sum() / copy.sum()), float(unweighted)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_intervals_hold_the_truth_about_nineteen_times_in_twenty(shape: str) -> None:
    runs = [world(shape, seed) for seed in range(60)]
    for truth_at, interval in ((1, "precision_interval"), (2, "recall_interval")):
        inside = [getattr(run[0], interval)[0] <= run[truth_at] <= getattr(run[0], interval)[1] for run in runs]
        assert np.mean(inside) >= 0.9, interval  # of 60, with a chance of 1 in 40 to see less than 0.9 of 0.95


def test_the_estimates_are_near_the_truth_and_weights_are_why() -> None:
    runs = [world("soft", seed, count=60) for seed in range(40)]
    recall_error = np.mean([one.recall - recall for one, _, recall, _ in runs])
    naive_error = np.mean([naive - recall for _, _, recall, naive in runs])
    assert abs(recall_error) < 0.05
    assert abs(naive_error) > 2 * abs(recall_error)


def test_more_answers_make_narrower_intervals_and_all_answers_none_at_all() -> None:
    widths = [np.ptp(world("soft", 1, count)[0].precision_interval) for count in (20, 60, 200)]
    assert widths[0] > widths[1] > widths[2]
    one, precision, recall, _ = world("soft", 1, 10_000)
    assert one.precision_interval == (precision, precision) == (one.precision, one.precision)
    assert one.recall_interval == pytest.approx((recall, recall))


def test_shares_are_those_of_isotonic_regression() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        total = rng.integers(1, 9, 6)
        yes = rng.binomial(total, rng.random(6))
        ours = AnswerWeights(yes.astype(float), (total - yes).astype(float)).shares(np.zeros(6))
        theirs = IsotonicRegression().fit_transform(np.arange(6), yes / total, sample_weight=total)
        assert ours == pytest.approx(theirs)


def test_tilted_shares_are_those_that_a_slow_search_finds() -> None:
    rng = np.random.default_rng(1)
    for _ in range(12):
        total = rng.integers(2, 7, 3)
        yes = rng.binomial(total, np.sort(rng.uniform(0.2, 0.8, 3)))
        evidence, tilt = AnswerWeights(yes.astype(float), (total - yes).astype(float)), rng.normal(0, 4, 3)

        def loss(steps: np.ndarray, evidence: AnswerWeights = evidence, tilt: np.ndarray = tilt) -> float:
            share = np.clip(np.cumsum(np.abs(steps)), 1e-9, 1 - 1e-9)
            return (
                -evidence.log_likelihood(share) - float(tilt @ share) + 1e3 * max(0.0, float(np.abs(steps).sum()) - 1)
            )

        slow = min(
            (
                minimize(loss, start, method="Nelder-Mead", options={"maxiter": 4000, "fatol": 1e-10})
                for start in ([0.2, 0.2, 0.2], [0.01, 0.4, 0.4], [0.6, 0.1, 0.1])
            ),
            key=lambda result: float(result.fun),
        )
        fast = evidence.shares(tilt)
        assert np.all(np.diff(fast) >= 0)
        ours = -evidence.log_likelihood(np.clip(fast, 1e-9, 1 - 1e-9)) - float(tilt @ fast)
        assert ours <= float(slow.fun) + 1e-4


@pytest.mark.parametrize(("yes", "no"), [(3, 5), (0, 6), (8, 0)])
def test_the_interval_of_one_stratum_is_where_the_likelihood_has_fallen_by_as_much_as_chance_allows(
    yes: int, no: int
) -> None:
    evidence = AnswerWeights(np.array([float(yes)]), np.array([float(no)]))
    grid = np.linspace(1e-6, 1 - 1e-6, 200_001)
    with np.errstate(divide="ignore"):
        fall = yes * np.log(grid) + no * np.log1p(-grid)
    inside = grid[2 * (fall.max() - fall) <= CHI_SQUARED]
    ends = [evidence.extreme(np.array([sign]))[0] for sign in (-1.0, 1.0)]
    assert ends == pytest.approx([inside.min(), inside.max()], abs=1e-3)


def test_pairs_are_drawn_from_every_stratum_and_spare_places_go_to_the_limit() -> None:
    scores = [0.3] * 50 + [0.65] * 50 + [0.85] * 3 + [0.97] * 40 + [1.01] * 40 + [1.05] * 50 + [1.1] * 50
    pairs = [(f"a{i}", f"b{i}") for i in range(len(scores))]
    strata = stratified(pairs, scores, 1.0)
    assert strata.left_out == 50
    taken = strata.scores[chosen(strata, 30)]
    counts = {score: int((taken == score).sum()) for score in sorted(set(taken.tolist()))}
    assert counts[0.85] == 3
    assert sum(counts.values()) == 30
    assert min(counts[0.97], counts[1.01]) >= max(counts[0.65], counts[1.1])
    turned = stratified(pairs[::-1], scores[::-1], 1.0)
    assert [turned.pairs[i] for i in chosen(turned, 30)] == [strata.pairs[i] for i in chosen(strata, 30)]
    assert len(chosen(strata, 10_000)) == len(strata.scores)


def answered(rule: Callable[[float], bool], count: int = 120) -> dict[str, object]:
    scores = np.linspace(0.5, 1.18, 400).tolist()
    strata = stratified([(f"a{i}", f"b{i}") for i in range(400)], scores, 1.0)
    answers = {place: rule(float(strata.scores[place])) for place in chosen(strata, count)}
    return verdict(strata, answers, 1.0, 0.99)


def test_the_limit_that_is_proposed_is_where_copies_begin() -> None:
    assert answered(lambda score: score >= 0.9)["proposed"] == pytest.approx(0.9)
    assert answered(lambda score: score >= 1.03)["proposed"] == pytest.approx(1.03)
    right = answered(lambda score: score >= 1.0)
    assert right["proposed"] == right["limit"] == 1.0
    assert "nothing to change" in list(lines(right))[-1]
    assert "--set curation.dedup.near.threshold=1.03" in list(lines(answered(lambda score: score >= 1.03)))[-1]


def test_no_limit_is_proposed_where_none_is_sure_and_a_score_that_tells_nothing_is_said_to() -> None:
    none = answered(lambda _: False)
    assert none["proposed"] is None
    assert "No limit is sure" in list(lines(none))[-1]
    rng = np.random.default_rng(0)
    chance = answered(lambda _: bool(rng.random() < 0.5))
    assert not chance["tells"]
    assert any("hardly tells copies from others" in line for line in lines(chance))
    few = answered(lambda score: score >= 1.0, count=6)
    assert few["proposed"] is None
