"""Which evaluations there are, how they are asked for, and what becomes of those that cannot be made."""

import json
import typing

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from tests.training.eval.invented_features import labelled
from training.eval.crops import centre_crop
from training.eval.inputs import ImageFeatures
from training.eval.params import EvaluateParams
from training.eval.pixel_baseline import pixel_features
from training.eval.protocols import DEFAULT_EVALUATIONS, Evaluation
from training.eval.protocols.effective_rank import EffectiveRank
from training.eval.protocols.knn import Knn
from training.eval.protocols.linear import Linear
from training.eval.score_model import all_scores

KINDS = typing.get_args(typing.get_args(Evaluation)[0])


def test_a_bare_word_means_that_kind_with_its_defaults() -> None:
    asked = EvaluateParams.model_validate({"evaluations": ["knn", {"kind": "linear", "steps": 7}]})
    assert asked.evaluations == (Knn(), Linear(steps=7))
    assert EvaluateParams.model_validate(asked.model_dump(mode="json")) == asked


def test_an_unknown_kind_lists_the_known_ones() -> None:
    with pytest.raises(ValidationError, match=r"'kmm'.*'knn', 'linear'"):
        EvaluateParams.model_validate({"evaluations": ["kmm"]})


def test_every_kind_says_what_it_needs_and_where_its_protocol_stands() -> None:
    for kind in KINDS:
        assert kind.needs in ("images", "labels", "copies", "masks")
        assert kind.model_fields["kind"].description


def test_every_score_states_its_protocol_and_can_be_written_down() -> None:
    inputs = labelled()
    scores, notes = all_scores(DEFAULT_EVALUATIONS, {"labels": inputs, "images": ImageFeatures(inputs.bank)})
    assert notes == []
    assert {s["evaluation"]: s["metric"] for s in reversed(scores)} == {
        "knn": "top1",
        "linear": "top1",
        "effective_rank": "rank",
        "uniformity": "loss",
    }
    assert all(s["protocol"] for s in scores)
    assert json.loads(json.dumps(scores)) == scores


def test_what_cannot_be_scored_is_left_out_with_a_note() -> None:
    scores, notes = all_scores([Knn(), EffectiveRank()], {"images": ImageFeatures(labelled().bank)})
    assert [s["evaluation"] for s in scores] == ["effective_rank"]
    assert notes == ["knn was left out: it needs labels"]
    assert all_scores([Knn()], {"labels": labelled(bank=3)}) == (
        [],
        ["knn was left out: it needs a bank of at least 10 images, got 3"],
    )


def test_the_centre_crop_keeps_the_middle_and_the_proportions() -> None:
    import torch

    pixels = np.zeros((40, 80, 3), dtype=np.uint8)
    pixels[:, 20:60] = 255
    crop = centre_crop(Image.fromarray(pixels), 32, 1.0)
    assert crop.shape == (3, 32, 32)
    assert crop.min() > 200
    assert pixel_features(torch.randn(2, 3, 32, 32)).shape == (2, 768)
