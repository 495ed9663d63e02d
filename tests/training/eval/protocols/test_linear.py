import dataclasses

import numpy as np
import pytest
import torch

from tests.training.eval.invented_features import labelled, rearranged
from training.eval.math.logistic_regression import Logistic, Standard
from training.eval.math.splits import split_evenly
from training.eval.protocols.linear import Linear, chosen_l2, probe_classes


def test_a_linear_probe_separates_what_a_line_can() -> None:
    torch.manual_seed(0)
    labels = torch.arange(120) % 3
    features = torch.randn(120, 8) * 0.2 + torch.eye(3, 8)[labels] * 3 + 100
    assert torch.equal(probe_classes(features[:30], features[30:], labels[30:], l2=1e-3, steps=50), labels[:30])


def test_the_classifier_is_that_of_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression

    inputs = labelled()
    x = Standard.of(inputs.bank)(inputs.bank).double()
    ours = Logistic.zero(5, 6, like=x).fitted(x, inputs.bank_label, l2=0.03, steps=300)
    theirs = LogisticRegression(C=1 / (0.03 * len(x)), tol=1e-10, max_iter=5000).fit(
        x.numpy(), inputs.bank_label.numpy()
    )
    np.testing.assert_allclose(ours.weight.numpy(), theirs.coef_, atol=3e-4)
    np.testing.assert_allclose(ours(x).softmax(dim=1).numpy(), theirs.predict_proba(x.numpy()), atol=3e-5)


def test_the_strength_is_chosen_on_the_bank_alone() -> None:
    inputs = labelled()
    score = Linear().scores(inputs)[0]
    lied_to = Linear().scores(dataclasses.replace(inputs, query_label=(inputs.query_label + 1) % 5))[0]
    assert score["protocol"] == lied_to["protocol"]
    assert score["protocol"]["l2_chosen_on"] == "20 images of the bank"
    assert score["value"] > 0.5 > lied_to["value"]


def test_the_strength_that_is_right_most_often_is_chosen_and_the_stronger_of_equals() -> None:
    inputs = labelled(bank=200, width=40, noise=2.0)
    stay, back = split_evenly(inputs.bank_label, 0.2, 0)
    right = {
        l2: probe_classes(inputs.bank[back], inputs.bank[stay], inputs.bank_label[stay], l2=l2, steps=200)
        .eq(inputs.bank_label[back])
        .sum()
        .item()
        for l2 in (1e-4, 1e-2, 1.0, 100.0)
    }
    assert len(set(right.values())) > 1
    best = max(l2 for l2 in right if right[l2] == max(right.values()))
    assert chosen_l2(inputs.bank, inputs.bank_label, tuple(right), steps=200, seed=0) == (best, len(back))


def test_the_part_kept_back_holds_a_share_of_every_class_that_has_two_images() -> None:
    label = torch.tensor([0] * 10 + [1] * 50 + [2, 2, 3])
    stay, back = split_evenly(label, 0.2, seed=0)
    assert torch.equal(torch.cat([stay, back]).sort().values, torch.arange(len(label)))
    assert label[back].bincount(minlength=4).tolist() == [2, 10, 1, 0]
    assert torch.equal(split_evenly(label, 0.2, seed=0)[1], back)
    assert not torch.equal(split_evenly(label, 0.2, seed=1)[1], back)


def test_where_no_class_can_spare_an_image_the_strongest_is_taken_and_said() -> None:
    inputs = labelled(bank=5)
    protocol = Linear().scores(inputs)[0]["protocol"]
    assert (protocol["l2"], protocol["l2_chosen_on"]) == (0.1, "nothing: the strongest was taken")


def test_a_probe_of_one_strength_does_not_depend_on_the_order_of_the_images() -> None:
    inputs = labelled()
    probe = Linear(l2=(1e-2,))
    assert probe.scores(inputs)[0]["value"] == probe.scores(rearranged(inputs))[0]["value"]


@pytest.mark.parametrize("l2", [(), (0.0,), (-1.0,)])
def test_a_strength_must_be_positive(l2: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="l2"):
        Linear(l2=l2)
