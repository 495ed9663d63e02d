"""Adding an evaluation is one file and one line in the union: command line, form, recipe and tables know it."""

import json
from pathlib import Path

import pytest
from safetensors.torch import save_file

from tests.house import House
from tests.training.eval.sets.drawn import class_folders
from tests.training.vits import in_dinov2_layout, invented_weights

EVALUATION = '''
"""How long features are."""

from typing import Literal

from training.eval.inputs import ImageFeatures, ScoreRow, score
from training.eval.protocols.evaluation import EvaluationProtocol


class Length(EvaluationProtocol):
    """The length of features."""

    kind: Literal["length"] = "length"
    """How far from zero do features lie?"""
    needs = "images"
    second_view = True
    power: float = 2.0
    """The exponent of the norm."""

    def scores(self, inputs: ImageFeatures) -> list[ScoreRow]:
        """Return `mean`, and that of the second view."""
        views = {"mean": inputs.features, "mean again": inputs.again}
        return [
            score(self.kind, name, float(x.norm(p=self.power, dim=1).mean()), {"power": self.power})
            for name, x in views.items()
        ]
'''

LOOK = """
import contextlib, io, json, sys
from flows.commands.evaluate import evaluate_models
from flows.recipe.options import Options
from flows.recipe.recipe import load_recipe
from shared.errors import RecipeError
from training.eval.params import EvaluateParams

model, data, work = sys.argv[1:]
try:
    load_recipe(settings=["evaluation.evaluations=[lenght]"])
except RecipeError as error:
    refusal = str(error)
terminal = io.StringIO()
settings = ("evaluation.evaluations=[{kind: length, power: 1}]", "compute.device=cpu", "compute.workers=1")
with contextlib.redirect_stdout(terminal):
    facts = evaluate_models(None, [model], [data], Options(workspace=work, settings=settings))
print(json.dumps({
    "refusal": refusal,
    "form": EvaluateParams.model_json_schema()["$defs"]["Length"],
    "terminal": terminal.getvalue(),
    "results": facts["results"],
}))
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    house = House(tmp_path_factory.mktemp("house"))
    house.add("training/eval/protocols", "Length", EVALUATION, "Uniformity")
    return house


def test_the_command_line_names_it_and_says_what_it_is(house: House) -> None:
    shown = house.ask("-m", "flows.cli", "evaluate", "--help")
    assert "kind: length" in shown
    assert "The length of features." in shown


def test_form_recipe_and_tables_know_it(house: House, tmp_path: Path) -> None:
    save_file(in_dinov2_layout(invented_weights()), tmp_path / "dino.safetensors")
    class_folders(tmp_path / "pets" / "train", 2)
    class_folders(tmp_path / "pets" / "test", 1, first=500)
    places = (str(tmp_path / name) for name in ("dino.safetensors", "pets", "work"))
    known = json.loads(house.ask("-c", LOOK, *places))
    assert "'length'" in known["refusal"]
    assert known["form"]["description"] == "The length of features."
    assert known["form"]["properties"]["kind"]["description"] == "How far from zero do features lie?"
    assert known["form"]["properties"]["power"]["description"] == "The exponent of the norm."
    lines = [line.split() for line in known["terminal"].splitlines()]
    assert any(line[:2] == ["length", "mean"] for line in lines)
    assert all(row["protocol"]["power"] == 1 for row in known["results"])
    assert {row["metric"] for row in known["results"]} == {"mean", "mean again"}
